"""From requests to responses, several at once, without waiting for anything.

The order is the promise: read the endpoint once, check the rows, score them, append them to
the segment, answer. What could not be captured is not answered.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import msgspec

from cd4ml.errors import Cd4mlError, NotFound
from cd4ml.models.prediction_id import PredictionIds
from cd4ml.serving.answers import Answers
from cd4ml.serving.beside import Beside, asks_for_contributions, beside, refuse_unexplained
from cd4ml.serving.capture import Capture, Given, Recorded
from cd4ml.serving.endpoint import Endpoint, ModelFailed
from cd4ml.serving.guests import Guests
from cd4ml.serving.lines import Asked
from cd4ml.serving.pages import asked_model
from cd4ml.serving.protocols import Answered, Protocol
from cd4ml.serving.protocols.invocations import INVOCATIONS
from cd4ml.serving.protocols.open_inference import INFER
from cd4ml.serving.protocols.own import PREDICT
from cd4ml.serving.request import RequestRefused, Row
from cd4ml.serving.shadows import Shadows
from cd4ml.serving.together import answers_to
from cd4ml.serving.tracing import Tracer
from cd4ml.serving.watcher import Watcher
from cd4ml.serving.wire import Request, Response, explained
from cd4ml.store.clock import Clock, microseconds

_log = logging.getLogger(__name__)

_ALSO = {  # headers that a status asks for: RFC 9110, 15.5.2 and 15.5.6
    401: ((b"www-authenticate", b"Bearer"),),
    405: ((b"allow", b"POST"),),
}
_PROTOCOLS = {"/predict": PREDICT, "/invocations": INVOCATIONS}


def protocol_of(path: str) -> Protocol | None:
    """How predictions are asked for at a path; None if they are not."""
    if path.startswith("/v2/models/") and path.endswith("/infer"):
        return INFER
    return _PROTOCOLS.get(path)


class Call(msgspec.Struct, frozen=True, gc=False):
    """A request that was read; `endpoint` is what it took already (None: nothing yet)."""

    protocol: Protocol
    path: str
    request: Request
    endpoint: Endpoint | None = None


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What a request is answered with; without `given` it is refused.

    `lines` have to be shipped before the response leaves.
    """

    response: Response
    given: Given | None = None
    lines: Sequence[bytes] = ()


class UnderWay(msgspec.Struct, frozen=True, gc=False):
    """A request that keeps the contract: `Unanswered` until its rows have scores."""

    call: Call
    endpoint: Endpoint
    rows: list[Row]
    keys: list[str]
    asked: Asked
    is_explained: bool = False  # its caller asks what each field adds


class Complete(msgspec.Struct, frozen=True, gc=False):
    """What a request is answered with, once that is recorded."""

    given: Given
    beside: Beside


