"""What the top level of a project's modules does, beside giving names their values.

A module is taken name by name only where its top level is plain: imports, functions, classes,
and values of expressions that are known to change nothing. Every other statement may have
changed something by the time a step runs. It counts for each step that uses anything that it
can have reached; and for every step, if what it does cannot be confined to the project's own
names. Neither depends on recognising what changes something: what is not known to be harmless counts.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from cd4ml.pipeline import known_pure
from cd4ml.pipeline.code import Definition, Module, Statement, chain_of
from cd4ml.pipeline.plain import TOLD, Function, Methods, Plain, evaluated_nodes
from cd4ml.pipeline.sources import Sources

Key = tuple[str, int]  # module, position of the statement in it
_MADE_WITH = frozenset(["__init__", "__new__", "__post_init__", "__init_subclass__"])
_METACLASSES = (("type",), ("ABCMeta",), ("EnumMeta",), ("EnumType",))


class Effect(NamedTuple):
    """A statement that may change something, and how far."""

    statement: Statement
    is_confined: bool  # whether to what the names that it uses stand for
    sets_attributes: bool  # whether a function may have been changed as well


def effects_of(sources: Sources) -> list[Effect]:
    """Every such statement of the modules that can be reached from the pipeline's, in order."""
    methods = _methods(sources)
    found = []
    for module in sources.modules():
        plain = Plain(sources, module, methods)
        for statement in module.statements:
            if not plain.is_plain(statement.node):
                reach = _Reach(sources, module, methods)
                reach.follow(statement.node)
                found.append(Effect(statement, reach.is_confined, reach.sets_attributes))
    return found


def _methods(sources: Sources) -> Methods:
    """The methods of the project's classes, by name."""
    found: Methods = {}
    for module in sources.modules():
        for statement in module.statements:
            for node in ast.walk(statement.node):
                if isinstance(node, ast.ClassDef):
                    is_meta = any(chain_of(base)[-1:] in _METACLASSES for base in node.bases)
                    for each in node.body:
                        if is_meta and isinstance(each, Function):
                            found.setdefault("a metaclass", []).append((module, each))
                        if isinstance(each, Function):
                            found.setdefault(each.name, []).append((module, each))
    return found


