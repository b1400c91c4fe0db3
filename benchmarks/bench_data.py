"""What do versions of files cost beside DVC and git-annex, and how many publish at once beside Delta Lake?

20,000 files of 20 kB and one of 2 GB, random bytes, in the page cache. cd4ml flushes to the disk
what it stores before a version counts, DVC does not. "As a command" is from the start of the
interpreter to its end; "in process" leaves out interpreter and imports, on both sides.

Run:
    OMP_NUM_THREADS=1 python benchmarks/bench_data.py
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import contest
import corpus
from contest import Cost, cost_of, figure, in_turn, peer
from contestants import DVC, Cd4ml, Dvc, GitAnnex, Ground
from publishing import at_once, together

HOW = {"as a command": False, "in process": True}
WRITERS, SECONDS = 8, 3

Costs = Mapping[str, Cost]


def main() -> None:
    """Measure, print."""
    with contest.scratch() as folder:
        ground = Ground(folder)
        peer("dvc", DVC)
        corpus.many(ground.folder / "many")
        many_files(ground)
        corpus.few(ground.folder / "few", ground.folder / "many")
        few_files(ground)
        shutil.rmtree(ground.folder / "many")
        corpus.big(ground.folder / "big" / "film.bin")
        one_big_file(ground)
    with contest.scratch() as folder:
        peer("deltalake", version("deltalake"))
        publishers(folder)


def many_files(ground: Ground) -> None:
    """The first version of 20,000 files, and the next one after a file has changed."""
    ours, dvc = Cd4ml(ground), Dvc(ground)
    folder, numbers = ground.folder / "many", random.Random(2)

    def read() -> Costs:
        return {"read": cost_of(lambda: corpus.hashed(folder))}

    def referenced(how: str) -> Costs:
        ours.begin()
        return {f"referenced {how}": ours.add("referenced", in_process=HOW[how])}

    def twice(side: Cd4ml | Dvc, what: str, how: str) -> Costs:
        side.begin()
        first = side.add(what, in_process=HOW[how])
        corpus.change_one(folder, numbers)
        again = side.add(what, in_process=HOW[how])
        return {f"{what} {how}": first, f"{what} changed {how}": again}

    turns = [read]
    for how in HOW:
        turns += [
            lambda how=how: referenced(how),
            lambda how=how: twice(ours, "copied", how),
            lambda how=how: twice(dvc, "many", how),
        ]
    _say_many(in_turn(turns, rounds=3))


def _say_many(cost: Costs) -> None:
    files = "20,000 files"
    figure(f"{files}: one BLAKE3 read, mapped, a thread a core", cost["read"].wall_s, "s")
    for how in HOW:
        dvc, referenced, copied = (
            cost[f"{what} {how}"] for what in ("many", "referenced", "copied")
        )
        again, dvc_again = cost[f"copied changed {how}"], cost[f"many changed {how}"]
        here = f"{files} {how}"
        figure(f"{here}: `dvc add`", dvc.wall_s, "s")
        figure(f"{here}: referenced in place", referenced.wall_s, "s")
        figure(f"{here}: copied into the store", copied.wall_s, "s")
        beside = cost["read"].wall_s
        figure(f"{here}: referenced, beside the read", referenced.wall_s / beside, "times", "<= 3")
        figure(
            f"{here}: `dvc add` beside referenced", dvc.wall_s / referenced.wall_s, "times", ">= 5"
        )
        figure(f"{here}: `dvc add` beside copied", dvc.wall_s / copied.wall_s, "times", ">= 4")
        figure(
            f"{here}: processors, copied beside `dvc add`",
            copied.cpu_s / dvc.cpu_s,
            "times",
            "<= 1",
        )
        figure(f"{here}, one changed: `dvc add`", dvc_again.wall_s, "s")
        figure(f"{here}, one changed: copied", again.wall_s, "s", "<= 0.25")
        ratio = dvc_again.wall_s / again.wall_s
        figure(f"{here}, one changed: `dvc add` beside copied", ratio, "times", ">= 12")


def few_files(ground: Ground) -> None:
    """1,000 of the files for git-annex, which takes minutes for all of them."""
    ours, annex = Cd4ml(ground), GitAnnex(ground)
    if not annex.program:
        return
    peer("git-annex", annex.version)

    def turn(side: Cd4ml | GitAnnex) -> Costs:
        side.begin()
        return {side.name: side.add("few")}

    cost = in_turn([lambda: turn(ours), lambda: turn(annex)], rounds=2)
    theirs = cost[annex.name].wall_s
    figure("1,000 of the files as a command: `git annex add`", theirs, "s")
    ratio = theirs / cost[ours.name].wall_s
    figure("1,000 of the files as a command: `git annex add` beside copied", ratio, "times")


def one_big_file(ground: Ground) -> None:
    """The first version of one file of 2 GB."""
    ours, dvc = Cd4ml(ground), Dvc(ground)

    def turn(side: Cd4ml | Dvc, how: str) -> Costs:
        side.begin()
        return {f"{side.name} {how}": side.add("big", in_process=HOW[how])}

    turns = [lambda side=side, how=how: turn(side, how) for how in HOW for side in (ours, dvc)]
    cost = in_turn(turns, rounds=5)
    for how in HOW:
        copied, theirs = cost[f"{ours.name} {how}"], cost[f"{dvc.name} {how}"]
        figure(f"2 GB {how}: `dvc add`", theirs.wall_s, "s")
        figure(f"2 GB {how}: copied", copied.wall_s, "s")
        ratio = theirs.wall_s / copied.wall_s
        figure(f"2 GB {how}: `dvc add` beside copied", ratio, "times", ">= 6")


def publishers(folder: Path) -> None:
    """8 processes that publish versions of one dataset as fast as they can."""
    kinds = ("prepared", "added", "delta")
    rounds = [
        [at_once(kind, folder / f"{kind}_{i}", writers=WRITERS, seconds=SECONDS) for kind in kinds]
        for i in range(3)
    ]
    prepared, added, delta = (together(outcomes) for outcomes in zip(*rounds, strict=True))
    who = f"{WRITERS} processes, SQLite"
    figure(f"{who}: snapshots published", prepared.rate, "versions/s", ">= 200")
    figure(
        f"{who}: snapshots refused or lost", prepared.refused + prepared.lost, "versions", "<= 0"
    )
    figure(f"{who}: small tables stored and published", added.rate, "versions/s")
    figure(f"{who}: small tables refused or lost", added.refused + added.lost, "versions", "<= 0")
    who = f"{WRITERS} processes, Delta Lake"
    figure(f"{who}: small tables appended", delta.rate, "versions/s")
    figure(f"{who}: small tables lost", delta.lost, "versions")
    figure(f"{who}: appends refused as conflicts", delta.refused, "appends")
    ratio = prepared.rate / delta.rate
    figure(f"{WRITERS} processes: snapshots published beside Delta Lake's appends", ratio, "times")
    ratio = added.rate / delta.rate
    figure(f"{WRITERS} processes: tables stored beside Delta Lake's appends", ratio, "times")


if __name__ == "__main__":
    main()
