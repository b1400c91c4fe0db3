"""Pictures as files, whichever library made them; none of them is imported."""

from __future__ import annotations

import io
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from cd4ml.errors import InvalidInput


class Picture(NamedTuple):
    """A picture's path in its run, and its bytes."""

    path: str
    content: bytes


def picture_of(figure: Any, path: str) -> Picture:
    """A figure of Matplotlib, Plotly or Altair, or an image of Pillow, as a file.

    Args:
        figure: What to keep.
        path: Where; its ending says as what. Without one: `.png`, and `.json` for Plotly and
            Altair, which draw it again from that.

    Raises:
        InvalidInput: If it is nothing that can draw itself.
    """
    ending = PurePosixPath(path).suffix.lower().removeprefix(".")
    if hasattr(figure, "savefig"):
        return _drawn(path, ending or "png", lambda file, kind: figure.savefig(file, format=kind))
    if hasattr(figure, "to_json"):
        if ending in ("html", "htm") and hasattr(figure, "to_html"):
            return Picture(path, str(figure.to_html()).encode())
        return Picture(path if ending else f"{path}.json", str(figure.to_json()).encode())
    if hasattr(figure, "save") and hasattr(figure, "size"):
        return _drawn(
            path, ending or "png", lambda file, kind: figure.save(file, format=_pil(kind))
        )
    msg = f"expected a figure of Matplotlib, Plotly, Altair or Pillow, got {type(figure).__name__}"
    raise InvalidInput(msg, hint="log_file keeps any file")


def _drawn(path: str, kind: str, draw: Any) -> Picture:
    content = io.BytesIO()
    draw(content, kind)
    named = path if PurePosixPath(path).suffix else f"{path}.{kind}"
    return Picture(named, content.getvalue())


def _pil(kind: str) -> str:
    return "JPEG" if kind == "jpg" else kind.upper()
