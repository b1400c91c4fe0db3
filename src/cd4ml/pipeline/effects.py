"""What the top level of a project's modules does, beside giving names their values.

A module is taken name by name only where its top level is plain: imports, functions, classes,
and values of expressions that are known to change nothing. Every other statement may have
changed something by the time a step runs. It counts for each step that uses anything that it
can have reached; and for every step, if what it does cannot be confined to the project's own
names. Neither depends on recognising what changes something: what is not known to be harmless counts.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from cd4ml.pipeline import known_pure
from cd4ml.pipeline.code import Definition, Import, Module, Statement, chain_of
from cd4ml.pipeline.sources import Sources

Key = tuple[str, int]  # module, position of the statement in it

_BODIES = ("body", "orelse", "finalbody")
_MADE_WITH = frozenset(["__init__", "__new__", "__post_init__", "__init_subclass__"])
_WRITTEN_OUT = (ast.Constant, ast.Tuple, ast.UnaryOp, ast.BinOp, ast.expr_context, ast.operator,
                ast.unaryop)  # fmt: skip
_METACLASSES = (("type",), ("ABCMeta",), ("EnumMeta",), ("EnumType",))
_TOLD = frozenset(["__init_subclass__", "__set_name__", "__prepare__", "a metaclass"])
_Function = ast.FunctionDef | ast.AsyncFunctionDef


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
        for statement in module.statements:
            reading = _Reading(sources, module, methods)
            if not reading.is_plain(statement.node):
                reading.follow(statement.node)
                found.append(Effect(statement, reading.is_confined, reading.sets_attributes))
    return found


def _methods(sources: Sources) -> dict[str, list[tuple[Module, _Function]]]:
    """The methods of the project's classes, by name."""
    found: dict[str, list[tuple[Module, _Function]]] = {}
    for module in sources.modules():
        for statement in module.statements:
            for node in ast.walk(statement.node):
                if isinstance(node, ast.ClassDef):
                    is_meta = any(chain_of(base)[-1:] in _METACLASSES for base in node.bases)
                    for each in node.body:
                        if is_meta and isinstance(each, _Function):
                            found.setdefault("a metaclass", []).append((module, each))
                        if isinstance(each, _Function):
                            found.setdefault(each.name, []).append((module, each))
    return found


