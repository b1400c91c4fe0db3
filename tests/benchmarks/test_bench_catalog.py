"""The benchmark of the catalog fills a project and measures in it."""

from tests.benchmarks.conftest import MeasureOnBoth


def test_a_small_catalog_is_filled_searched_and_traced(measure_on_both: MeasureOnBoth) -> None:
    from benchmarks import bench_catalog as bench

    figures = measure_on_both(bench, {"N_DATASETS": 20, "TOGETHER": 10, "REPEATS": 1, "LAYERS": 3})

    names = [
        f"{kind}, {measured}"
        for kind in ("SQLite", "PostgreSQL")
        for measured in (
            *(f"search: {query}" for query in bench.QUERIES),
            *(f"lineage: {what}" for what in ("up", "down", "impact")),
        )
    ]
    assert [figure["name"] for figure in figures] == names
    assert all(figure["value"] > 0 for figure in figures)
