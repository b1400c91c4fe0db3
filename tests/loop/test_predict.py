"""Files are scored piece by piece: each row once, whatever ends it in between."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from cd4ml.errors import Cd4mlError, Conflict, ContractViolated, InvalidInput, NotFound, Refused
from cd4ml.loop.candidate import runtime_of
from cd4ml.loop.executors import Where
from cd4ml.loop.predict import Scored, predict
from cd4ml.models.violations import violations_of
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.lineage import Edge
from cd4ml.store import rows
from cd4ml.store.project import open_project
from tests.loop import kill_predict
from tests.models.builders import CONTRACT, boosted, flights, logistic
from tests.models.registered import Registered


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Path]:
    """delay/1 is the champion; `in/` has 400 flights in two files."""
    made = Registered(tmp_path_factory.mktemp("registered") / "project", sqlite_template)
    made.version(boosted())
    made.version(logistic())
    made.point("champion", 1)
    (made.folder / "in").mkdir()
    numbered = flights().drop("late").with_columns(id=pl.int_range(pl.len()))
    numbered.head(310).write_parquet(made.folder / "in" / "a.parquet", row_group_size=100)
    numbered.tail(90).write_parquet(made.folder / "in" / "b.parquet")
    made.project.close()
    return made.folder


@pytest.fixture
def registered(template: Path, tmp_path: Path) -> Iterator[Registered]:
    made = Registered.at(shutil.copytree(template, tmp_path / "project"))
    yield made
    made.project.close()


def scored(registered: Registered, **options: Any) -> Scored:
    """`in/` scored into `scored/`, 150 rows at a time."""
    folder = registered.folder
    asked = {
        "input": str(folder / "in"),
        "output": str(folder / "scored"),
        "piece_rows": 150,
        "actor": "ann",
    }
    ref = options.pop("ref", "delay@champion")
    return predict(registered.project, ref, **asked | options)


def break_rows(registered: Registered) -> None:
    """Rows 3 and 200 of the first file do not keep the contract."""
    path = registered.folder / "in" / "a.parquet"
    broken = pl.col("id").is_in([3, 200])
    hour = pl.when(broken).then(24).otherwise("hour")
    frame = pl.read_parquet(path).with_columns(hour=hour)
    frame.write_parquet(path)


def expected(registered: Registered, number: int = 1) -> list[float]:
    runtime = runtime_of(registered.project, registered.registered(number))
    return runtime.score(flights().drop("late").to_dicts())


def output(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "*.parquet").sort("id")


def test_each_row_of_each_file_is_answered_as_the_endpoint_would(registered: Registered) -> None:
    told: list[tuple[int, int]] = []

    ended = scored(registered, tell=lambda n, of: told.append((n, of)))

    folder = registered.folder / "scored"
    assert output(folder)["score"].to_list() == expected(registered)
    assert output(folder).columns == ["carrier", "dest", "hour", "temp", "wind", "id", "score"]
    assert sorted(path.name for path in folder.glob("*.parquet")) == [
        "part-00000-000000000000.parquet",
        "part-00000-000000000150.parquet",
        "part-00000-000000000300.parquet",
        "part-00001-000000000000.parquet",
    ]
    assert told[0] == (0, 4)
    assert told[-1] == (4, 4)
    assert ended == Scored(
        ref="delay/1",
        output=str(folder),
        n_files=2,
        n_pieces=4,
        n_before=0,
        n_scored=400,
        n_aside=0,
        dataset="scored@1",
    )


def test_the_output_is_a_dataset_version_made_by_the_model(registered: Registered) -> None:
    scored(registered)
    with registered.project.database.read() as connection:
        version = rows.get(connection, DatasetVersion, "scored", 1)
        edges = rows.find(connection, Edge, child=version.digest)
        entry = rows.find(connection, LedgerEntry, action="model.scored files")[0]

    assert version.n_rows == 400
    assert [(edge.parent, edge.role) for edge in edges] == [("delay/1", "scored by")]
    assert (entry.subject, entry.actor, entry.details["n_scored"]) == ("delay/1", "ann", 400)


def test_outside_the_project_it_is_only_on_record(registered: Registered, tmp_path: Path) -> None:
    ended = scored(registered, output=str(tmp_path / "elsewhere"), columns=("id",), column="p")

    assert ended.dataset == ""
    assert output(tmp_path / "elsewhere").columns == ["id", "p"]


def test_a_way_out_of_the_project_leads_out_of_it(registered: Registered) -> None:
    ended = scored(registered, output=f"{registered.folder}/in/../../outside")

    assert (ended.output, ended.dataset) == (str(registered.folder.parent / "outside"), "")


def test_rows_that_break_the_contract_end_the_batch_with_their_place(
    registered: Registered,
) -> None:
    break_rows(registered)

    with pytest.raises(ContractViolated) as refusal:
        scored(registered)

    path = registered.folder / "in" / "a.parquet"
    assert str(refusal.value) == (
        f"1 row of {path} breaks the contract 'delay'\n"
        "  - row 3, hour: expected an integer from 0 to 23, got 24\n"
        "  hint: correct them, or have such rows set aside: --on-violation aside"
    )
    assert not (registered.folder / "scored").exists()


def test_after_a_refusal_the_corrected_files_are_scored_by_the_same_command(
    registered: Registered,
) -> None:
    whole = (registered.folder / "in" / "a.parquet").read_bytes()
    break_rows(registered)
    (registered.folder / "scored").mkdir()
    with pytest.raises(ContractViolated):
        scored(registered)
    (registered.folder / "in" / "a.parquet").write_bytes(whole)

    found = scored(registered)

    assert (found.n_before, found.n_scored) == (0, 400)
    assert output(registered.folder / "scored")["score"].to_list() == expected(registered)


def test_what_was_written_before_a_refusal_stays_with_the_plan_it_was_written_by(
    registered: Registered,
) -> None:
    path = registered.folder / "in" / "b.parquet"
    whole = path.read_bytes()
    pl.read_parquet(path).with_columns(hour=pl.lit(24, pl.Int64)).write_parquet(path)
    with pytest.raises(ContractViolated):
        scored(registered)
    path.write_bytes(whole)

    with pytest.raises(Conflict, match="another batch was begun: other files were read"):
        scored(registered)

    assert len(list((registered.folder / "scored").glob("*.parquet"))) == 3


def test_or_they_are_set_aside_with_the_reasons(registered: Registered) -> None:
    break_rows(registered)
    with pytest.raises(ContractViolated):
        scored(registered)

    ended = scored(registered, policy="aside")

    aside = output(registered.folder / "scored" / "aside")
    assert (ended.n_scored, ended.n_aside, ended.n_before) == (398, 2, 0)
    assert aside["id"].to_list() == [3, 200]
    row = aside.select(CONTRACT.names).row(0, named=True)
    assert msgspec.json.decode(aside["violations"][0]) == [
        msgspec.to_builtins(each) for each in violations_of(CONTRACT.fields, row)
    ]
    scores = dict(enumerate(expected(registered)))
    found = output(registered.folder / "scored")
    assert found["score"].to_list() == [scores[i] for i in range(400) if i not in (3, 200)]


def test_begun_again_it_goes_on_with_the_version_it_began_with(registered: Registered) -> None:
    class Gone(Exception):
        pass

    def leave(n: int, of: int) -> None:
        if n == 2:
            raise Gone

    with pytest.raises(Gone):
        scored(registered, tell=leave)
    registered.point("champion", 2)

    ended = scored(registered)

    assert (ended.ref, ended.n_pieces) == ("delay/1", 4)
    assert 2 <= ended.n_before < 4
    assert output(registered.folder / "scored")["score"].to_list() == expected(registered)
    assert scored(registered).n_before == 4


@pytest.mark.crash
@pytest.mark.timeout(300)
def test_wherever_it_is_killed_each_row_is_there_once_in_the_end(registered: Registered) -> None:
    break_rows(registered)
    folder = registered.folder
    registered.project.close()

    done = subprocess.run(
        [sys.executable, "-m", kill_predict.__name__, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(kill_predict.__file__).parents[2],
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30
    registered.project = open_project(folder)
    found, aside = output(folder / "scored"), output(folder / "scored" / "aside")
    assert sorted([*found["id"], *aside["id"]]) == list(range(400))
    undisturbed = scored(registered, policy="aside", output=str(folder.parent / "again"))
    assert (undisturbed.n_scored, undisturbed.n_aside) == (found.height, aside.height)
    assert output(folder.parent / "again").equals(found)


def test_worker_processes_give_the_same(registered: Registered) -> None:
    scored(registered, where=Where(executor="processes", workers=2))

    assert output(registered.folder / "scored")["score"].to_list() == expected(registered)


def test_objects_in_s3_are_read_and_written(registered: Registered, s3_url: str) -> None:
    import obstore
    from obstore.store import S3Store

    store = S3Store.from_url(s3_url)
    for name in ("a", "b"):
        path = registered.folder / "in" / f"{name}.parquet"
        obstore.put(store, f"in/{name}.parquet", path.read_bytes())

    ended = scored(registered, input=f"{s3_url}/in/*.parquet", output=f"{s3_url}/out")

    names = [entry["path"] for batch in obstore.list(store, prefix="out") for entry in batch]
    parts = [obstore.get(store, n).bytes().to_bytes() for n in names if n.startswith("out/part")]
    found = pl.concat([pl.read_parquet(part) for part in parts]).sort("id")
    assert found["score"].to_list() == expected(registered)
    assert (ended.n_files, ended.dataset) == (2, "")
    assert scored(registered, input=f"{s3_url}/in/", output=f"{s3_url}/other").n_scored == 400


def test_nothing_else_is_written_into(registered: Registered) -> None:
    folder = registered.folder
    scored(registered)
    with pytest.raises(Conflict) as other:
        scored(registered, ref="delay/2")
    assert str(other.value) == (
        f"in {folder}/scored another batch was begun: another model was asked for\n"
        "  hint: name another folder: --output FOLDER"
    )
    with pytest.raises(Conflict, match="another batch was begun: piece_rows was 150"):
        scored(registered, piece_rows=100)
    break_rows(registered)
    with pytest.raises(Conflict, match="another batch was begun: other files were read"):
        scored(registered)
    with pytest.raises(InvalidInput, match="is not empty: it has"):
        scored(registered, output=str(folder / "in"))


def test_what_cannot_be_scored_is_said_before_anything_is_written(registered: Registered) -> None:
    folder = registered.folder
    (folder / "none").mkdir()
    (folder / "text.parquet").write_text("no table")
    missing = folder / "missing.parquet"
    flights().drop("hour").write_parquet(missing)
    for options, error, message in (
        ({"input": str(folder / "none")}, NotFound, "no Parquet file matches"),
        ({"input": str(folder / "nowhere")}, NotFound, "there is no file"),
        ({"input": str(folder / "text.parquet")}, InvalidInput, "cannot be read"),
        ({"columns": ("gate",)}, InvalidInput, "has no column 'gate'"),
        ({"column": ""}, InvalidInput, "expected a name for the column of the answers, got none"),
        ({"ref": "delay/99"}, NotFound, "no model version"),
        ({"dataset": "two words"}, InvalidInput, "expected a name that a step's parameter"),
    ):
        with pytest.raises(error, match=message):
            scored(registered, output=str(folder / "out"), **options)
        assert not (folder / "out").exists()
    with pytest.raises(InvalidInput, match="the rows lack hour"):
        scored(registered, input=str(missing))
    with pytest.raises(InvalidInput, match="has a column 'wind' already"):
        scored(registered, column="wind", output=str(folder / "out"))


def test_files_that_would_be_no_dataset_are_said_before_anything_is_scored(
    registered: Registered, tmp_path: Path
) -> None:
    folder = registered.folder
    path = folder / "in" / "b.parquet"
    pl.read_parquet(path).with_columns(gate=pl.lit("B12")).write_parquet(path)

    with pytest.raises(InvalidInput) as refusal:
        scored(registered)

    assert str(refusal.value) == (
        f"{path} has other columns than {folder / 'in' / 'a.parquet'}: it has 'gate' besides\n"
        "  hint: the output becomes one dataset: keep what all of them have, --keep COLUMN, or"
        " write it to a folder outside of the project"
    )
    assert not (folder / "scored").exists()
    assert scored(registered, columns=("id", "hour")).dataset == "scored@1"
    assert scored(registered, output=str(tmp_path / "elsewhere")).n_scored == 400


def test_a_version_without_a_package_cannot_answer(registered: Registered) -> None:
    version = msgspec.structs.replace(registered.registered(1), number=9, artifact="")
    with registered.project.database.write() as connection:
        rows.insert(connection, version)

    with pytest.raises(Refused, match="delay/9 is not packaged yet"):
        scored(registered, ref="delay/9")


def test_a_model_that_fails_says_on_which_rows(registered: Registered) -> None:
    from tests.models.builders import fragile

    version = registered.version(fragile())
    path = registered.folder / "in" / "b.parquet"
    pl.read_parquet(path).with_columns(wind=99.5).write_parquet(path)

    with pytest.raises(Cd4mlError) as failure:
        scored(registered, ref=version.ref)

    assert str(failure.value) == (
        f"the model failed on rows 0 and following of {path}\n"
        "  hint: it said: no wind blows like that"
    )
