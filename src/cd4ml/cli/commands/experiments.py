"""Experiments: listed, renamed, described, deleted and restored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, Parser, UsageError

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.experiments import ExperimentDetails
    from cd4ml.records.experiment import Experiment


def add(commands: Commands) -> None:
    """`experiment list|change|delete|restore`."""
    nouns = commands.group("experiment", "rename, delete and restore experiments")
    parser = nouns.add("list", list_experiments, "list experiments, the newest first")
    parser.add_argument("--deleted", action="store_true", help="those that were deleted")
    parser = nouns.add("change", change_experiment, "rename or describe an experiment")
    _add_name(parser)
    parser.add_argument("--name", dest="new_name", default=None, metavar="NAME")
    parser.add_argument("--note", default=None, metavar="TEXT", help="what to say about it")
    _add_name(
        nouns.add(
            "delete",
            delete_experiment,
            "take an experiment and its runs out of every list, until it is restored",
        )
    )
    _add_name(
        nouns.add(
            "restore",
            restore_experiment,
            "bring a deleted experiment back, with the runs it was deleted with",
        )
    )


def _add_name(parser: Parser) -> None:
    parser.add_argument("experiment", metavar="EXPERIMENT")


def list_experiments(given: Given) -> Answer[list[ExperimentDetails]]:
    """Experiments."""
    from cd4ml.loop.experiments import list_experiments as found

    return Answer(found(given.project, deleted=given.words.deleted), _show_experiments)


def change_experiment(given: Given) -> Answer[Experiment]:
    """Rename or describe an experiment."""
    from cd4ml.loop.experiments import describe_experiment

    words = given.words
    if words.new_name is None and words.note is None:
        msg = "cd4ml experiment change: expected --name or --note"
        raise UsageError(msg, hint="cd4ml experiment change --help")
    changed = describe_experiment(
        given.project,
        words.experiment,
        new_name=words.new_name,
        note=words.note,
        actor=given.actor,
    )
    return Answer(changed, lambda screen, each: screen.line(f"changed {each.name}"))


def delete_experiment(given: Given) -> Answer[Experiment]:
    """Delete an experiment."""
    from cd4ml.loop.experiments import delete_experiment as delete

    deleted = delete(given.project, given.words.experiment, actor=given.actor)
    return Answer(deleted, _show_deleted_experiment)


def restore_experiment(given: Given) -> Answer[Experiment]:
    """Restore an experiment."""
    from cd4ml.loop.experiments import restore_experiment as restore

    restored = restore(given.project, given.words.experiment, actor=given.actor)
    return Answer(restored, lambda screen, each: screen.line(f"restored {each.name}"))


def _show_deleted_experiment(screen: Screen, experiment: Experiment) -> None:
    screen.line(f"deleted {experiment.name}")
    screen.hint(f"cd4ml experiment restore {experiment.name!r}")


def _show_experiments(screen: Screen, found: list[ExperimentDetails]) -> None:
    from cd4ml.cli.screen import moment

    if not found:
        screen.line("no experiment")
        return
    screen.table(
        ("experiment", "runs", "made", "by", "note"),
        (
            (
                each.experiment.name,
                f"{each.n_runs:,}",
                moment(each.experiment.created_at),
                each.experiment.created_by,
                each.experiment.note.partition("\n")[0],
            )
            for each in found
        ),
    )
