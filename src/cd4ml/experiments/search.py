"""A search at work: begins trials, writes down how they ended, and knows when it is over.

Every trial is a row, written before its process begins and after it ended. So whatever
ends this process, the next one finds what was tried and goes on with the rest: a trial that
finished is never tried again, and none is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from cd4ml.experiments import trials as written
from cd4ml.experiments.ownership import LEASE_S, Ownership, require_own, take
from cd4ml.experiments.schedule import Schedule, best_of
from cd4ml.experiments.workers import Attempt, Ended, MakeExecutor, Outcome, Workers
from cd4ml.records.run import Run
from cd4ml.records.search import Search, Trial
from cd4ml.store import rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.clock import Clock
    from cd4ml.store.database import Database

Progress = Callable[[Trial, int, int], None]  # the trial that ended, how many did, of how many

_RENEW_S = LEASE_S / 3


class SearchAtWork:
    """This process, at work on a search.

    Args:
        search: As it is stored.
        database: Where its trials are kept.
        clock: Tells when.
        state: The project's folder for what cd4ml keeps.

    Raises:
        Conflict: If another process is at work on it.
    """

    def __init__(self, search: Search, *, database: Database, clock: Clock, state: Path) -> None:
        self._database = database
        self._clock = clock
        with database.write() as connection:
            current = rows.get(connection, Search, search.number, lock=True)
            self._search, self._held = self._taken(connection, current, state)
            found = written.settle(connection, self._search)
        self._schedule = Schedule(self._search.plan, search.number, found)
        self._began = self._renewed = monotonic()
        self._suspects: list[Trial] = []  # underway when a process died: each is tried alone
        self._alone: int | None = None  # the position of the one that is
        self._lost: list[Trial] = []  # whose own process died: each is tried once more
        self._n_lost: Counter[int] = Counter()  # position -> how often

    def _taken(
        self, connection: Connection, search: Search, state: Path
    ) -> tuple[Search, Ownership]:
        now = self._clock.machine_time()
        return take(connection, search, state=state, machine_time=now)

    def run(
        self,
        attempt: Attempt,
        *,
        progress: Progress | None = None,
        executor: MakeExecutor | None = None,
    ) -> Search:
        """Attempt what is left to try; returns the search as it ended.

        Args:
            attempt: Tries one, in a process of its own.
            progress: Is told of each trial that ends.
            executor: Makes what runs trials, where it is not processes of this machine.

        Raises:
            KeyboardInterrupt: If it was interrupted: the search can go on later.
            Conflict: If another process took it over, because this one was silent for long.
        """
        try:
            with Workers(attempt, self._search.plan.workers, executor) as workers:
                self._attempt_all(workers, progress)
            with self._database.write() as connection:
                return self._end(connection)
        except KeyboardInterrupt:
            with self._database.write() as connection:
                current = require_own(connection, self._search)
                written.interrupt_search(connection, current, spent_s=self._spent_s)
            raise
        finally:
            self._held.end()

    @property
    def _spent_s(self) -> float:
        return self._search.spent_s + monotonic() - self._began

    def _attempt_all(self, workers: Workers, progress: Progress | None) -> None:
        ended: list[Ended] = []
        while True:
            told = self._ended(ended)
            begun = self._next(workers.n_underway)
            self._write([*told, *begun])
            for trial in told:
                if progress:
                    progress(trial, self._schedule.n_ended, self._schedule.n_total)
            workers.begin(begun)
            if not workers.n_underway:
                return
            ended = workers.wait()

    def _ended(self, ended: Sequence[Ended]) -> list[Trial]:
        """The trials that ended, without those whose process died and that are tried again."""
        known = [each for each in ended if not (self._is_lost(each) or self._is_suspect(each))]
        if not known:
            return []
        with self._database.read() as connection:  # whether a step's report said: pruned
            found = [self._with_outcome(connection, each) for each in known]
        for trial in found:
            self._schedule.put(trial)
        return found

    def _with_outcome(self, connection: Connection, each: Ended) -> Trial:
        trial = rows.get(connection, Trial, self._search.number, each.trial.position)
        outcome = each.outcome or Outcome(reason=each.lost or written.DIED)
        number = outcome.run or trial.run
        run = rows.find(connection, Run, number=number) if number else []
        cost = run[0].cost if run else None
        return written.ended_trial(self._search.plan, trial, outcome, cost=cost)

    def _is_lost(self, each: Ended) -> bool:
        """Whether its own process died for the first time: its machine may have been to blame."""
        if not each.lost:
            return False
        self._n_lost[each.trial.position] += 1
        if self._n_lost[each.trial.position] > 1:
            return False
        self._lost.append(each.trial)
        return True

    def _is_suspect(self, each: Ended) -> bool:
        """Whether its process died beside others: it may have been the end of them, or a victim."""
        is_alone = each.trial.position == self._alone
        if is_alone:
            self._alone = None
        if each.outcome is None and not each.lost and not is_alone:
            self._suspects.append(each.trial)
            return True
        return False

    def _next(self, n_underway: int) -> list[Trial]:
        if self._suspects or self._alone is not None:
            return [] if n_underway else [self._tried_alone(self._suspects.pop(0))]
        begun = [self._again(trial) for trial in self._lost]
        self._lost.clear()
        while n_underway + len(begun) < self._search.plan.workers:
            trial = self._schedule.next(spent_s=self._spent_s)
            if trial is None:
                break
            self._schedule.put(trial)
            begun.append(trial)
        return begun

    def _tried_alone(self, trial: Trial) -> Trial:
        self._alone = trial.position
        return self._again(trial)

    def _again(self, trial: Trial) -> Trial:
        again = msgspec.structs.replace(trial, run=0, attempts=trial.attempts + 1)
        self._schedule.put(again)
        return again

    def _write(self, trials: Sequence[Trial]) -> None:
        """Write down what changed, and that this process is alive."""
        if not trials and monotonic() - self._renewed < _RENEW_S:
            return
        with self._database.write() as connection:
            current = require_own(connection, self._search)
            until = self._clock.machine_time() + timedelta(seconds=LEASE_S)
            alive = msgspec.structs.replace(current, lease_until=until, spent_s=self._spent_s)
            rows.replace(connection, alive)
            for trial in trials:
                rows.put(connection, trial)
        self._renewed = monotonic()

    def _end(self, connection: Connection) -> Search:
        current = require_own(connection, self._search)
        spent = msgspec.structs.replace(current, spent_s=self._spent_s)
        reason = self._schedule.end(spent_s=self._spent_s) or "all trials have ended"
        best = best_of(spent.plan, self._schedule.trials)
        return written.end_search(connection, spent, reason=reason, best=best, at=self._clock.now())
