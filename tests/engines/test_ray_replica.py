"""What a replica tells the cluster, and when it takes requests; without a cluster."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.engines.ray.board import _Board
from cd4ml.engines.ray.connection import _lets_in
from cd4ml.engines.ray.counts import merged
from cd4ml.engines.ray.replica import Answering, Ingress, page
from cd4ml.errors import Unavailable

pytest.importorskip("pyarrow")
pytest.importorskip("ray")
grpc = pytest.importorskip("grpc")

PLAN = "# HELP cd4ml_plan Number.\n# TYPE cd4ml_plan gauge\ncd4ml_plan {plan}\n"
TOTAL = "# HELP n_total Requests.\n# TYPE n_total counter\n"


def text(plan: int, **counts: int) -> str:
    lines = "".join(f'n_total{{status="{status[1:]}"}} {n}\n' for status, n in counts.items())
    return PLAN.format(plan=plan) + TOTAL + lines


class Here:
    """A board that is not an actor, as one replica sees it."""

    def __init__(self, board: _Board, replica: str) -> None:
        self._board = board
        self._replica = replica

    async def tell(self, text: str, *, is_settled: bool) -> None:
        self._board.tell(self._replica, text, is_settled)

    async def leave(self, text: str) -> None:
        self._board.leave(self._replica, text)

    async def counts(self) -> str:
        return self._board.counts()

    async def has_others(self) -> bool:
        return self._board.has_others(self._replica)


class Application:
    """One that lives, and counts."""

    def __init__(self, counted: str) -> None:
        self.counted = counted
        self.is_settled = True
        self.is_well = True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{stage}.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self.counted.encode()})

    def behind(self, board: Any, *, patience_s: float = 30.0) -> Ingress:
        answering = Answering(self, lambda: self.is_settled, lambda: self.is_well)
        return Ingress(answering, board, patience_s=patience_s)


class Life:
    """A replica's life, stage by stage, as Ray Serve has it."""

    def __init__(self, ingress: Ingress) -> None:
        self.stages: list[str] = []
        self._asked: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._task = asyncio.create_task(
            ingress({"type": "lifespan"}, self._asked.get, self._send)  # type: ignore[arg-type]
        )

    async def _send(self, message: Any) -> None:
        self.stages.append(message["type"].split(".")[1])

    def begin(self) -> None:
        self._asked.put_nowait({"type": "lifespan.startup"})

    async def end(self) -> None:
        self._asked.put_nowait({"type": "lifespan.shutdown"})
        await self._task


def test_what_ended_stays_counted_and_only_the_living_have_a_plan() -> None:
    whole = merged([text(3, _200=5, _422=1), text(2, _200=7)], [text(1, _200=100)])

    assert whole == text(2, _200=112, _422=1)


def test_buckets_of_a_histogram_are_added_up() -> None:
    one = '# TYPE s histogram\ns_bucket{le="0.1"} 1\ns_bucket{le="+Inf"} 2\ns_sum 0.25\ns_count 2\n'

    assert merged([one, one]) == (
        '# TYPE s histogram\ns_bucket{le="0.1"} 2\ns_bucket{le="+Inf"} 4\ns_sum 0.5\ns_count 4\n'
    )


def test_sizes_are_added_up_and_the_worst_age_holds() -> None:
    gauges = "# TYPE late_seconds gauge\nlate_seconds {}\n# TYPE queue gauge\nqueue {}\n"

    whole = merged([gauges.format(0.5, 2), gauges.format(3, 0), gauges.format(1, 5)])

    assert whole == gauges.format(3, 7)


def test_a_replica_without_a_plan_does_not_set_back_the_others() -> None:
    assert merged([text(0), text(4), text(3), text(0)]) == text(3)


counts = st.dictionaries(st.sampled_from(["_200", "_422", "_503"]), st.integers(0, 10**9))


