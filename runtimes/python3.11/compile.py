"""Compiles the Python source files of `LAMBDA_TASK_ROOT` and writes the byte code to standard output.

Runs once per code package and layer, at publish, so that no start has to. The byte code is of the kind that the
interpreter takes without looking at the source (unchecked hash), since an image never changes.

The output is a stream of files, each `[u32 length][path][u32 length][contents]`, little endian, paths below
that folder. The byte code of a file that does not compile is empty: whoever imports it gets the interpreter's
own error, and not the byte code of a file of the same name in a layer below.
"""

import importlib.util
import os
import sys
from importlib._bootstrap_external import _code_to_hash_pyc

# A larger source is data more than code; the interpreter still compiles it when it is imported.
MAX_SOURCE_BYTES = 4 * 1024 * 1024


def main(root):
    """Compiles everything below `root`."""
    for source in sources(root):
        write(os.path.relpath(importlib.util.cache_from_source(source), root), compile_file(source))
    sys.stdout.flush()


def sources(root):
    """Source files below `root`, in a fixed order; links are not followed."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            path = os.path.join(folder, name)
            if name.endswith(".py") and not os.path.islink(path):
                yield path


def compile_file(path):
    """The contents of the `.pyc`; none if there is no code to be had from the file."""
    try:
        with open(path, "rb") as file:
            source = file.read(MAX_SOURCE_BYTES + 1)
        if len(source) > MAX_SOURCE_BYTES:
            return b""
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
        return bytes(_code_to_hash_pyc(code, importlib.util.source_hash(source), checked=False))
    except Exception:  # not only SyntaxError: ValueError, RecursionError, MemoryError, OSError
        return b""


def write(path, data):
    for part in (os.fsencode(path), data):
        sys.stdout.buffer.write(len(part).to_bytes(4, "little"))
        sys.stdout.buffer.write(part)


if __name__ == "__main__":
    main(os.environ.get("LAMBDA_TASK_ROOT", "/var/task"))