class _Reach:
    """How far a top-level statement goes that is not plain."""

    def __init__(self, sources: Sources, module: Module, methods: Methods) -> None:
        self._sources = sources
        self._module = module
        self._methods = methods
        self._plain = Plain(sources, module, methods)
        self._called: list[tuple[Module, ast.AST, int]] = []  # how deep its inner functions run
        self._known: set[int] = set()
        self.is_confined = True
        self.sets_attributes = False

    def follow(self, node: ast.stmt) -> None:
        """Read all that the statement calls, as far as its names tell."""
        if isinstance(node, Function):
            for decorator in node.decorator_list:
                self._read_decorator(decorator)
            for each in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
                self._read(self._module, each, frozenset())
        elif isinstance(node, ast.ClassDef):
            for each in node.decorator_list:
                self._read_decorator(each)
            for inner in (*node.bases, *node.keywords):
                self._read(self._module, inner, frozenset())
            for name in TOLD:
                for home, method in self._methods.get(name, []):
                    self._read_body_once(home, method, 0)
            for statement in node.body:
                self.follow(statement)
        else:
            self._read(self._module, node, frozenset())
        while self._called:
            module, called, depth = self._called.pop()
            self._read_body(module, called, depth)

    def _read_decorator(self, node: ast.expr) -> None:
        if self._plain.is_pure_decorator(node):
            return
        depth = 1 if isinstance(node, ast.Call) else 0  # what `f("name")` gives is called as well
        self._call(self._module, node.func if isinstance(node, ast.Call) else node, depth, set())
        if isinstance(node, ast.Call):
            for each in (*node.args, *(keyword.value for keyword in node.keywords)):
                self._read(self._module, each, frozenset())

    def _read_body(self, module: Module, node: ast.AST, depth: int) -> None:
        """A function that is called: what it does, and its inner ones as far as they run."""
        if isinstance(node, ast.ClassDef):
            made = [e for e in node.body if isinstance(e, Function) and e.name in _MADE_WITH]
            for each in made:
                self._read_body(module, each, 0)
            for base in node.bases:
                self._call(module, base, 0, set())
            return
        local = _local_names(node)
        inner = {each.name: each for each in ast.walk(node) if isinstance(each, Function)}
        body = node.body if isinstance(node, Function) else [node]
        for statement in body:
            if not isinstance(statement, Function):
                self._read(module, statement, frozenset(local - set(inner)))
                run = {chain_of(e.func) for e in ast.walk(statement) if isinstance(e, ast.Call)}
                for name in inner:
                    if (name,) in run:
                        self._read_body_once(module, inner[name], 0)
            elif depth:
                self._read_body_once(module, statement, depth - 1)

    def _read_body_once(self, module: Module, node: ast.AST, depth: int) -> None:
        if id(node) not in self._known:
            self._known.add(id(node))
            self._called.append((module, node, depth))

    def _read(self, module: Module, node: ast.AST, local: frozenset[str]) -> None:
        for each in evaluated_nodes(node):
            if isinstance(each, ast.Call):
                self._call(module, each.func, 0, set(local))
                name = each.func.id if isinstance(each.func, ast.Name) else ""
                if name in known_pure.CALLING:
                    for given in (*each.args, *(k.value for k in each.keywords)):
                        if isinstance(given, ast.Name) and not self._is_value(module, given.id):
                            self._call(module, given, 0, set(local))
                        elif isinstance(given, ast.Lambda):
                            self._read(module, given.body, local)
            elif isinstance(each, ast.Attribute) and not isinstance(each.ctx, ast.Load):
                chain = chain_of(each)
                self.sets_attributes = self.sets_attributes or chain[:1] not in (
                    ("self",),
                    ("cls",),
                )
                self._require_own(module, each.value, local)
            elif isinstance(each, ast.Subscript) and not isinstance(each.ctx, ast.Load):
                self._require_own(module, each.value, local)
            elif isinstance(each, ast.With | ast.AsyncWith):
                self.is_confined = False
        for decorator in _decorators(node):
            self._read_decorator(decorator)

    def _is_value(self, module: Module, name: str) -> bool:
        bound = module.bound.get(name, [])
        return bool(bound) and not any(each.is_definition for each in bound)

    def _require_own(self, module: Module, node: ast.AST, local: frozenset[str]) -> None:
        """What is changed has to be the project's own, or be handed in by it."""
        while isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        if isinstance(node, ast.Name):
            if node.id in local or node.id in module.bound:
                return
            if any(self._sources.has(s.module.partition(".")[0]) for s in
                   module.imports.get(node.id, [])):  # fmt: skip
                return
        elif isinstance(node, ast.Call) and self._owns(module, node.func):
            return
        self.is_confined = False

    def _owns(self, module: Module, node: ast.AST) -> bool:
        return bool(self._targets(module, node))

    def _call(self, module: Module, function: ast.AST, depth: int, local: set[str]) -> None:
        if isinstance(function, ast.Name) and function.id not in local:
            is_own = function.id in module.bound or function.id in module.imports
            if not is_own and not module.stars and function.id in known_pure.BUILTINS:
                return
        if name := self._plain.foreign(module, function):
            if chain_of(function)[0] in local or not known_pure.is_pure(name):
                self.is_confined = False
            return
        targets = [] if chain_of(function)[:1] and chain_of(function)[0] in local else (
            self._targets(module, function))  # fmt: skip
        if targets:
            for home, node in targets:
                self._read_body_once(home, node, depth)
            return
        if isinstance(function, ast.Attribute):
            for home, method in self._methods.get(function.attr, []):
                self._read_body_once(home, method, depth)
            known = known_pure.METHODS | known_pure.CHANGING
            if function.attr in self._methods or function.attr in known:
                return
        elif isinstance(function, ast.Name) and self._makes_instance(module, function.id):
            for home, method in self._methods.get("__call__", []):
                self._read_body_once(home, method, depth)
            return
        self.is_confined = False

    def _makes_instance(self, module: Module, name: str) -> bool:
        """Whether a name stands for an instance of a project's class: calling it is a method."""
        chain = (name,)
        for home, bound in self._bound(module, chain):
            value = getattr(bound.node, "value", None)
            if not (isinstance(value, ast.Call) and self._owns(home, value.func)):
                return False
        return bool(self._bound(module, chain)) and "__call__" in self._methods

    def _targets(self, module: Module, function: ast.AST) -> list[tuple[Module, ast.AST]]:
        """The project's functions and classes that a dotted name stands for."""
        chain = chain_of(function)
        bound = self._bound(module, chain) if chain else []
        if not bound or not all(each.is_definition for _, each in bound):
            return []
        return [(home, each.node) for home, each in bound]

    def _bound(self, module: Module, chain: tuple[str, ...]) -> list[tuple[Module, Statement]]:
        for _ in range(20):  # re-exports of re-exports
            if chain[0] in module.bound:
                return [(module, s) for s in module.bound[chain[0]]] if len(chain) == 1 else []
            sources = module.imports.get(chain[0], [])
            if len(sources) != 1 or not self._sources.has(sources[0].module.partition(".")[0]):
                return []
            path = (*sources[0].module.split("."), *filter(None, [sources[0].name]), *chain[1:])
            home, rest = self._sources.resolve(path, len(sources[0].module.split(".")))
            if home is None or not rest:
                return []
            module, chain = home, rest
        return []


def _decorators(node: ast.AST) -> list[ast.expr]:
    return [
        decorator
        for each in evaluated_nodes(node)
        if isinstance(each, Definition)
        for decorator in each.decorator_list
    ]


def _local_names(node: ast.AST) -> set[str]:
    names = {each.id for each in ast.walk(node)
             if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)}  # fmt: skip
    names |= {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
    globals_ = (n for each in ast.walk(node) if isinstance(each, ast.Global) for n in each.names)
    return names - set(globals_)
