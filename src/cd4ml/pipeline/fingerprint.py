"""When has a step to be computed again?

A step's fingerprint covers the code of its function and of everything of the project
that it reaches, its parameters, the content of its inputs, and the environment. Code is
followed by reading it, never by running it. Where reading cannot tell what is reached
(`getattr`, `globals()`, a registry that is filled elsewhere, ...) every file of the project
counts: a step may then run once too often, but never once too seldom.

A file of settings or data counts where a string in the code names it, and so does an
environment variable. What no fingerprint sees: the time, the network, and files and
variables under a name that is made up while the step runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from cd4ml.pipeline.distributions import Distributions
from cd4ml.pipeline.notes import digest_of_variable
from cd4ml.pipeline.shared import shared_names
from cd4ml.pipeline.sources import Sources
from cd4ml.pipeline.touched import touching
from cd4ml.pipeline.walk import Walk
from cd4ml.store.address import address_of_record


class Reached(NamedTuple):
    """What a step's code depends on.

    `unseen` says what could not be followed, so that every file of the project counts
    ("" if all of it could). `absent` are files that the code names and that are not there.
    """

    code: str  # address of the code without the files it names
    files: dict[str, str]  # path -> address
    absent: frozenset[Path]
    unseen: str
    modules: frozenset[str] = frozenset()  # of Python and of others, that are imported
    variables: frozenset[str] = frozenset()  # of the environment, that are read by name
    environment: str = ""  # address of what it runs in
    remembers: bool = False  # whether it may use what other steps have read in its process
    meant: Mapping[str, str] = MappingProxyType({})  # files it may mean -> address, "" if not there
    reads_tables: bool = False  # whether it may look through folders unseen

    @property
    def address(self) -> str:
        """The address of it all."""
        if not self.variables:
            return address_of_record([self.code, self.files])
        values = {name: digest_of_variable(name) for name in sorted(self.variables)}
        return address_of_record([self.code, self.files, values])

    @property
    def named(self) -> set[str]:
        """The files that count by name, those that only may be meant included."""
        return {*self.files, *(name for name, address in self.meant.items() if address)}

    def is_extended_by(self, later: Reached) -> bool:
        """Whether `later` is the same with files that were not there before."""
        return self.code == later.code and self.files.items() <= later.files.items()


def fingerprint(
    *,
    code: str,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, str],
    environment: str,
    seed: int = 0,
) -> str:
    """A step's fingerprint: equal ones give equal outputs.

    Args:
        code: Address of the code it reaches (`ReachedCode`).
        parameters: Name -> value, as JSON can hold them.
        inputs: Name -> content address.
        environment: Address of what it runs in: Python, the distributions it imports.
        seed: Of the run.
    """
    return address_of_record(
        {
            "code": code,
            "parameters": parameters,
            "inputs": inputs,
            "environment": environment,
            "seed": seed,
        }
    )


class ReachedCode:
    """What each function of a project reaches, read from its files as they are now."""

    def __init__(
        self,
        sources: Sources,
        distributions: Distributions | None = None,
        variables: Collection[str] = (),
    ) -> None:
        self._sources = sources
        self._variables = frozenset(variables)  # that count for every step
        self._distributions = distributions
        self._shared = shared_names(sources)
        self._touching = touching(sources)
        self._known: dict[tuple[str, str], Reached] = {}

    def by(self, module: str, function: str) -> Reached:
        """All the code of the project that a top-level function reaches.

        Its keyword-only defaults are left out: the values of parameters count by
        themselves. A function that is not found counts as one that cannot be followed.
        """
        key = (module, function)
        if key not in self._known:
            self._known[key] = self._reached(module, function)
        return self._known[key]

    def _reached(self, module: str, function: str) -> Reached:
        walk = Walk(self._sources, self._shared, self._touching)
        walk.start(module, function)
        if walk.unseen:
            walk.take_everything()
        environment = ""
        if self._distributions is not None:
            is_open = bool(walk.unseen) or walk.is_beyond
            environment = self._distributions.address(walk.foreign, is_open=is_open)
        return Reached(
            code=address_of_record(walk.code()),
            files=walk.files,
            absent=frozenset(walk.absent),
            unseen=min(walk.unseen, default=""),
            modules=frozenset(walk.foreign),
            variables=self._variables | walk.variables,
            environment=environment,
            meant={n: address for n, address in walk.meant.items() if n not in walk.files},
            remembers=bool(walk.unseen) or walk.remembers,
            reads_tables=bool(walk.unseen) or walk.reads_tables,
        )
