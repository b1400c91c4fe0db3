"""An answer leaves once it is in the blob store."""

import asyncio
from pathlib import Path

import pytest

from cd4ml.errors import Unavailable
from cd4ml.serving.shipping import Shipper
from cd4ml.store.blobs import Blobs, open_blobs
from tests.models.builders import boosted
from tests.serving.builders import Released, arm, server


def lines_in(store: Blobs) -> list[bytes]:
    names = sorted(each.name for each in store.names())
    return [line for name in names for line in store.read(name).splitlines()]


def test_requests_that_wait_at_the_same_time_share_an_object(blobs: Blobs) -> None:
    shipper = Shipper(blobs, patience_s=10)

    async def ask() -> None:
        await asyncio.gather(*(shipper.ship([b"%d" % i]) for i in range(100)))
        await shipper.ship([b"later", b"too"])

    asyncio.run(ask())

    assert sorted(lines_in(blobs))[-2:] == [b"later", b"too"]
    assert len(lines_in(blobs)) == 102
    assert 2 <= len(blobs.names()) <= 3


def test_a_store_that_is_away_refuses_and_is_used_again_once_it_is_back(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path / "shipped"))
    shipper = Shipper(blobs, patience_s=10)

    async def ask() -> None:
        await shipper.ship([b"before"])
        (tmp_path / "shipped").rename(tmp_path / "away")
        (tmp_path / "shipped").write_text("no folder")
        with pytest.raises(Unavailable, match=r"the folder of the blobs .* is gone"):
            await shipper.ship([b"lost"])
        (tmp_path / "shipped").unlink()
        (tmp_path / "away").rename(tmp_path / "shipped")
        await shipper.ship([b"after"])

    asyncio.run(ask())

    assert lines_in(blobs) == [b"before", b"after"]


def test_a_folder_of_blobs_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path / "blobs"))
    shipper = Shipper(blobs.below("shipped"), patience_s=10)
    (tmp_path / "blobs").rename(tmp_path / "away")

    with pytest.raises(Unavailable) as refused:
        asyncio.run(shipper.ship([b"lost"]))
    for write in (
        shipper.try_out,
        lambda: blobs.put(b"a"),
        lambda: blobs.put_entry("a", b"b"),
        lambda: blobs.below("other"),
    ):
        with pytest.raises(Unavailable, match="is gone, and nothing is made in its place"):
            write()

    assert not (tmp_path / "blobs").exists()
    assert refused.value.message == (
        f"the folder of the blobs {tmp_path / 'blobs'} is gone, and nothing is made in its place"
    )
    assert refused.value.discreet == "the blob store does not work"  # callers are given no paths
    (tmp_path / "away").rename(tmp_path / "blobs")
    shipper.try_out()
    asyncio.run(shipper.ship([b"after"]))
    assert lines_in(blobs.below("shipped")) == [b"after"]


@pytest.mark.slow
def test_answers_are_refused_while_the_folder_of_the_blobs_is_gone(project: Released) -> None:
    project.plan(arm(project.model(boosted(max_iter=2))))
    settings = project.folder / "cd4ml.toml"
    settings.write_text(settings.read_text() + '[capture]\nship = "before-answer"\n')
    blobs, away = project.folder / ".cd4ml/blobs", project.folder / "away"

    with server(project.folder) as running, running.caller() as caller:
        caller.ask()
        blobs.rename(away)
        refused = caller.ask()
        is_made = blobs.exists()
        away.rename(blobs)
        again = caller.ask()

    assert (refused.status, is_made, again.status) == (503, False, 200)
    assert refused.json["error"] == (
        "the answer could not be recorded, so it is not given: the blob store does not work"
    )


@pytest.mark.slow
def test_a_lost_machine_has_lost_no_answer(project: Released) -> None:
    project.plan(arm(project.model(boosted(max_iter=2))))
    settings = project.folder / "cd4ml.toml"
    settings.write_text(settings.read_text() + '[capture]\nship = "before-answer"\n')

    with server(project.folder) as running, running.caller() as caller:
        replies = [caller.ask() for _ in range(30)]
        running.end("KILL")
    for path in project.project.segments.iterdir():
        path.unlink()  # the disk is gone

    assert project.project.log.collect() == 30
    answered = {reply.json["predictions"][0]["prediction_id"] for reply in replies}
    collected = project.project.log.predictions().collect()["prediction_id"]
    assert set(collected) == answered
