"""Modules that are loaded before the function is there, and must not hide the function's own."""

import sys

# What an ordinary start has loaded by now, too.
ORDINARY = frozenset(sys.modules)

from _frozen_importlib_external import PathFinder
from _imp import is_frozen
from posix import listdir


def not_ordinary():
    """First parts of the names of modules that an ordinary start would not have loaded."""
    return frozenset(name.partition(".")[0] for name in sys.modules.keys() - ORDINARY)


def give_way(preloaded, folders):
    """Forgets modules of whose name the function has its own: that one would have come first."""
    for name in names_in(folders) & preloaded:
        # What is built into the interpreter comes before any folder; a folder without `__init__`, last.
        spec = None if is_frozen(name) else PathFinder.find_spec(name, folders)
        if spec is not None and spec.loader is not None:
            for module in [m for m in sys.modules if m == name or m.startswith(name + ".")]:
                del sys.modules[module]


def names_in(folders):
    """First parts of the names of all files."""
    names = set()
    for folder in folders:
        try:
            names.update(file.partition(".")[0] for file in listdir(folder))
        except OSError:
            pass  # most functions have neither layers nor PYTHONPATH; a zip archive is no folder
    return names