class _Reading:
    """One reading of a top-level statement: is it plain, and if not, how far does it go?"""

    def __init__(
        self,
        sources: Sources,
        module: Module,
        methods: dict[str, list[tuple[Module, _Function]]],
    ) -> None:
        self._sources = sources
        self._module = module
        self._methods = methods
        self._tells_of_classes = not _TOLD.isdisjoint(methods)  # a base hears of each class
        self._called: list[tuple[Module, ast.AST, int]] = []  # how deep its inner functions run
        self._known: set[int] = set()
        self.is_confined = True
        self.sets_attributes = False

    def is_plain(self, node: ast.stmt) -> bool:
        """Whether a statement only binds names, to what changes nothing by being made."""
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Raise():
                return True
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return self._is_plain_definition(node)
            case ast.ClassDef(body=body):
                is_told = self._tells_of_classes and bool(node.bases or node.keywords)
                plain = not is_told and self._is_plain_definition(node)
                return plain and all(map(self.is_plain, body))
            case ast.Assign(targets=targets, value=value):
                return all(map(_is_name, targets)) and self._is_pure(value)
            case ast.AnnAssign(target=target, value=value, annotation=annotation):
                pure = self._is_pure(annotation) and (value is None or self._is_pure(value))
                return _is_name(target) and pure
            case ast.AugAssign(target=ast.Name(id=name), value=value):
                return self._is_number(name) and self._is_pure(value)
            case ast.Expr(value=value):
                return isinstance(value, ast.Constant)
            case ast.Assert(test=test):
                return self._is_pure(test)
            case ast.Delete(targets=targets):
                return all(map(_is_name, targets))
            case ast.If(test=test):
                return self._is_pure(test) and self._are_plain(node)
            case ast.For(target=target, iter=iterated):
                return _is_name(target) and self._is_pure(iterated) and self._are_plain(node)
            case ast.Try():
                return self._are_plain(node)
            case _:
                return type(node).__name__ == "TypeAlias"

    def follow(self, node: ast.stmt) -> None:
        """Read all that the statement calls, as far as its names tell."""
        if isinstance(node, _Function):
            for decorator in node.decorator_list:
                self._read_decorator(decorator)
            for each in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
                self._read(self._module, each, frozenset())
        elif isinstance(node, ast.ClassDef):
            for each in node.decorator_list:
                self._read_decorator(each)
            for inner in (*node.bases, *node.keywords):
                self._read(self._module, inner, frozenset())
            for name in _TOLD:
                for home, method in self._methods.get(name, []):
                    self._read_body_once(home, method, 0)
            for statement in node.body:
                self.follow(statement)
        else:
            self._read(self._module, node, frozenset())
        while self._called:
            module, called, depth = self._called.pop()
            self._read_body(module, called, depth)

    def _is_plain_definition(self, node: Definition) -> bool:
        return all(map(self._is_pure, _evaluated(node))) and all(
            map(self._is_pure_decorator, node.decorator_list)
        )

    def _are_plain(self, node: ast.stmt) -> bool:
        bodies = [each for name in _BODIES for each in getattr(node, name, [])]
        for handler in getattr(node, "handlers", []):
            bodies += handler.body
        return all(map(self.is_plain, bodies))

    def _is_pure(self, node: ast.AST) -> bool:
        """Whether evaluating an expression changes nothing."""
        return all(
            self._is_pure_call(each) if isinstance(each, ast.Call) else not _acts(each)
            for each in _evaluated_nodes(node)
        )

    def _is_pure_decorator(self, node: ast.expr) -> bool:
        name = self._foreign(self._module, node.func if isinstance(node, ast.Call) else node)
        if isinstance(node, ast.Name) and node.id in ("property", "staticmethod", "classmethod"):
            return True
        if isinstance(node, ast.Attribute) and node.attr in ("setter", "getter", "deleter"):
            return True
        given = [*node.args, *node.keywords] if isinstance(node, ast.Call) else []
        return bool(name) and known_pure.is_pure(name) and all(map(self._is_pure, given))

    def _is_pure_call(self, node: ast.Call) -> bool:
        function = node.func
        if isinstance(function, ast.Name) and self._is_builtin(function.id):
            return function.id not in known_pure.CALLING or not self._gives_functions(node)
        name = self._foreign(self._module, function)
        if name:
            is_calling = name.rpartition(".")[2] in known_pure.CALLING
            return known_pure.is_pure(name) and not (is_calling and self._gives_functions(node))
        if not isinstance(function, ast.Attribute) or function.attr in self._methods:
            return False
        return function.attr in known_pure.METHODS or self._is_made_here(function.value)

    def _is_made_here(self, node: ast.AST) -> bool:
        """Whether an expression is an immutable thing of Polars: `pl.col("a")`."""
        while isinstance(node, ast.Call | ast.Attribute):
            name = self._foreign(self._module, node.func if isinstance(node, ast.Call) else node)
            if name.startswith("polars.") and known_pure.is_pure(name):
                return True
            node = node.func if isinstance(node, ast.Call) else node.value
        return False

    def _gives_functions(self, node: ast.Call) -> bool:
        given = (*node.args, *(each.value for each in node.keywords))
        return any(
            isinstance(each, ast.Lambda) or (chain_of(each) and not self._is_pure_name(each))
            for each in given
        )

    def _is_pure_name(self, node: ast.expr) -> bool:
        name = chain_of(node)[0]
        bound = self._module.bound.get(name, [])
        is_value = bool(bound) and not any(each.is_definition for each in bound)
        return self._is_builtin(name) or is_value

    def _is_builtin(self, name: str) -> bool:
        is_own = name in self._module.bound or name in self._module.imports
        return not is_own and not self._module.stars and name in known_pure.BUILTINS

    def _is_number(self, name: str) -> bool:
        bound = [
            each
            for each in self._module.bound.get(name, [])
            if not isinstance(each.node, ast.AugAssign)
        ]
        is_own = bool(bound) and name not in self._module.imports
        return is_own and all(is_immutable(each.node) for each in bound)

    def _foreign(self, module: Module, node: ast.AST) -> str:
        """The whole name of something of another package, "" if it is none."""
        chain = chain_of(node)
        if not chain or chain[0] in module.bound:
            return ""
        for source in module.imports.get(chain[0], []):
            top = source.module.partition(".")[0]
            if top and not self._sources.has(top):
                return _joined(source, chain[1:])
        return ""

    # how far it goes, if it is not plain

    def _read_decorator(self, node: ast.expr) -> None:
        if self._is_pure_decorator(node):
            return
        depth = 1 if isinstance(node, ast.Call) else 0  # what `f("name")` gives is called as well
        self._call(self._module, node.func if isinstance(node, ast.Call) else node, depth, set())
        if isinstance(node, ast.Call):
            for each in (*node.args, *(keyword.value for keyword in node.keywords)):
                self._read(self._module, each, frozenset())

    def _read_body(self, module: Module, node: ast.AST, depth: int) -> None:
        """A function that is called: what it does, and its inner ones as far as they run."""
        if isinstance(node, ast.ClassDef):
            made = [e for e in node.body if isinstance(e, _Function) and e.name in _MADE_WITH]
            for each in made:
                self._read_body(module, each, 0)
            for base in node.bases:
                self._call(module, base, 0, set())
            return
        local = _local_names(node)
        inner = {each.name: each for each in ast.walk(node) if isinstance(each, _Function)}
        body = node.body if isinstance(node, _Function) else [node]
        for statement in body:
            if not isinstance(statement, _Function):
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
        for each in _evaluated_nodes(node):
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
        if name := self._foreign(module, function):
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


