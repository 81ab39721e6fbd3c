"""The compiler that runs at publish."""

import os
import subprocess

from fake_api import PYTHON, RUNTIME


def compile_tree(root):
    """Runs the compiler and returns its files by path."""
    done = subprocess.run(
        [PYTHON, "-S", "-s", "-P", "-B", "-W", "ignore", str(RUNTIME / "compile.py")],
        env={"LAMBDA_TASK_ROOT": str(root), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == b""
    data, files = done.stdout, {}
    while data:
        parts = []
        for _ in range(2):
            length = int.from_bytes(data[:4], "little")
            parts.append(data[4 : 4 + length])
            assert len(parts[-1]) == length, "the stream is cut off"
            data = data[4 + length :]
        path, code = parts
        assert path.decode() not in files
        files[path.decode()] = code
    return files


def test_every_source_file_once(tmp_path):
    (tmp_path / "app.py").write_text("import pkg.mod\ndef handler(e, c): return pkg.mod.x\n")
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "mod.py").write_text("x = 41 + 1\n")
    (tmp_path / "pkg" / "data.txt").write_text("no code")
    (tmp_path / "pkg" / "__pycache__").mkdir()
    (tmp_path / "pkg" / "__pycache__" / "old.py").write_text("x = 1")
    (tmp_path / "link.py").symlink_to("app.py")
    files = compile_tree(tmp_path)
    assert list(files) == ["__pycache__/app.cpython-311.pyc", "pkg/__pycache__/mod.cpython-311.pyc"]
    for code in files.values():
        assert code[4:8] == b"\x01\0\0\0", "an unchecked hash"


def test_the_byte_code_is_used_and_names_its_source(tmp_path):
    (tmp_path / "mod.py").write_text("def where(): return where.__code__.co_filename\n")
    files = compile_tree(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    for path, code in files.items():
        (tmp_path / path).write_bytes(code)
    # Unchecked: the interpreter does not look at what the source has become.
    (tmp_path / "mod.py").write_text("raise SystemExit('compiled anew')\n")
    out = subprocess.check_output(
        [PYTHON, "-S", "-c", "import mod; print(mod.where())"], cwd=tmp_path, text=True
    )
    assert out.strip() == str(tmp_path / "mod.py")


def test_what_does_not_compile_has_no_byte_code(tmp_path):
    (tmp_path / "bad.py").write_text("def (:")
    (tmp_path / "nul.py").write_bytes(b"x = 1\0")
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9'\n")
    (tmp_path / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000)
    (tmp_path / "huge.py").write_text("#" * (4 * 1024 * 1024 + 1))
    (tmp_path / "warns.py").write_text("x = '\\d' is 'a'\n")
    (tmp_path / "coded.py").write_bytes(b"# -*- coding: latin-1 -*-\nx = '\xe9'\n")
    (tmp_path / "empty.py").write_text("")
    files = compile_tree(tmp_path)
    assert len(files) == 8
    compiled = sorted(os.path.basename(path).split(".")[0] for path, code in files.items() if code)
    assert compiled == ["coded", "empty", "warns"]


def test_a_file_without_byte_code_does_not_get_what_a_layer_below_has(tmp_path):
    lower, upper, both = (tmp_path / name for name in ("lower", "upper", "both"))
    for root, source in ((lower, "x = 'lower'\n"), (upper, "x = 'upper'\n" + "#" * 4 * 1024 * 1024)):
        root.mkdir()
        (root / "mod.py").write_text(source)
    for root in (lower, upper):
        (both / "__pycache__").mkdir(parents=True, exist_ok=True)
        (both / "mod.py").write_text((root / "mod.py").read_text())
        for path, code in compile_tree(root).items():
            (both / path).write_bytes(code)
    out = subprocess.check_output([PYTHON, "-S", "-B", "-c", "import mod; print(mod.x)"], cwd=both, text=True)
    assert out.strip() == "upper"


def test_no_code_at_all(tmp_path):
    assert compile_tree(tmp_path) == {}
