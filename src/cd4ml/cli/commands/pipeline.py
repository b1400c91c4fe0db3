"""The pipeline: what needs what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.pipeline import PipelineView, StepView

FORMATS = ("text", "mermaid", "svg")


def add(commands: Commands) -> None:
    """`pipeline show`."""
    nouns = commands.group("pipeline", "the steps of the project, and what they depend on")
    parser = nouns.add(
        "show",
        show,
        "draw the graph of steps",
        "Each step with its inputs, its parameters, and where it stands. Nothing is run; mistakes\n"
        "in the graph are said with file and line.",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="(default: text)")


def show(given: Given) -> Answer[PipelineView]:
    """The graph."""
    from cd4ml.loop.pipeline import show_pipeline

    shows = {"text": _show_text, "mermaid": _show_mermaid, "svg": _show_svg}
    return Answer(show_pipeline(given.project), shows[given.words.format])


def _show_text(screen: Screen, shown: PipelineView) -> None:
    screen.title(f"{shown.module}: {len(shown.steps)} steps")
    screen.table(
        ("step", "of", "output", "where"),
        (
            (step.name, ", ".join(step.inputs) or "nothing", step.output or "-", step.where)
            for step in shown.steps
        ),
    )
    for step in shown.steps:
        facts = _facts(step)
        if any(value for _, value in facts):
            screen.line(step.name, style="bold")
            screen.facts(facts)


def _facts(step: StepView) -> list[tuple[str, str]]:
    parameters = ", ".join(f"{name}={value!r}" for name, value in step.parameters.items())
    return [
        ("parameters", parameters),
        ("files", ", ".join(step.files)),
        ("environment variables", ", ".join(step.variables)),
        ("cached", "" if step.is_cached else "never"),
        (
            "runs again",
            f"after any edit of the project, because of {step.unseen}" if step.unseen else "",
        ),
    ]


def _show_mermaid(screen: Screen, shown: PipelineView) -> None:
    from cd4ml.loop.pipeline_picture import mermaid

    screen.verbatim(mermaid(shown))


def _show_svg(screen: Screen, shown: PipelineView) -> None:
    from cd4ml.loop.pipeline_picture import svg

    screen.verbatim(svg(shown))
