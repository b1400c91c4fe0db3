"""Keeps the endpoint at the newest plan, in a thread beside the requests."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial

from cd4ml.errors import Cd4mlError, Unavailable
from cd4ml.models.runtime import load
from cd4ml.models.trust import IsTrusted, trusted_in
from cd4ml.records.plan import Plan
from cd4ml.records.worker import Worker
from cd4ml.serving.endpoint import Endpoint, build
from cd4ml.serving.guests import Guests
from cd4ml.serving.lag import Lag, Place
from cd4ml.serving.last_known import LastKnown
from cd4ml.serving.metering import metered
from cd4ml.serving.metrics import Counts
from cd4ml.serving.trouble import Trouble, raise_alert
from cd4ml.serving.warming import warm
from cd4ml.store import masking, vouched
from cd4ml.store.capture_settings import absent
from cd4ml.store.project import Project
from cd4ml.store.rows import find, put

_log = logging.getLogger(__name__)

POLL_S = 0.2
_REPORT_S = 2.0  # between two reports of the same plan
_FAREWELL_S = 5.0  # for the last report, when the database may be away
_LONGEST_WAIT_S = 2.0  # between two attempts that fail


class Watcher:
    """Polls the environment's newest plan and replaces `endpoint`, one reference, when it changed.

    Models are fetched, verified, loaded and tried in the watcher's thread, by a row that goes the
    way of a request; requests in flight keep the endpoint they took. Whatever fails is logged and tried again, and
    the last endpoint stays in force; after a restart it comes from the process's own disk.
    """

    def __init__(
        self,
        project: Project,
        environment: str,
        worker: str,
        address: str,
        guests: Guests | None = None,
        counts: Counts | None = None,
    ) -> None:
        self._guests = guests
        self.environment = environment
        self.endpoint: Endpoint | None = None
        self.counts = counts or Counts()
        self.is_draining = False  # told to end: requests in flight are finished
        self.written: Callable[[], Place] | None = None  # by the capture
        self._lag = Lag()
        self._looked_at = float("-inf")
        self.has_looked = threading.Event()  # whether what is released was asked for once
        self.trouble: Trouble | None = None  # of the capture whose alerts are raised here
        self._project = project
        masking.hide(self.private)
        self._worker = worker
        self._address = address
        self._known = LastKnown(project.state / "serving" / environment)
        self._trusted: set[str] = set()
        self._reported_plan = -1
        self._reported_at = float("-inf")
        self._is_ending = threading.Event()
        self._complaint = self._told = ""  # for the log, and for callers
        self._newest = 0  # the plan to answer with; 0 while none is known
        self._obstacle = ""  # why it cannot be followed
        self._thread = threading.Thread(target=self._work, name="watcher", daemon=True)

    def start(self) -> None:
        """Take what the disk remembers, then follow the database."""
        try:
            self._recall()
        except Exception as error:  # a damaged memory is no reason not to ask the database
            words = "the last known plan of %s cannot be used: %s"
            _log.warning(words, self.environment, _first_line(error))
        try:
            if self._guests is not None:
                self._guests.recall()
        except Exception as error:  # nor is this one
            words = "the last known tokens of %s cannot be used: %s"
            _log.warning(words, self.environment, _first_line(error))
        self._thread.start()

    def stop(self) -> None:
        """Say a last time what was answered, and end."""
        self._is_ending.set()
        self._thread.join(_FAREWELL_S)

    @property
    def needs_token(self) -> bool:
        """Whether only who shows a token is answered."""
        return self._guests is not None

    @property
    def private(self) -> frozenset[str]:
        """Fields of which no value is shown: masked on record, whose row it is, or named as personal."""
        settings = self._project.settings
        personal = (name for dataset in settings.data.values() for name in dataset.personal)
        capture = settings.capture
        return frozenset((*capture.redact, *capture.hash, capture.person, *personal))

    @property
    def lag_s(self) -> float:
        """Age of the oldest answer that no collector has taken, in seconds."""
        return self._lag.seconds

    @property
    def absence(self) -> str:
        """Why there is no endpoint yet, in words."""
        if self._newest:
            plan = f"plan/{self._newest} of {self.environment}"
            loading = f"{plan} is being loaded"
            return f"{plan} cannot be loaded: {self._obstacle}" if self._obstacle else loading
        if self._obstacle:
            return f"what is released in {self.environment} cannot be asked: {self._obstacle}"
        return f"nothing is released in {self.environment} yet"

    @property
    def remedy(self) -> str:
        """What to do while there is no endpoint yet."""
        if self._obstacle:
            return "the server's log has the whole reason; wait for GET /ready"
        return "wait for GET /ready" if self._newest else "cd4ml release; then wait for GET /ready"

    @property
    def is_settled(self) -> bool:
        """Whether it knows what to answer with: a plan is loaded, or nothing is released yet."""
        is_idle = self.has_looked.is_set() and not (self._newest or self._obstacle)
        return self.endpoint is not None or is_idle

    @property
    def is_watching(self) -> bool:
        """Whether newer plans will be taken."""
        return self._thread.is_alive()

    def _recall(self) -> None:
        known = self._known.read()
        if known is not None:
            self._trusted.update(known.trusted)
            self.endpoint = self._load(known.plan, self._was_trusted)
            words = "%s answers with plan %d, which it knows from before"
            _log.info(words, self.environment, known.plan.number)
            self._say_what_is_absent(self.endpoint)

    def _work(self) -> None:
        wait = POLL_S
        while True:
            is_last = self._is_ending.is_set()
            is_well = self._attempt(self._follow)
            self._obstacle = "" if is_well else self._told
            self.has_looked.set()
            is_well &= self._attempt(partial(self._report, is_last))
            is_well &= self._attempt(self._raise_alerts)
            is_well &= self._attempt(self._look_at_log)
            if self._guests is not None:
                is_well &= self._attempt(partial(self._guests.follow, self._project.database))
            if is_last:
                return
            wait = POLL_S if is_well else min(2 * wait, _LONGEST_WAIT_S)
            self._complaint = "" if is_well else self._complaint
            self._is_ending.wait(wait)

    def _attempt(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except BaseException as error:  # database, blobs or a model: none of them may end us
            self._complain(error)
            return False
        return True

    def _follow(self) -> None:
        with self._project.database.read() as connection:
            newest = find(
                connection, Plan, environment=self.environment, newest_first=True, limit=1
            )
            self._newest = newest[0].number if newest else 0
            if not newest or (self.endpoint is not None and self.endpoint.plan == newest[0]):
                return
            plan = newest[0]
            vouched.require(connection, plan, subject=plan.made_by)  # a release made it, or nobody
        for arm in plan.arms:
            self._known.fetch(self._project.blobs, arm.artifact)
        endpoint = self._load(plan, self._is_trusted)
        self._known.remember(plan, self._trusted)
        self.endpoint = endpoint
        _log.info("%s answers with plan %d", self.environment, plan.number)
        self._say_what_is_absent(endpoint)

    def _load(self, plan: Plan, is_trusted: IsTrusted) -> Endpoint:
        loaded = {} if self.endpoint is None else self.endpoint.runtimes
        runtimes = {
            artifact: loaded.get(artifact)
            or load(self._known.blobs, artifact, is_trusted=is_trusted)
            for artifact in {arm.artifact for arm in plan.arms}
        }
        endpoint = metered(build(plan, runtimes), self.counts)
        warm(endpoint)
        return endpoint

    def _say_what_is_absent(self, endpoint: Endpoint) -> None:
        """A name that is misspelt would protect nobody, and nobody would know."""
        names = absent(self._project.settings.capture, endpoint.contract.contract.names)
        if names:
            _log.warning(
                "[capture] names %s, which requests to %s do not have: a field that is meant by it "
                "is recorded as it comes",
                ", ".join(map(repr, names)),
                endpoint.champion.arm.ref,
            )

    def _is_trusted(self, address: str) -> bool:
        is_trusted = trusted_in(self._project.database)(address)
        if is_trusted:
            self._trusted.add(address)
        else:
            self._trusted.discard(address)
        return is_trusted

    def _was_trusted(self, address: str) -> bool:
        """As the database says; as it said last, while it is away."""
        try:
            return self._is_trusted(address)
        except Exception:  # whatever keeps the database from answering
            return address in self._trusted

    def _report(self, is_last: bool) -> None:
        plan = 0 if self.endpoint is None else self.endpoint.plan.number
        is_due = plan != self._reported_plan or time.monotonic() > self._reported_at + _REPORT_S
        if not (is_due or is_last):
            return
        worker = Worker(
            name=self._worker,
            environment=self.environment,
            address=self._address,
            process=os.getpid(),
            plan=plan,
            n_answered=self.counts.n_answered,
            seen_at=self._project.clock.machine_time(),
        )
        with self._project.database.write() as connection:
            put(connection, worker)
        self._reported_plan, self._reported_at = plan, time.monotonic()

    def _raise_alerts(self) -> None:
        incidents = self.trouble.untold() if self.trouble else []
        if not incidents or self.trouble is None or self.endpoint is None:
            return
        now = self._project.clock.now()
        with self._project.database.write() as connection:
            for incident in incidents:
                raise_alert(connection, incident, self.endpoint.plan, now=now)
        self.trouble.told(incidents)

    def _look_at_log(self) -> None:
        if self.written is None or time.monotonic() < self._looked_at + _REPORT_S:
            return
        self._lag.note(self.written())  # whether or not anybody can say what was collected
        with self._project.database.read() as connection:
            self._lag.forget(connection)
        self._looked_at = time.monotonic()

    def _complain(self, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"
        if text != self._complaint:  # once, not with every attempt
            _log.warning("%s keeps its plan: %s", self.environment, text)
        self._complaint, self._told = text, _for_callers(error)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _for_callers(error: BaseException) -> str:
    """What is wrong, without paths and hosts of the server.

    Examples:
        >>> _for_callers(Unavailable("the database sqlite:////srv/a.db is gone"))
        'a store of the project is away'
        >>> _for_callers(PermissionError(13, "Permission denied", "/srv/a"))
        'PermissionError'
    """
    if isinstance(error, Unavailable):
        return "a store of the project is away"
    return _first_line(error) if isinstance(error, Cd4mlError) else type(error).__name__
