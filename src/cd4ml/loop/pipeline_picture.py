"""The pipeline as a picture: SVG that can be looked at anywhere, or Mermaid."""

from __future__ import annotations

from cd4ml.loop.drawing import (
    HEIGHT,
    WIDTH,
    corner,
    mermaid_text,
    short,
    size_of,
    text,
    way_of,
)
from cd4ml.loop.layout import layout
from cd4ml.loop.pipeline import PipelineView, StepView

_DATA, _STEP, _COMMAND = ("#e6f0f7", "#0b5d8f"), ("#eef1f4", "#4f5a66"), ("#fcefdf", "#984a00")


def svg(shown: PipelineView) -> str:
    """The pipeline as one SVG element, from datasets on the left to results on the right.

    Each box and arrow has a title, and the whole a sentence, for who cannot see it.
    """
    steps = {step.name: step for step in shown.steps}
    placed = layout([*shown.datasets, *steps], list(dict.fromkeys(shown.arrows)))
    width, height = size_of(placed.n_layers, placed.n_rows)
    sentence = f"Pipeline {shown.module}: {len(steps)} steps from {len(shown.datasets)} datasets"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="pipeline" width="{width}" '
            f'height="{height}" viewBox="0 0 {width} {height}" role="group" '
            f'aria-label="{text(sentence)}" font-family="sans-serif" font-size="12">',
            *(way_of(way, f"{a} to {b}") for (a, b), way in placed.ways.items()),
            *(_box(name, steps.get(name), *corner(*at)) for name, at in placed.places.items()),
            "</svg>",
        ]
    )


def mermaid(shown: PipelineView) -> str:
    """The pipeline as a Mermaid flowchart, as Markdown pages show it."""
    names = [*shown.datasets, *(step.name for step in shown.steps)]
    ids = {name: f"n{i}" for i, name in enumerate(names)}
    datasets = [f'  {ids[name]}[("{mermaid_text(name)}")]' for name in shown.datasets]
    steps = [f'  {ids[each.name]}["{_label(each)}"]' for each in shown.steps]
    arrows = [f"  {ids[a]} --> {ids[b]}" for a, b in shown.arrows]
    return "\n".join(["flowchart LR", *datasets, *steps, *arrows])


def _label(step: StepView) -> str:
    below = _kind(step)
    return f"{mermaid_text(step.name)}<br/>{mermaid_text(below)}" if below else step.name


def _kind(step: StepView | None) -> str:
    if step is None:
        return "dataset"
    return "command" if step.is_command else step.output


def _box(name: str, step: StepView | None, x: float, y: float) -> str:
    fill, stroke = _DATA if step is None else _COMMAND if step.is_command else _STEP
    title = f"dataset {name}" if step is None else _title(step)
    dashes = "" if step is None or step.is_cached else ' stroke-dasharray="4 3"'
    return (
        f"<g><title>{text(title)}</title>"
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{fill}" '
        f'stroke="{stroke}"{dashes}/>'
        f'<text x="{x + 10:g}" y="{y + 17:g}" fill="{stroke}" font-size="10">'
        f"{text(_kind(step) or 'step')}</text>"
        f'<text x="{x + 10:g}" y="{y + 34:g}" fill="#17212b">{text(short(name))}</text></g>'
    )


def _title(step: StepView) -> str:
    parameters = ", ".join(f"{name}={value!r}" for name, value in step.parameters.items())
    what = "command" if step.is_command else "step"
    cached = "" if step.is_cached else ", never cached"
    return f"{what} {step.name}({parameters}), {step.where}{cached}"
