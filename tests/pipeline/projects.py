"""Builders of small projects: a folder with Python files."""

from pathlib import Path
from textwrap import dedent


def project(folder: Path, **files: str) -> Path:
    """A folder with these files; `lib__weights` stands for `lib/weights.py`."""
    for name, text in files.items():
        write(folder, name, text)
    return folder


def write(folder: Path, name: str, text: str) -> None:
    """Write one file of a project."""
    path = folder / (name if "." in name else name.replace("__", "/") + ".py")
    path = folder / "lib/__init__.py" if name == "lib" else path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))


def edit(folder: Path, name: str, old: str, new: str) -> None:
    """Change one place of one file; the place has to be there once."""
    path = folder / name
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
    path.write_text(text.replace(old, new))
