"""A model is made again in a clean folder, to the byte, whatever became of the project since."""

from pathlib import Path

import pytest

from tests.journeys.command_line import cd4ml
from tests.pipeline.test_revision import git

pytestmark = [pytest.mark.journey, pytest.mark.slow, pytest.mark.timeout(300)]

UNORDERED = """

@step
def words() -> list:
    return list({f"word {number}" for number in range(50)})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project in a repository of its own."""
    folder = tmp_path / "small"
    assert cd4ml("init", str(folder), folder=tmp_path).code == 0
    return folder


def test_the_flights_model_is_the_same_to_the_byte_in_a_clean_folder(tmp_path: Path) -> None:
    folder = tmp_path / "flights"
    assert cd4ml("init", str(folder), "--example", "flights", folder=tmp_path).code == 0
    run = cd4ml("run", "--json", folder=folder).json["run"]
    assert cd4ml("gate", "run/1", folder=folder).code == 0
    pipeline = folder / "pipeline.py"
    pipeline.write_text(pipeline.read_text().replace("max_iter: int = 100", "max_iter: int = 50"))
    git(folder, "commit", "-q", "-am", "fewer trees")
    for path in (folder / "data").rglob("*.parquet"):
        path.unlink()

    again = cd4ml("reproduce", "delay/1", "--json", folder=folder)
    shown = cd4ml("reproduce", "run/1", "--to", str(tmp_path / "kept"), folder=folder)

    assert again.code == shown.code == 0
    assert again.json["outcome"] == "identical"
    made = {step["step"]: step for step in again.json["steps"]}
    assert made.pop("package")["outcome"] == "identical"
    assert {name: step["rebuilt"] for name, step in made.items()} == run["outputs"]
    assert {step["outcome"] for step in made.values()} == {"identical"}
    assert again.json["revision"] == run["revision"]
    assert shown.out.startswith("run/1: identical to the byte\n")
    assert "max_iter: int = 100" in (tmp_path / "kept" / "pipeline.py").read_text()
    assert git(folder, "status", "--porcelain").splitlines() == []
    assert cd4ml("audit", "verify", folder=folder).code == 0


def test_what_depends_on_the_seed_of_hashes_is_the_same_where_that_was_set(project: Path) -> None:
    with (project / "pipeline.py").open("a") as file:
        file.write(UNORDERED)
    assert cd4ml("run", folder=project, PYTHONHASHSEED="7").code == 0
    with (project / "pipeline.py").open("a") as file:
        file.write("\n# the last line\n")

    same = cd4ml("reproduce", "run/1", "--json", folder=project)

    assert same.code == 0
    assert same.json["outcome"] == "identical"


def test_a_result_that_was_luck_is_told_with_exit_code_3(project: Path) -> None:
    with (project / "pipeline.py").open("a") as file:
        file.write(UNORDERED.replace("@step", "@step(cache=False)"))
        file.write("\n\nimport secrets\nNOISE = secrets.randbelow(10**9)\n")
        file.write("\n\n@step\ndef noise(words: list) -> dict:\n    return {'noise': NOISE}\n")
    assert cd4ml("run", folder=project).code == 0

    other = cd4ml("reproduce", "run/1", folder=project)

    assert other.code == 3
    assert "is the first step that differs" in other.out.splitlines()[0]
    assert "noise" in other.out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("reproduce", "run/9"), 1, "no run '9'"),
        (("reproduce", "delay"), 1, "expected MODEL/NUMBER, got 'delay'"),
        (("reproduce",), 2, "RUN|VERSION"),
        (
            ("reproduce", "run/1", "--tolerance", "-1"),
            2,
            "expected a number of 0 or more, got '-1'",
        ),
    ],
)
def test_what_cannot_be_asked_is_said_without_a_traceback(
    project: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    ran = cd4ml(*words, folder=project)

    assert ran.code == code
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_one_run_a_key_and_each_environment_by_flag(project: Path) -> None:
    text = (project / "cd4ml.toml").read_text()
    settings = '[environments.staging]\nparameters = { "diagnosis.strength" = 0.5 }\n'
    (project / "cd4ml.toml").write_text(text.replace("[environments.staging]\n", settings))

    staged = cd4ml("run", "--env", "staging", "--json", folder=project)
    unknown = cd4ml("run", "--env", "stagin", folder=project)
    no_key = cd4ml("run", "--for-each", "town", folder=project)
    both = cd4ml("run", "--for-each", "a", "--grid", "diagnosis.strength=1,2", folder=project)

    assert staged.json["run"]["parameters"] == {"diagnosis.strength": 0.5}
    assert staged.json["run"]["environment_name"] == "staging"
    assert unknown.err == (
        "error: no environment named 'stagin'\n  hint: known: staging, production\n"
    )
    assert no_key.err.startswith("error: none of the datasets has a column 'town'\n")
    assert (no_key.code, both.code) == (1, 2)
