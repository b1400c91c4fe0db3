"""What steps print can be read later, by who may read what they were given."""

import pytest

from cd4ml.errors import NotAllowed, NotFound, PipelineError
from cd4ml.loop import Project, open_project
from cd4ml.loop.executors import Where, open_executor
from cd4ml.loop.run_logs import run_logs
from cd4ml.loop.train import train
from cd4ml.pipeline.executors.inline import Inline
from cd4ml.pipeline.executors.pool import Workers
from cd4ml.pipeline.logs import log_path, logs_folder
from tests.loop.world import ANN, EVE

PROCESSES = Where(executor="processes")


def let_say(project: Project, words: str) -> None:
    """Have the step that makes the model say something."""
    pipeline = project.folder / "pipeline.py"
    text = pipeline.read_text()
    begin = text.index("def delay(")
    body = text.index("\n    ", text.index("Model:", begin))
    pipeline.write_text(f"{text[:body]}\n    {words}{text[body:]}")


def test_what_a_step_printed_is_kept_with_its_run(project: Project) -> None:
    let_say(project, 'print("learning")')
    train(project, actor=ANN, where=PROCESSES)

    (log,) = run_logs(project, "run/1", actor=ANN)

    assert (log.step, log.state, log.text) == ("delay", "computed", "learning\n")
    (silent,) = run_logs(project, "1", "training", actor=ANN)
    assert silent.text == ""


def test_a_step_that_failed_keeps_what_it_printed(project: Project) -> None:
    let_say(project, 'print("learning"); raise ValueError("nothing to learn")')
    with pytest.raises(PipelineError):
        train(project, actor=ANN, where=PROCESSES)

    (log,) = run_logs(project, "run/1", actor=ANN)

    assert (log.state, log.text) == ("failed", "learning\n")


def test_a_run_that_was_killed_left_what_its_step_had_printed(project: Project) -> None:
    train(project, actor=ANN)
    path = log_path(logs_folder(project.state, 1), "evaluated")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half\xff a wor")

    (log,) = run_logs(project, "run/1", "evaluated", actor=ANN)

    assert (log.state, log.text) == ("interrupted", "half\\xff a wor")


def test_a_step_that_is_not_there_is_named(project: Project) -> None:
    train(project, actor=ANN)

    with pytest.raises(NotFound) as caught:
        run_logs(project, "run/1", "dealy", actor=ANN)

    assert str(caught.value) == (
        "run/1 has no step named 'dealy'\n"
        "  hint: known: examples, training, holdout, delay, evaluation"
    )


def test_who_may_not_read_the_rows_may_not_read_what_steps_printed(project: Project) -> None:
    train(project, actor=ANN)
    add_to_settings(project, "[data.flights]", '[data.flights]\nreaders = ["doctor"]')

    with open_project(project.folder) as again, pytest.raises(NotAllowed) as caught:
        run_logs(again, "run/1", actor=EVE)

    assert caught.value.message == "eve may not read flights: it needs the role doctor, has none"


def add_to_settings(project: Project, old: str, new: str) -> None:
    settings = project.folder / "cd4ml.toml"
    text = settings.read_text()
    assert old in text
    settings.write_text(text.replace(old, new))


def test_where_a_run_is_computed_can_be_chosen(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_executor(project, PROCESSES) as chosen:
        assert isinstance(chosen, Workers)
    monkeypatch.setenv("CD4ML_EXECUTOR", "in-process")
    with open_executor(project) as chosen:
        assert isinstance(chosen, Inline)
    with open_executor(project, Where(executor="processes", workers=3)) as chosen:
        assert chosen.workers == 3


def test_a_variable_that_names_no_executor_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cd4ml.errors import ConfigurationError

    monkeypatch.setenv("CD4ML_EXECUTOR", "slurm")

    with pytest.raises(ConfigurationError) as caught, open_executor(project):
        pass

    assert caught.value.message == (
        "CD4ML_EXECUTOR: expected processes, in-process, ray, got 'slurm'"
    )


def test_a_run_has_a_cost_by_the_prices_of_the_project(project: Project) -> None:
    assert train(project, actor=ANN).run.cost is None
    add_to_settings(project, "[project]", "[prices]\ncpu_hour = 3600\n\n[project]")
    let_say(project, "pass")

    with open_project(project.folder) as again:
        report = train(again, overrides={"delay.strength": 0.5}, actor=ANN)

    seconds = sum(step.cpu_seconds for step in report.steps)
    assert seconds > 0
    assert report.run.cost == pytest.approx(seconds)
