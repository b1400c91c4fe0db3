from io import BytesIO
from typing import Any

import pytest

from cd4ml.errors import InvalidInput
from cd4ml.experiments.figures import picture_of


class Image:
    """What Pillow calls an image."""

    size = (1, 1)

    def save(self, file: BytesIO, format: str) -> None:
        file.write(format.encode())


class Chart:
    """What Altair calls a chart: it can save itself as well."""

    def to_json(self) -> str:
        return "{}"

    def save(self, file: Any) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("figure", "path", "expected"),
    [
        (Image(), "a/b", ("a/b.png", b"PNG")),
        (Image(), "b.jpg", ("b.jpg", b"JPEG")),
        (Chart(), "c", ("c.json", b"{}")),
        (Chart(), "c.vl", ("c.vl", b"{}")),
    ],
)
def test_a_figure_draws_itself(figure: Any, path: str, expected: tuple[str, bytes]) -> None:
    assert picture_of(figure, path) == expected


def test_what_cannot_draw_itself_is_said() -> None:
    with pytest.raises(InvalidInput) as refused:
        picture_of("curve", "a")

    assert refused.value.message == (
        "expected a figure of Matplotlib, Plotly, Altair or Pillow, got str"
    )
