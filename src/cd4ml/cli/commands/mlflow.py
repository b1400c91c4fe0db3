"""Between cd4ml and MLflow: bring a history or a model folder over, write one out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.mlflow.brought import Brought
    from cd4ml.records.model_version import ModelVersion


def add(commands: Commands) -> None:
    """`import mlflow|mlmodel` and `export mlmodel`."""
    nouns = commands.group("import", "bring over what was recorded or made elsewhere")
    parser = nouns.add(
        "mlflow",
        import_mlflow,
        "bring a whole MLflow history over: experiments, runs, files, models, aliases",
        "Read where it is and never changed. The same command again brings what is new;\n"
        "killed, it goes on where it was.",
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="sqlite:///mlflow.db, or the folder mlruns"
    )
    parser.add_argument(
        "--artifacts",
        default=None,
        metavar="FOLDER",
        help="where the MLflow server kept files (default: mlartifacts beside SOURCE)",
    )
    parser = nouns.add(
        "mlmodel",
        import_mlmodel,
        "make an MLmodel folder the next version of a model, without loading it",
        "To serve it, say that you trust its pickle (cd4ml model trust), then package it.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="with a file MLmodel in it")
    parser.add_argument("name", metavar="MODEL", help="the registered model")
    nouns = commands.group("export", "write out what others can load")
    parser = nouns.add(
        "mlmodel",
        export_mlmodel,
        "write a version as a folder that mlflow.pyfunc.load_model loads",
    )
    parser.add_argument("ref", metavar="MODEL/NUMBER", help="or MODEL@ALIAS")
    parser.add_argument("folder", metavar="FOLDER", help="new, or empty")


def import_mlflow(given: Given) -> Answer[Brought]:
    """A history, brought over."""
    from cd4ml.loop.mlflow.bring_over import bring_over

    def tell(what: str) -> None:
        if sys.stderr.isatty():
            print(f"\r{what}", end="", file=sys.stderr, flush=True)

    brought = bring_over(
        given.project,
        given.words.source,
        artifacts=Path(given.words.artifacts) if given.words.artifacts else None,
        progress=tell,
        actor=given.actor,
    )
    return Answer(brought, _show_brought)


def import_mlmodel(given: Given) -> Answer[ModelVersion]:
    """A model folder, brought in."""
    from cd4ml.loop.mlflow.folders import import_folder

    folder = Path(given.words.folder)
    version = import_folder(given.project, folder, given.words.name, actor=given.actor)
    return Answer(version, _show_version)


def export_mlmodel(given: Given) -> Answer[list[str]]:
    """A version, written out."""
    from cd4ml.loop.mlflow.exported import export_version

    written = export_version(given.project, given.words.ref, Path(given.words.folder))
    return Answer(written, _show_written)


def _show_brought(screen: Screen, brought: Brought) -> None:
    came = (
        f"{brought.experiments} experiments, {brought.runs} runs with {brought.points:,} points, "
        f"{brought.files:,} files, {brought.logged_models} logged models, {brought.models} models, "
        f"{brought.versions} versions, {brought.aliases} aliases"
    )
    screen.line(f"brought over: {came}")
    if brought.known or brought.updated:
        screen.line(f"{brought.known} runs were here already, {brought.updated} had gone on")
    for left in brought.left:
        screen.line(f"left: {left}")
    if brought.n_left > len(brought.left):
        screen.line(f"left: {brought.n_left - len(brought.left)} more")


def _show_version(screen: Screen, version: ModelVersion) -> None:
    screen.line(f"{version.ref} is what lay in {version.source}; it answers nobody yet")


def _show_written(screen: Screen, written: list[str]) -> None:
    screen.line(f"wrote {len(written)} files: {', '.join(written)}")
