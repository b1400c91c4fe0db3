import sys
from pathlib import Path

import msgspec
import pytest

from cd4ml.pipeline.environment import present_environment


def test_the_environment_has_python_and_every_distribution() -> None:
    found = present_environment()

    assert found.python == ".".join(str(part) for part in sys.version_info[:3])
    assert found.distributions["msgspec"] == msgspec.__version__
    assert list(found.distributions) == sorted(found.distributions)


def test_the_first_distribution_on_the_path_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, version in (("one", "2.0"), ("two", "1.0")):
        (tmp_path / folder / f"some_thing-{version}.dist-info").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path / name) for name in ("no", "one", "two")])

    assert present_environment().distributions == {"some_thing": "2.0"}


def test_what_a_library_brings_for_itself_is_no_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages"
    own = installed / "ray" / "thirdparty_files"  # put on the path when Ray is imported
    for folder, name in ((installed, "ray-2.60.0"), (own, "colorama-0.4.6")):
        (folder / f"{name}.dist-info").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(own), f"{installed}/"])

    assert present_environment().distributions == {"ray": "2.60.0"}
