"""The benchmark of why fills a project and asks it."""

from tests.benchmarks.conftest import MeasureOnBoth


def test_a_small_project_is_filled_and_asked(measure_on_both: MeasureOnBoth) -> None:
    from benchmarks import bench_why as bench

    figures = measure_on_both(
        bench, {"N_PREDICTIONS": 60, "N_WEEKS": 3, "N_MODELS": 2, "QUESTIONS": 2}
    )

    names = (
        "the version of a prediction, by its id",
        "why PREDICTION",
        "why VERSION",
        "why DATASET of one model",
        "why DATASET of all models",
        "what was in production at a moment",
        "edges of lineage",
        "predictions",
    )
    assert [figure["name"] for figure in figures] == [
        f"{kind}, {name}" for kind in ("SQLite", "PostgreSQL") for name in names
    ]
    assert all(figure["value"] > 0 for figure in figures)
    assert {figure["value"] for figure in figures if figure["unit"] == "predictions"} == {60}
