"""What does a pipeline cost beside its own work: a first run, a run with nothing changed, a step?

Five steps on the 336,776 flights of 2013, from CSV to a model and its AUC. Every figure is from
the start of the interpreter to its end. The plain script keeps nothing but the model and its
metrics; the others keep what each step gives. cd4ml has the data as a version before the first
run, DVC hashes them in it.

Run:
    OMP_NUM_THREADS=1 python benchmarks/bench_pipeline.py
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import contest
from contest import Cost, cost_of_command, figure, in_turn, peer
from contestants import DVC
from pipelines import (
    ACTOR,
    HAMILTON,
    SNAKEMAKE,
    Cd4ml,
    Dvc,
    Ground,
    Hamilton,
    Script,
    Snakemake,
    surroundings,
)

ROUNDS, AGAIN = 3, 5
FEW, MANY = 50, 150  # steps in a chain

Costs = Mapping[str, Cost]
Side = Cd4ml | Script | Dvc | Hamilton | Snakemake


def main() -> None:
    """Measure, print."""
    with contest.scratch() as folder:
        ground = Ground(folder)
        for name, version in (("dvc", DVC), ("hamilton", HAMILTON), ("snakemake", SNAKEMAKE)):
            peer(name, version)
        first_runs(ground)
        runs_again(ground, folder)
    with contest.scratch() as folder:
        chains(folder)


def first_runs(ground: Ground) -> None:
    """Everything is computed."""

    def turn(side: Side) -> Costs:
        side.begin()
        return {side.name: side.run()}

    sides: list[Side] = [Script(ground), Cd4ml(ground)]
    cost = in_turn([lambda side=side: turn(side) for side in sides], ROUNDS)
    peers: list[Side] = [Dvc(ground), Hamilton(ground), Snakemake(ground)]
    cost |= in_turn([lambda side=side: turn(side) for side in peers], 1)
    script = cost[Script.name].wall_s
    for side in (*sides, *peers):
        figure(f"first run: `{side.name}`", cost[side.name].wall_s, "s")
    for side in (*sides[1:], *peers):
        goal = "<= 1.1" if side.name == Cd4ml.name else ""
        name = f"first run: `{side.name}` beside the plain script"
        figure(name, cost[side.name].wall_s / script, "times", goal)


def runs_again(ground: Ground, folder: Path) -> None:
    """Nothing has changed; each contestant keeps its folder, and they take turns."""
    sides: list[Side] = []
    for kind in (Cd4ml, Dvc, Hamilton, Snakemake):
        place = folder / kind.__name__
        place.mkdir()
        side = kind(Ground(place))
        side.begin()
        side.run()
        side.run()  # what a second run only has to notice is noticed
        sides.append(side)
    cost = in_turn([lambda side=side: {side.name: side.run()} for side in sides], AGAIN)
    ours = cost[Cd4ml.name]
    figure("nothing changed: `cd4ml run`", ours.wall_s, "s", "<= 0.12")
    for side in sides[1:]:
        figure(f"nothing changed: `{side.name}`", cost[side.name].wall_s, "s")
    for side in sides[1:]:
        goal = ">= 12" if side.name == Dvc.name else ""
        ratio = cost[side.name].wall_s / ours.wall_s
        figure(f"nothing changed: `{side.name}` beside `cd4ml run`", ratio, "times", goal)


def chains(folder: Path) -> None:
    """Steps that do next to nothing, one after the other: what each of them adds."""

    def turn(length: int) -> Costs:
        place = folder / f"chain{length}"
        contest.remove(place)
        place.mkdir()
        (place / "cd4ml.toml").write_text('[project]\nname = "chain"\n')
        (place / "pipeline.py").write_text(chain_of(length))
        words = (sys.executable, "-m", "cd4ml")
        env = {**surroundings(), "CD4ML_ACTOR": ACTOR}
        cost_of_command(*words, "people", "add", ACTOR, cwd=place, env=env)
        return {str(length): cost_of_command(*words, "run", cwd=place, env=env)[0]}

    cost = in_turn([lambda n=n: turn(n) for n in (FEW, MANY)], ROUNDS)
    slope = (cost[str(MANY)].wall_s - cost[str(FEW)].wall_s) / (MANY - FEW)
    figure(f"a chain of {FEW} trivial steps: `cd4ml run`", cost[str(FEW)].wall_s, "s")
    figure(f"a trivial step more, from {FEW} to {MANY}", 1000 * slope, "ms", "<= 3")


def chain_of(length: int) -> str:
    """A pipeline of so many steps, each of which adds one."""
    steps = ["from cd4ml import step\n\n\n@step\ndef s0() -> int:\n    return 0\n"]
    steps += [
        f"\n\n@step\ndef s{i}(s{i - 1}: int) -> int:\n    return s{i - 1} + 1\n"
        for i in range(1, length)
    ]
    return "".join(steps)


if __name__ == "__main__":
    main()