def is_immutable(node: ast.stmt) -> bool:
    """Whether a statement gives its name a number, a text, or a tuple of such, written out."""
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    return value is not None and all(isinstance(each, _WRITTEN_OUT) for each in ast.walk(value))


def _is_name(node: ast.AST) -> bool:
    if isinstance(node, ast.Tuple | ast.List):
        return all(map(_is_name, node.elts))
    return _is_name(node.value) if isinstance(node, ast.Starred) else isinstance(node, ast.Name)


def _evaluated(node: Definition) -> list[ast.AST]:
    """What of a definition is evaluated when it is made, beside its decorators."""
    if isinstance(node, ast.ClassDef):
        return [*node.bases, *node.keywords]
    arguments = node.args
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg,
             arguments.kwarg)  # fmt: skip
    hints = [node.returns, *(each.annotation for each in every if each is not None)]
    return [*arguments.defaults, *filter(None, [*arguments.kw_defaults, *hints])]


def _evaluated_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when something is evaluated: not the bodies of functions, nor decorators."""
    yield node
    if isinstance(node, ast.Lambda | _Function):
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            yield from _evaluated_nodes(default)
        return
    for child in ast.iter_child_nodes(node):
        yield from _evaluated_nodes(child)


def _decorators(node: ast.AST) -> list[ast.expr]:
    return [
        decorator
        for each in _evaluated_nodes(node)
        if isinstance(each, Definition)
        for decorator in each.decorator_list
    ]


def _acts(node: ast.AST) -> bool:
    """Whether a node may call something without saying so: `a >> b`, `await`, `yield`."""
    shifts = ast.LShift | ast.RShift
    return isinstance(node, ast.Await | ast.Yield | ast.YieldFrom) or (
        isinstance(node, ast.BinOp) and isinstance(node.op, shifts)
    )


def _local_names(node: ast.AST) -> set[str]:
    names = {each.id for each in ast.walk(node)
             if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)}  # fmt: skip
    names |= {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
    globals_ = (n for each in ast.walk(node) if isinstance(each, ast.Global) for n in each.names)
    return names - set(globals_)


def _joined(source: Import, rest: tuple[str, ...]) -> str:
    return ".".join([source.module, *([source.name] if source.name else []), *rest])
