"""Rows of several requests scored in one call: those that arrive in one turn of the event loop.

A call of a compiled model costs 7 us for one row and 100 us for a hundred. What a busy server
reads from its connections in one turn is there already, so nobody waits for it; waiting for
more would cost a quiet server half of its requests and is not done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cd4ml.serving.answers import Answers
from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.request import Row

_FEW = 64  # rows: a request with more gains nothing from company
_NOTHING = Answers([], [])


class Unanswered(Protocol):
    """The rows of one request, the key of each, and the endpoint that the request took."""

    @property
    def endpoint(self) -> Endpoint:
        """Answers all of its rows."""

    @property
    def rows(self) -> list[Row]:
        """At least one."""

    @property
    def keys(self) -> list[str]:
        """Who is answered by which version; without a canary they may be left out."""


def answers_to(requests: Sequence[Unanswered]) -> list[Answers | BaseException]:
    """The answers to each request's rows, as `Endpoint.answers` gives them, or what it raises.

    Each request is answered by the endpoint that it took, and fails only by its own rows.
    """
    if len(requests) == 1:
        return [_alone(requests[0])]
    first = requests[0].endpoint if requests else None
    if all(each.endpoint is first and len(each.rows) <= _FEW for each in requests):
        return _together(requests)
    answered: list[Answers | BaseException] = [_NOTHING] * len(requests)
    companies: dict[int, list[int]] = {}
    for i, each in enumerate(requests):
        if len(each.rows) > _FEW:
            answered[i] = _alone(each)
        else:
            companies.setdefault(id(each.endpoint), []).append(i)
    for company in companies.values():
        of_company = _together([requests[i] for i in company])
        for i, answers in zip(company, of_company, strict=True):
            answered[i] = answers
    return answered


def _together(requests: Sequence[Unanswered]) -> list[Answers | BaseException]:
    rows = [row for each in requests for row in each.rows]
    keys = [key for each in requests for key in each.keys]
    try:
        answers = requests[0].endpoint.answers(rows, keys)
    except BaseException:  # one request's rows must not fail the others
        return [_alone(each) for each in requests]
    answered: list[Answers | BaseException] = []
    begin = 0
    for each in requests:
        end = begin + len(each.rows)
        answered.append(answers.part(begin, end))
        begin = end
    return answered


def _alone(request: Unanswered) -> Answers | BaseException:
    try:
        return request.endpoint.answers(request.rows, request.keys)
    except BaseException as failure:  # of the model, or of ours: the request that meets it says so
        return failure