@given(st.lists(counts, max_size=4), st.lists(counts, max_size=4))
def test_it_does_not_matter_when_a_process_ended(
    living: list[dict[str, int]], ended: list[dict[str, int]]
) -> None:
    texts = [text(1, **each) for each in living]
    gone = [text(1, **each) for each in ended]

    folded = merged([], [merged([], gone[:2]), *gone[2:]])
    at_once, later = merged(texts, gone), merged(texts, [folded])

    assert sorted(at_once.splitlines()) == sorted(later.splitlines())


def test_counts_of_all_replicas_are_the_answer_of_each() -> None:
    async def story() -> str:
        board = _Board("http://127.0.0.1:1")
        one, other = Application(text(1, _200=5)), Application(text(1, _200=7))
        first, second = one.behind(Here(board, "a")), other.behind(Here(board, "b"))
        lives = [Life(first), Life(second)]
        for life in lives:
            life.begin()
        await until(lambda: len(board._told) == 2)
        await lives[1].end()
        one.counted = text(1, _200=6)
        whole = await page(first, "/metrics")
        await lives[0].end()
        return whole

    assert asyncio.run(story()) == text(1, _200=13)


def test_a_replica_without_a_plan_takes_no_requests_while_another_one_has_it() -> None:
    async def story() -> tuple[list[str], list[str], str]:
        board = _Board("http://127.0.0.1:1")
        board.tell("other", "", True)
        late = Application("")
        late.is_settled = False
        ingress = late.behind(Here(board, "late"))
        life = Life(ingress)
        life.begin()
        await asyncio.sleep(0.2)
        before = list(life.stages)
        with pytest.raises(Unavailable) as sick:
            await ingress.refuse_sick()
        late.is_settled = True
        await until(lambda: life.stages)
        await ingress.refuse_sick()
        after = list(life.stages)
        await life.end()
        return before, after, str(sick.value)

    assert asyncio.run(story()) == (
        [],
        ["startup"],
        "this replica has no plan, and others have one",
    )


def test_where_nobody_has_a_plan_a_replica_begins_to_say_so() -> None:
    async def story() -> list[str]:
        none = Application("")
        none.is_settled = False
        ingress = none.behind(Here(_Board(""), "a"), patience_s=0.1)
        life = Life(ingress)
        life.begin()
        await until(lambda: life.stages)
        await ingress.refuse_sick()  # another process would know no more
        await life.end()
        return life.stages

    assert asyncio.run(story()) == ["startup", "shutdown"]


def test_a_replica_that_looks_for_no_plans_any_more_is_replaced() -> None:
    ended = Application("")
    ended.is_well = False
    ingress = ended.behind(Here(_Board(""), "a"))

    with pytest.raises(Unavailable, match="nothing in this replica looks for newer plans any more"):
        asyncio.run(ingress.refuse_sick())


def test_counts_that_nobody_can_add_up_are_not_half_told() -> None:
    class Away(Here):
        async def counts(self) -> str:
            raise TimeoutError

    ingress = Application(text(1)).behind(Away(_Board(""), "a"))

    said = json.loads(asyncio.run(page(ingress, "/metrics")))

    assert said["error"] == "the counts of the other replicas cannot be had"


def test_a_replica_that_was_silent_for_long_is_kept_as_a_sum() -> None:
    board = _Board("")
    board.tell("dead", text(1, _200=5), True)
    told = board._told["dead"]
    board._told["dead"] = told._replace(at=told.at - 700)

    assert board.counts() == text(1, _200=5).replace("cd4ml_plan 1\n", "")
    assert not board._told
    assert not board.has_others("me")


class _Answers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Anything is answered, or nothing without a token."""

    def __init__(self, *, wants_token: bool) -> None:
        self._wants_token = wants_token

    def service(self, call: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, _request: bytes, context: Any) -> bytes:
        if self._wants_token:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
        return b""


@contextmanager
def listening(*, wants_token: bool) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((_Answers(wants_token=wants_token),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.mark.parametrize("wants_token", [True, False])
def test_whether_a_cluster_wants_a_token_is_asked_without_one(wants_token: bool) -> None:
    with listening(wants_token=wants_token) as address:
        assert _lets_in(address) is not wants_token


async def until(is_true: Any) -> None:
    async with asyncio.timeout(10):
        while not is_true():
            await asyncio.sleep(0.01)