class Answering:
    """Answers requests of one environment; used by one thread.

    A request goes through `outcomes`, then its lines are shipped if there are any, then
    `left` counts it, then its response is sent, then `copy` gives it to the shadows.

    Args:
        watcher: Keeps the endpoint at the newest plan.
        clock: Says when an answer was given.
        capture: Records what is about to leave.
        guests: Who may ask; None: everybody.
        tracer: Is told of each request, if there is one.
    """

    def __init__(
        self,
        watcher: Watcher,
        clock: Clock,
        capture: Capture,
        guests: Guests | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.counts = watcher.counts
        self.capture = capture
        self.shadows = Shadows(capture, watcher.counts)
        self._watcher = watcher
        self._clock = clock
        self._guests = guests
        self._tracer = tracer
        self._ids = PredictionIds()

    def endpoint_for(
        self, protocol: Protocol, path: str, headers: Iterable[tuple[bytes, bytes]]
    ) -> Endpoint:
        """What answers a request; it is asked for once.

        Raises:
            RequestRefused: If the request may not ask, or nothing is loaded yet.
            NotFound: If it names another model.
        """
        if self._guests is not None:
            self._guests.refuse_strangers(headers)
        endpoint = self._watcher.endpoint
        if endpoint is None:
            raise RequestRefused(503, self._watcher.absence, hint=self._watcher.remedy)
        if protocol is INFER:
            asked_model(endpoint, path)
        return endpoint

    def outcomes(self, calls: Sequence[Call]) -> list[Outcome]:
        """What becomes of requests that were read in one turn, in their order.

        They are scored in one call and recorded by one write. Each fails by itself.
        """
        at_us = self.now_us()
        if len(calls) == 1:
            only = self.begin(calls[0], at_us)
            return [only] if isinstance(only, Outcome) else self.finish([only], answers_to([only]))
        begun = [self.begin(call, at_us) for call in calls]
        ready = [each for each in begun if isinstance(each, UnderWay)]
        finished = iter(self.finish(ready, answers_to(ready)))
        return [next(finished) if isinstance(each, UnderWay) else each for each in begun]

    def now_us(self) -> int:
        """The time of an answer that is given now, in microseconds since 1970."""
        return microseconds(self._clock.now())

    def begin(self, call: Call, at_us: int) -> UnderWay | Outcome:
        """Read and check a request's rows; what becomes of it, if that is settled thereby."""
        try:
            return self._taken(call, at_us)
        except BaseException as error:  # the others of its turn go on
            return self.refusal(error)

    def finish(
        self, requests: Sequence[UnderWay], answered: Sequence[Answers | BaseException]
    ) -> list[Outcome]:
        """Record what `answers_to` gave for requests, and make their responses."""
        try:
            return self._given(requests, answered)
        except BaseException as error:  # a bug of ours: what may not be recorded is not answered
            return [self.refusal(error) for _ in requests]

    def refusal(self, error: BaseException) -> Outcome:
        """What a request is answered with that met an error."""
        if isinstance(error, RequestRefused):
            self._count_violations(error)
            response = explained(error.status, error, error.violations)
            more = _ALSO.get(error.status, ())
            return Outcome(msgspec.structs.replace(response, more=more))
        if isinstance(error, NotFound):
            return Outcome(explained(404, error))
        if isinstance(error, ModelFailed):
            self.counts.add_failure(error.arm)
            return Outcome(explained(500, error))
        _log.error("a request failed", exc_info=error)  # a bug of ours: the caller still gets JSON
        failed = Cd4mlError("the server failed on this request", hint="its log has the reason")
        return Outcome(explained(500, failed))

    def left(self, outcome: Outcome, seconds: float) -> None:
        """Count what is about to leave, and how long it took."""
        self.counts.requests.add(outcome.response.status)
        if outcome.given is None:
            return
        asked, answers = outcome.given.asked, outcome.given.answers
        for name in asked.endpoint.reader.unknown_categories(asked.rows):
            self.counts.unknown.add(name)
        self.counts.add_request(answers, seconds)

    @property
    def is_quick(self) -> bool:
        """Whether the event loop may wait for the models that answer now."""
        endpoint = self._watcher.endpoint
        return endpoint is None or endpoint.is_quick

    @property
    def is_draining(self) -> bool:
        """Whether the process was told to end: each answer is the last one of its connection."""
        return self._watcher.is_draining

    @property
    def is_traced(self) -> bool:
        """Whether `trace` tells anybody."""
        return self._tracer is not None

    def trace(
        self,
        outcome: Outcome,
        seconds: float,
        method: str,
        path: str,
        headers: Iterable[tuple[bytes, bytes]],
    ) -> None:
        """Tell of a request that was answered, or refused."""
        if self._tracer is None:
            return
        try:
            self._tracer.record(
                method,
                path,
                headers,
                ended_ns=int(self._clock.machine_time().timestamp() * 1e9),
                seconds=seconds,
                status=outcome.response.status,
                given=outcome.given,
            )
        except Exception:  # the answer has left; a span is not worth its connection
            _log.exception("a request could not be traced")

    def copy(self, outcome: Outcome) -> None:
        """Let the shadows answer what was answered."""
        if outcome.given is not None and outcome.given.asked.endpoint.shadows:
            self.shadows.put(outcome.given.asked)

    def _count_violations(self, refusal: RequestRefused) -> None:
        endpoint = self._watcher.endpoint
        if refusal.violations and endpoint is not None:
            self.counts.add_violations(refusal.violations, endpoint.contract.contract.names)

    def _taken(self, call: Call, at_us: int) -> UnderWay:
        protocol, request, endpoint = call.protocol, call.request, call.endpoint
        if endpoint is None:
            endpoint = self.endpoint_for(protocol, call.path, request.headers)
        _refuse_compressed(request)
        rows = protocol.read(endpoint, request)
        is_explained = asks_for_contributions(request.query) or protocol.asks(endpoint, request)
        if is_explained:
            refuse_unexplained(endpoint)
        ids = self._ids.next(at_us, endpoint.plan.number, len(rows))
        asked = Asked(endpoint, ids, at_us, rows, request.key)
        if endpoint.canary is None:  # nobody chooses by the keys
            return UnderWay(call, endpoint, rows, [], asked, is_explained)
        keys = [request.key] * len(rows) if request.key else ids
        return UnderWay(call, endpoint, rows, keys, asked, is_explained)

    def _given(
        self, ready: Sequence[UnderWay], answered: Sequence[Answers | BaseException]
    ) -> list[Outcome]:
        complete = list(map(self._complete, ready, answered))
        given = [each.given for each in complete if isinstance(each, Complete)]
        recorded = iter(self.capture.record_all(given))
        outcomes = []
        for request, each in zip(ready, complete, strict=True):
            if isinstance(each, Complete):
                outcomes.append(self._outcome(request, each, next(recorded)))
            else:
                outcomes.append(self.refusal(each))
        return outcomes

    def _complete(
        self, request: UnderWay, answers: Answers | BaseException
    ) -> Complete | BaseException:
        if isinstance(answers, BaseException):
            return answers
        endpoint, rows, is_explained = request.endpoint, request.rows, request.is_explained
        try:
            more = beside(
                endpoint, rows, answers, self.counts.warned, wants_contributions=is_explained
            )
        except BaseException as error:  # the others of its turn go on
            return error
        return Complete(Given(request.asked, answers), more)

    def _outcome(self, request: UnderWay, complete: Complete, recorded: Recorded) -> Outcome:
        if isinstance(recorded, RequestRefused):
            return self.refusal(recorded)
        call, given = request.call, complete.given
        answered = Answered(given.asked.ids, given.answers.by_row, given.answers.scores)
        try:
            response = call.protocol.write(
                request.endpoint, call.request, answered, complete.beside
            )
        except BaseException as error:  # the others of its turn go on
            return self.refusal(error)
        return Outcome(response, given, recorded)


def _refuse_compressed(request: Request) -> None:
    """Let no body through that its caller calls compressed, whether or not it is."""
    if request.encoding:
        encoding = request.encoding[:50].decode("latin-1")
        msg = f"the body is compressed ({encoding}), which is not read"
        raise RequestRefused(415, msg, hint="send it as it is, without content-encoding")
