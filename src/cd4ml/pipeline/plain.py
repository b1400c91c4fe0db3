"""Statements at the top level of a module that only bind names, to what changes nothing by being made."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from cd4ml.pipeline import known_pure
from cd4ml.pipeline.code import Definition, Import, Module, chain_of
from cd4ml.pipeline.sources import Sources

_BODIES = ("body", "orelse", "finalbody")
_WRITTEN_OUT = (ast.Constant, ast.Tuple, ast.UnaryOp, ast.BinOp, ast.expr_context, ast.operator,
                ast.unaryop)  # fmt: skip


TOLD = frozenset(["__init_subclass__", "__set_name__", "__prepare__", "a metaclass"])
Function = ast.FunctionDef | ast.AsyncFunctionDef
Methods = dict[str, list[tuple[Module, Function]]]


class Plain:
    """What of a module is plain: it binds names, to what changes nothing by being made.

    Args:
        sources: The project's code.
        module: Whose statements are looked at.
        methods: The methods of the project's classes, by name.
    """

    def __init__(self, sources: Sources, module: Module, methods: Methods) -> None:
        self._sources = sources
        self._module = module
        self._methods = methods
        self._tells_of_classes = not TOLD.isdisjoint(methods)  # a base hears of each class

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

    def _is_plain_definition(self, node: Definition) -> bool:
        return all(map(self._is_pure, _evaluated(node))) and all(
            map(self.is_pure_decorator, node.decorator_list)
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
            for each in evaluated_nodes(node)
        )

    def is_pure_decorator(self, node: ast.expr) -> bool:
        """Whether decorating with it changes nothing."""
        name = self.foreign(self._module, node.func if isinstance(node, ast.Call) else node)
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
        name = self.foreign(self._module, function)
        if name:
            is_calling = name.rpartition(".")[2] in known_pure.CALLING
            return known_pure.is_pure(name) and not (is_calling and self._gives_functions(node))
        if not isinstance(function, ast.Attribute) or function.attr in self._methods:
            return False
        return function.attr in known_pure.METHODS or self._is_made_here(function.value)

    def _is_made_here(self, node: ast.AST) -> bool:
        """Whether an expression is an immutable thing of Polars: `pl.col("a")`."""
        while isinstance(node, ast.Call | ast.Attribute):
            name = self.foreign(self._module, node.func if isinstance(node, ast.Call) else node)
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

    def foreign(self, module: Module, node: ast.AST) -> str:
        """The whole name of something of another package, "" if it is none."""
        chain = chain_of(node)
        if not chain or chain[0] in module.bound:
            return ""
        for source in module.imports.get(chain[0], []):
            top = source.module.partition(".")[0]
            if top and not self._sources.has(top):
                return _joined(source, chain[1:])
        return ""


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


def evaluated_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when something is evaluated: not the bodies of functions, nor decorators."""
    yield node
    if isinstance(node, ast.Lambda | Function):
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            yield from evaluated_nodes(default)
        return
    for child in ast.iter_child_nodes(node):
        yield from evaluated_nodes(child)


def _acts(node: ast.AST) -> bool:
    """Whether a node may call something without saying so: `a >> b`, `await`, `yield`."""
    shifts = ast.LShift | ast.RShift
    return isinstance(node, ast.Await | ast.Yield | ast.YieldFrom) or (
        isinstance(node, ast.BinOp) and isinstance(node.op, shifts)
    )


def _joined(source: Import, rest: tuple[str, ...]) -> str:
    return ".".join([source.module, *([source.name] if source.name else []), *rest])
