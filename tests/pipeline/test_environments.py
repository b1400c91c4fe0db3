"""An environment is made from its lock, once; and without packages that is said."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

import cd4ml
from cd4ml.errors import Unavailable
from cd4ml.pipeline.environment import Environment, present_environment
from cd4ml.pipeline.environments import locked_environment

pytestmark = pytest.mark.slow

RUNNING = msgspec.structs.replace(present_environment(), distributions={"tiny": "1.5"})


def wheel(folder: Path, version: str) -> None:
    """A distribution `tiny` with one module, as a wheel."""
    folder.mkdir(exist_ok=True)
    name = f"tiny-{version}"
    files = {
        "tiny.py": f"VERSION = {version!r}\n",
        f"{name}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"{name}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{name}.dist-info/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{name}.dist-info/RECORD": record}.items():
            archive.writestr(path, text)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels in place of a registry; uv is not there."""
    folder = tmp_path / "wheels"
    wheel(folder, "1.5")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PATH", "/nowhere")
    return folder


def said(python: Path, code: str) -> str:
    done = subprocess.run(
        [str(python), "-P", "-c", code], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_an_environment_has_what_its_lock_says_and_is_made_once(
    tmp_path: Path, offline: Path
) -> None:
    python = locked_environment(RUNNING, "# Python\ntiny==1.5\n", cache=tmp_path / "kept")

    assert said(python, "import tiny; print(tiny.VERSION)") == "1.5"
    assert said(python, "import sys; print(*sys.version_info[:3], sep='.')") == RUNNING.python
    assert said(python, "import cd4ml; print(cd4ml.__file__)").endswith("cd4ml/__init__.py")
    assert Path(said(python, "import os, cd4ml; print(os.path.realpath(cd4ml.__path__[0]))")) == (
        Path(os.path.realpath(cd4ml.__path__[0]))
    )
    assert said(python, "from importlib.metadata import version; print(version('cd4ml'))") == (
        cd4ml.__version__
    )
    for path in offline.iterdir():
        path.unlink()
    assert locked_environment(RUNNING, "# Python\ntiny==1.5\n", cache=tmp_path / "kept") == python


def test_what_cannot_be_installed_is_named_and_tried_again_later(
    tmp_path: Path, offline: Path
) -> None:
    lock = "# Python\ntiny==2.0\n"

    with pytest.raises(Unavailable) as missing:
        locked_environment(RUNNING, lock, cache=tmp_path / "kept")

    assert "tiny==2.0" in missing.value.message
    wheel(offline, "2.0")
    python = locked_environment(RUNNING, lock, cache=tmp_path / "kept")
    assert said(python, "import tiny; print(tiny.VERSION)") == "2.0"


def test_other_bytes_than_the_lock_has_hashes_of_are_refused(tmp_path: Path, offline: Path) -> None:
    wheel(offline, "2.0")
    wrong = f"tiny==2.0 --hash=sha256:{'0' * 64}\n"

    with pytest.raises(Unavailable, match=r"(?i)hash"):
        locked_environment(RUNNING, wrong, cache=tmp_path / "kept")


def test_another_python_needs_uv(tmp_path: Path, offline: Path) -> None:
    other = Environment(python="3.9.1", implementation="cpython", machine="x", distributions={})
    here = ".".join(str(part) for part in sys.version_info[:3])

    with pytest.raises(Unavailable) as missing:
        locked_environment(other, "", cache=tmp_path / "kept")

    assert str(missing.value) == (
        f"Python 3.9.1 is not here, this one is {here}\n"
        "  hint: uv finds other versions of Python: pip install uv"
    )


def test_one_that_was_left_half_made_is_made_anew(tmp_path: Path, offline: Path) -> None:
    python = locked_environment(RUNNING, "tiny==1.5\n", cache=tmp_path / "kept")
    python.parent.with_name("ready").unlink()  # as a process leaves it that is killed
    next(python.parent.parent.rglob("tiny.py")).unlink()

    again = locked_environment(RUNNING, "tiny==1.5\n", cache=tmp_path / "kept")

    assert again == python
    assert said(python, "import tiny; print(tiny.VERSION)") == "1.5"
