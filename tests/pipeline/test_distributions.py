"""A step depends on the distributions that it imports, and on no others."""

import sys
from pathlib import Path

import pytest

from cd4ml.pipeline.distributions import FILE, Distributions
from cd4ml.pipeline.environment import Environment, present_environment
from cd4ml.pipeline.fingerprint import ReachedCode
from cd4ml.pipeline.sources import Sources
from tests.pipeline.projects import project

STEPS = """
    import json
    import shallow
    from cd4ml import step

    @step
    def plain(numbers):
        return json.dumps(numbers)

    @step
    def using(numbers):
        return shallow.f(numbers)

    @step
    def lazy(numbers):
        import deep
        return deep.f(numbers)

    @step
    def dynamic(numbers):
        return getattr(shallow, "f")(numbers)

    @step
    def unknown(numbers):
        import nobody_has_it
        return nobody_has_it.f(numbers)
"""


def install(folder: Path, name: str, version: str, *, offers: str, requires: str = "") -> None:
    """A distribution as an installer lays it out."""
    for old in folder.glob(f"{name}-*.dist-info"):
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
    (info / "METADATA").write_text(f"{head}\n\nRequires-Dist: words of the description\n")
    (info / "RECORD").write_text(f"{offers}/__init__.py,,\n{info.name}/METADATA,,\n../../bin/x,,\n")
    (folder / offers).mkdir(exist_ok=True)
    (folder / offers / "__init__.py").write_text("def f(x): return x\n")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site-packages"
    install(folder, "Deep_Thing", "1.0", offers="deep")
    install(folder, "other", "1.0", offers="other")
    install(folder, "shallow", "1.0", offers="shallow",
            requires="Requires-Dist: deep.thing (>=1)\nRequires-Dist: other; extra == 'more'\n")  # fmt: skip
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return folder


def environments(tmp_path: Path) -> dict[str, str]:
    sources = Sources(project(tmp_path / "project", pipeline=STEPS), "pipeline")
    reached = ReachedCode(sources, Distributions(present_environment(), tmp_path / "state"))
    names = ("plain", "using", "lazy", "dynamic", "unknown")
    return {name: reached.by("pipeline", name).environment for name in names}


@pytest.mark.parametrize(
    ("name", "offers", "requires", "changed"),
    [
        ("unrelated", "unrelated", "", {"dynamic", "unknown"}),
        ("other", "other", "", {"dynamic", "unknown"}),
        ("Deep_Thing", "deep", "", {"plain", "using", "lazy", "dynamic", "unknown"}),
        ("shallow", "shallow", "Requires-Dist: deep_thing\n",
         {"plain", "using", "lazy", "dynamic", "unknown"}),
    ],
)  # fmt: skip
def test_another_version_counts_for_who_imports_it(
    installed: Path, tmp_path: Path, name: str, offers: str, requires: str, changed: set[str]
) -> None:
    """`pipeline` imports `shallow`, which requires `deep`: importing the module runs both."""
    before = environments(tmp_path)

    install(installed, name, "2.0", offers=offers, requires=requires)

    after = environments(tmp_path)
    assert {step for step in before if before[step] != after[step]} == changed


def test_what_others_require_counts_but_not_their_extras(installed: Path, tmp_path: Path) -> None:
    found = Distributions(present_environment(), tmp_path)

    assert {"shallow", "deep-thing", "polars", "numpy"} <= found.behind(["shallow"])
    assert "other" not in found.behind(["shallow"])
    assert "deep-thing" not in found.behind(["json", "cd4ml"])


def test_what_serving_needs_is_nothing_to_a_step(tmp_path: Path) -> None:
    found = Distributions(present_environment(), tmp_path).behind(["cd4ml"])

    assert "cd4ml" in found
    assert not found & {"uvicorn", "jinja2", "onnxruntime", "scikit-learn"}


def test_nobody_knows_whose_a_module_is_so_all_count(tmp_path: Path) -> None:
    environment = present_environment()

    found = Distributions(environment, tmp_path).behind(["nobody_has_it"])

    assert len(found) == len(environment.distributions)


def test_another_python_or_machine_is_another_environment(tmp_path: Path) -> None:
    def address(**changes: str) -> str:
        known = {"python": "3.11.7", "implementation": "cpython", "machine": "linux-x86_64"}
        environment = Environment(**{**known, **changes}, distributions={"polars": "1.0"})
        return Distributions(environment, tmp_path).address(["polars"], is_open=False)

    addresses = {
        address(),
        address(python="3.12.0"),
        address(implementation="pypy"),
        address(machine="linux-aarch64"),
    }

    assert len(addresses) == 4
    assert address() == address()


@pytest.mark.parametrize("damage", ["", "{", '{"key": 1}'])
def test_a_damaged_note_is_made_again(tmp_path: Path, damage: str) -> None:
    environment = present_environment()
    before = Distributions(environment, tmp_path).behind(["polars"])
    (tmp_path / FILE).write_text(damage)

    assert Distributions(environment, tmp_path).behind(["polars"]) == before
