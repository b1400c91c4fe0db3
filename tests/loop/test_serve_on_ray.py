"""How many replicas are asked for, and what is refused before a cluster is looked for."""

from pathlib import Path

import pytest

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.serve_on_ray import replicas_of, serve_on_ray
from cd4ml.records.settings import ReplicaSettings


@pytest.fixture
def project(tmp_path: Path) -> Project:
    text = '[project]\nname = "flights"\n[replicas]\nmin = 2\nmax = 4\nrequests = 3.0\n'
    (tmp_path / "cd4ml.toml").write_text(text)
    return open_project(tmp_path)


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [(None, None, (2, 4)), (3, None, (3, 4)), (9, None, (9, 9)), (None, 6, (2, 6)), (1, 1, (1, 1))],
)
def test_numbers_that_are_given_replace_those_of_the_settings(
    least: int | None, most: int | None, expected: tuple[int, int], project: Project
) -> None:
    chosen = replicas_of(project, least=least, most=most)

    assert chosen == ReplicaSettings(min=expected[0], max=expected[1], requests=3.0)


def test_fewer_at_most_than_at_least_are_refused(project: Project) -> None:
    with pytest.raises(InvalidInput) as refused:
        replicas_of(project, most=1)

    assert str(refused.value) == (
        "replicas.max: expected 2 (`min`) to 10,000, got 1\n  hint: raise it, or lower `min`"
    )


def test_an_environment_that_is_not_there_is_named_first(project: Project) -> None:
    with pytest.raises(NotFound, match="no environment named 'production'"):
        serve_on_ray(project, environment="production")
