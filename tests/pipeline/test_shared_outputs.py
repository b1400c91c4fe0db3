"""What was computed once is computed nowhere again where the same blobs are at hand."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from cd4ml.pipeline.run import DatasetInput, Pipeline, run_pipeline
from cd4ml.pipeline.shared_outputs import Entry, Known, share, shared
from cd4ml.pipeline.storage import Output
from cd4ml.records.lineage import Edge, Node
from cd4ml.records.run import Run, StepRun
from cd4ml.store import rows
from cd4ml.store.address import address_of, canonical
from cd4ml.store.database import Database, open_database
from tests.pipeline.projects import edit, project

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.clock import SimulatedClock

PIPELINE = """
    import polars as pl
    from cd4ml import Metrics, Model, step
    from models import Mean

    @step
    def table(flights: pl.DataFrame) -> pl.DataFrame:
        return flights.filter(pl.col("delay") > 0)

    @step
    def model(table: pl.DataFrame) -> Model:
        return Mean(table["delay"].mean())

    @step
    def scores(model: Model, table: pl.DataFrame) -> Metrics:
        return {"mean": model.predict(table)}
"""
MODELS = """
    class Mean:
        def __init__(self, mean):
            self.mean = mean

        def predict(self, rows):
            return self.mean
"""
FLIGHTS = pl.DataFrame({"delay": [0, 10, 20]})
FINGERPRINT = address_of(b"fingerprint")

Start = Callable[..., tuple[Run, dict[str, str]]]


@pytest.fixture
def start(blobs: "Blobs", clock: "SimulatedClock") -> Start:
    def run(folder: Path, database: Database, **options: Any) -> tuple[Run, dict[str, str]]:
        version = DatasetInput("flights@1", address_of(b"flights"), FLIGHTS.lazy)
        pipeline = Pipeline(
            folder,
            "pipeline",
            state=folder / ".cd4ml",
            datasets=["flights"],
            **{"takes_models": True, **options},
        )
        run = run_pipeline(
            pipeline,
            database=database,
            blobs=blobs,
            clock=clock,
            actor="ada",
            datasets={"flights": version},
            experiment="shared",
        )
        with database.read() as connection:
            steps = rows.find(connection, StepRun, run=run.number)
        return run, {step.step: step.state for step in steps}

    return run


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return project(tmp_path / "here", pipeline=PIPELINE, models=MODELS)


@pytest.fixture
def there(here: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(here, tmp_path / "there" / "clone"))


@pytest.fixture
def ours(sqlite_url: str) -> Database:
    return open_database(sqlite_url)


@pytest.fixture
def theirs(tmp_path: Path) -> Database:
    return open_database(f"sqlite:///{tmp_path}/theirs.db")


def test_a_clone_with_another_database_computes_nothing_again(
    start: Start, here: Path, there: Path, ours: Database, theirs: Database
) -> None:
    first, _ = start(here, ours)

    second, states = start(there, theirs)

    assert set(states.values()) == {"cached"}
    assert second.outputs == first.outputs


def test_its_lineage_leads_to_what_was_taken(
    start: Start, here: Path, there: Path, ours: Database, theirs: Database
) -> None:
    start(here, ours)
    run, _ = start(there, theirs)

    with theirs.read() as connection:
        node = rows.get(connection, Node, run.outputs["model"])
        parents = {edge.parent for edge in rows.find(connection, Edge, child=node.address)}
    assert (node.kind, node.name) == ("step output", "model of run/1")
    assert parents == {"run/1", run.outputs["table"]}


def test_what_differs_there_is_computed_there(
    start: Start, here: Path, there: Path, ours: Database, theirs: Database
) -> None:
    start(here, ours)
    edit(there, "models.py", "return self.mean", "return -self.mean")

    _, states = start(there, theirs)

    assert states == {"table": "cached", "model": "computed", "scores": "computed"}


def test_who_does_not_share_takes_nothing_and_offers_nothing(
    start: Start, here: Path, there: Path, ours: Database, theirs: Database
) -> None:
    start(here, ours, is_shared=False)
    assert set(start(there, theirs)[1].values()) == {"computed"}

    edit(there, "pipeline.py", "> 0", "> 1")
    edit(here, "pipeline.py", "> 0", "> 1")
    start(there, theirs)
    assert start(here, ours, is_shared=False)[1]["table"] == "computed"


def test_models_are_made_here_unless_those_who_offer_them_are_trusted(
    start: Start, here: Path, there: Path, ours: Database, theirs: Database
) -> None:
    start(here, ours)

    _, states = start(there, theirs, takes_models=False)

    assert states == {"table": "cached", "model": "computed", "scores": "cached"}


def test_a_step_that_is_never_cached_is_not_offered(
    start: Start, here: Path, there: Path, ours: Database, theirs: Database
) -> None:
    for folder in (here, there):
        edit(folder, "pipeline.py", "@step\ndef table", "@step(cache=False)\ndef table")
    start(here, ours)

    assert start(there, theirs)[1] == {"table": "computed", "model": "cached", "scores": "cached"}


def test_an_output_that_is_lost_is_computed_again(
    start: Start, here: Path, there: Path, ours: Database, theirs: Database, blobs: "Blobs"
) -> None:
    run, _ = start(here, ours)
    path = blobs.path(run.outputs["table"])
    if blobs.is_remote:
        return  # each machine has a copy of its own
    path.unlink()

    assert start(there, theirs)[1]["table"] == "computed"


def test_an_entry_is_believed_only_if_its_output_is_there(blobs: "Blobs") -> None:
    share(blobs, FINGERPRINT, Output("json", address_of(b"never stored")))

    assert shared(blobs, FINGERPRINT) is None
    assert shared(blobs, address_of(b"nobody shared it")) is None


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"no json",
        b'{"fingerprint": 1}',
        canonical(Entry(fingerprint=address_of(b"another"), kind="json", output=address_of(b"1"))),
        canonical({"fingerprint": FINGERPRINT, "kind": "novel", "output": address_of(b"1")}),
        canonical({"fingerprint": FINGERPRINT, "kind": "json", "output": "../../secrets"}),
    ],
)
def test_an_entry_that_says_something_else_is_none(blobs: "Blobs", entry: bytes) -> None:
    blobs.put(b"1")
    share(blobs, FINGERPRINT, Output("json", address_of(b"1")))
    assert shared(blobs, FINGERPRINT) == Known(Output("json", address_of(b"1")), {})
    digest = FINGERPRINT.removeprefix("blake3:")

    blobs.put_entry(f"steps/{digest[:2]}/{digest[2:]}", entry)

    assert shared(blobs, FINGERPRINT) is None


def test_the_last_one_to_share_is_believed(blobs: "Blobs") -> None:
    for text in (b"1", b"2"):
        share(blobs, FINGERPRINT, Output("json", blobs.put(text)))

    assert shared(blobs, FINGERPRINT) == Known(Output("json", address_of(b"2")), {})


def test_an_entry_says_what_else_its_output_depends_on(blobs: "Blobs") -> None:
    output = Output("json", blobs.put(b"1"))

    share(blobs, FINGERPRINT, output, {"file words": address_of(b"some")})

    assert shared(blobs, FINGERPRINT) == Known(output, {"file words": address_of(b"some")})
