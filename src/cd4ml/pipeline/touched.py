"""Which steps a statement concerns that may change something when its module is imported."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import NamedTuple

from cd4ml.pipeline.code import Statement, chain_of
from cd4ml.pipeline.effects import Effect, Key, effects_of
from cd4ml.pipeline.known_pure import STATELESS
from cd4ml.pipeline.plain import is_immutable
from cd4ml.pipeline.sources import Sources
from cd4ml.pipeline.walk import Walk

_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Touching(NamedTuple):
    """A statement of a module's top level that may have changed what steps use.

    `keys` are the statements whose values it may have changed; None if that can be anything.
    """

    statement: Statement
    keys: frozenset[Key] | None

    def concerns(self, reached: Mapping[Key, Statement]) -> bool:
        """Whether it may have changed something that is reached."""
        return self.keys is None or not self.keys.isdisjoint(reached)


def touching(sources: Sources) -> list[Touching]:
    """All such statements of the modules that can be reached from the pipeline's."""
    return [Touching(each.statement, _keys(sources, each)) for each in effects_of(sources)]


def _keys(sources: Sources, effect: Effect) -> frozenset[Key] | None:
    if not effect.is_confined:
        return None
    walk = Walk(sources, set(), enters=False)
    walk.follow(_what_runs(effect.statement))
    reached = walk.statements
    if walk.unseen or any(
        _uses_others(sources, each)
        for each in (effect.statement, *reached.values())
        if effect.sets_attributes or not each.is_definition
    ):
        return None
    return frozenset(
        key
        for key, each in reached.items()
        if effect.sets_attributes or not (_is_bare_function(each.node) or is_immutable(each.node))
    )


def _is_bare_function(node: ast.stmt) -> bool:
    return isinstance(node, _Function) and not node.decorator_list


def _what_runs(statement: Statement) -> Statement:
    """Of a function, what runs when it is made: its decorators and defaults."""
    node = statement.node
    if not isinstance(node, _Function):
        return statement
    run = [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
    bare = ast.Expr(ast.Tuple(run, ast.Load()))
    return Statement(
        ast.fix_missing_locations(ast.copy_location(bare, node)), statement.module, statement.index
    )


def _uses_others(sources: Sources, statement: Statement) -> bool:
    """Whether a value is made of something of another package, which it may hand on."""
    node = statement.node
    value = getattr(node, "value", None) if isinstance(node, ast.AnnAssign) else node
    if value is None:
        return False
    module = statement.module
    roots = {chain[:1] for each in ast.walk(value) if (chain := chain_of(each))}
    tops = {
        source.module.partition(".")[0]
        for root in roots
        for source in module.imports.get(root[0], [])
    }
    return any(top and not sources.has(top) and top not in STATELESS for top in tops)
