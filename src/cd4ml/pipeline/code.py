"""What a project's modules say, read without running them.

A module is its top-level statements, the names they bind, and the modules they import.
Comments, formatting and docstrings are no part of a statement's text: two files that
differ in nothing else are the same here.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cd4ml.pipeline.file_names import lists_folders, may_be_folders, pattern_of
from cd4ml.pipeline.known_pure import CHANGING
from cd4ml.store.address import address_of, address_of_file

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_COMPOUND = (ast.If, ast.Try, ast.TryStar, ast.With, ast.For, ast.While, ast.Match)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


class Import(NamedTuple):
    """What a name is imported from: `from module import name`, or `import module` (name "")."""

    module: str
    name: str = ""


class Statement:
    """A top-level statement with all the names it mentions that are not its own variables.

    Attributes:
        chains: Dotted names, ("helpers", "scale") for `helpers.scale`.
        attributes: The names after every dot.
        strings: Constant strings, for the names of files; parts joined with `/` also as a whole.
        imports: Names bound by imports inside it.
        modules: Modules imported inside it.
        changed: Dotted names of what it sets, deletes, or fills, beside its own variables.
        variables: Environment variables that it reads by name.
        patterns: What names of files may look like that it makes up from parts.
        folders: Of the strings those that may say where a folder is.
        optional: Top-level modules whose import it tries, and does without.
        members: What the bodies of classes import, which are attributes then.
    """

    def __init__(self, node: ast.stmt, module: Module, index: int) -> None:
        self.node = node
        self.module = module
        self.index = index  # position in the module
        self.names = names_bound(node)
        self.chains: set[tuple[str, ...]] = set()
        self.attributes: set[str] = set()
        self.strings: set[str] = set()
        self.imports: dict[str, Import] = {}
        self.modules: set[str] = set()
        self.variables: set[str] = set()
        self.patterns: set[str] = set()
        self.folders: set[str] = set()
        self.in_order: list[str] = []  # what it imports
        self._read(node)
        self.members = list(_members(node, module))
        self.optional = _optional(node)
        visible = _global_names(node) | set(self.imports)
        self.chains = {chain for chain in self.chains if chain[0] in visible}
        self.changed = {chain for chain in _changed(node) if chain and chain[0] in visible}

    @property
    def lists_folders(self) -> bool:
        """Whether it may look through folders."""
        return lists_folders(self.attributes, {chain[0] for chain in self.chains})

    @property
    def text(self) -> str:
        """The normal form of the code."""
        try:
            return ast.dump(self.node)
        except RecursionError:  # an expression of a thousand terms: the whole file, then
            return address_of_file(self.module.path)

    @property
    def is_definition(self) -> bool:
        """Whether it is a function or a class."""
        return isinstance(self.node, Definition)

    def _read(self, node: ast.AST) -> None:
        if isinstance(node, ast.Attribute):
            self.attributes.add(node.attr)
        if isinstance(node, ast.Attribute | ast.Name) and (chain := chain_of(node)):
            self.chains.add(chain)
            self.attributes.update(chain[1:])
            return
        if variable := _variable(node):
            self.variables.add(variable)
        if pattern := pattern_of(node):
            self.patterns.add(pattern)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.strings.add(node.value)
            self.folders.update([node.value] if "/" in node.value else [])
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            self.strings.add(_joined(node))
            self.folders.add(_joined(node))
        self.folders.update(may_be_folders(node))
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.imports.update(bindings_of(node, self.module))
            self.modules.update(modules_of(node, self.module))
            source = self.module.absolute(node) if isinstance(node, ast.ImportFrom) else ""
            self.in_order += [f"{source}:{alias.name}" for alias in node.names]
        for child in ast.iter_child_nodes(node):
            self._read(child)


class Module:
    """One parsed module: its statements, and which of them bind which name.

    Attributes:
        bound: Name -> the statements that bind it, or change what it is bound to, in order.
        imports: Name -> what it is imported from (several, where a `try` offers two).
        stars: Modules of which everything is imported.
        digest: Address of the file's bytes.
    """

    def __init__(self, name: str, path: Path, *, is_package: bool) -> None:
        self.name = name
        self.path = path
        self.is_package = is_package
        self.statements: list[Statement] = []
        self.bound: dict[str, list[Statement]] = {}
        self.imports: dict[str, list[Import]] = {}
        self.stars: list[str] = []
        data = path.read_bytes()
        self.digest = address_of(data)
        for index, node in enumerate(parsed(data, path).body):
            self._add(node, index)

    @property
    def modules(self) -> set[str]:
        """Every module that is imported anywhere in the file."""
        return set().union(*(statement.modules for statement in self.statements))

    def absolute(self, node: ast.ImportFrom) -> str:
        """The full name of the module that a `from` import names."""
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        parts = parts[: len(parts) - node.level + (1 if self.is_package else 0)]
        return ".".join([*parts, *([node.module] if node.module else [])])

    def _add(self, node: ast.stmt, index: int) -> None:
        if _is_main_guard(node):
            return
        statement = Statement(node, self, index)
        self.statements.append(statement)
        if isinstance(node, ast.Import | ast.ImportFrom):
            self._add_imports(node)
            return
        if isinstance(node, _COMPOUND):
            self._add_conditional_imports(statement)
        for name in statement.names:
            self.bound.setdefault(name, []).append(statement)
        if isinstance(node, Definition):
            self._attach_decorated(node, statement)

    def _add_conditional_imports(self, statement: Statement) -> None:
        # what the statement asks decides what the names mean: it binds them as well
        for inner in ast.walk(statement.node):
            if isinstance(inner, ast.Import | ast.ImportFrom):
                self._add_imports(inner)
                statement.names += bindings_of(inner, self)

    def _add_imports(self, node: ast.Import | ast.ImportFrom) -> None:
        for name, target in bindings_of(node, self).items():
            self.imports.setdefault(name, []).append(target)
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            self.stars.append(self.absolute(node))

    def _attach_decorated(self, node: Definition, statement: Statement) -> None:
        # `@area.register` changes what `area` is; `@register` may, unless it is a function
        for chain in decorators_of(node):
            owners = self.bound.get(chain[0], []) if chain else []
            is_function = any(isinstance(owner.node, ast.FunctionDef) for owner in owners)
            if owners and (len(chain) > 1 or not is_function):
                owners.append(statement)


def chain_of(node: ast.AST) -> tuple[str, ...]:
    """The dotted name of a node, as ("helpers", "scale"); () if it does not start with a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else ()


def bindings_of(node: ast.Import | ast.ImportFrom, module: Module) -> dict[str, Import]:
    """The names that an import binds, with what they are bound to."""
    if isinstance(node, ast.ImportFrom):
        source = module.absolute(node)
        return {a.asname or a.name: Import(source, a.name) for a in node.names if a.name != "*"}
    return {
        a.asname or a.name.partition(".")[0]: Import(a.name if a.asname else a.name.split(".")[0])
        for a in node.names
    }


def modules_of(node: ast.Import | ast.ImportFrom, module: Module) -> set[str]:
    """The modules that an import may load."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    source = module.absolute(node)
    return {source, *(f"{source}.{alias.name}" for alias in node.names if alias.name != "*")}


def _members(node: ast.AST, module: Module) -> Iterator[Import]:
    for each in ast.walk(node):
        if isinstance(each, ast.ClassDef):
            for inner in _outside_scopes(ast.Module(each.body, [])):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    yield from bindings_of(inner, module).values()


def decorators_of(node: ast.AST) -> list[tuple[str, ...]]:
    """The dotted names of a definition's decorators."""
    if not isinstance(node, Definition):
        return []
    return [chain_of(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list]


def names_bound(node: ast.stmt) -> list[str]:
    """The names a top-level statement binds, or changes the value of."""
    if isinstance(node, Definition):
        return [node.name]
    names: dict[str, None] = {}
    for inner in _outside_scopes(node):
        if isinstance(inner, Definition):
            names[inner.name] = None
        elif isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load):
            names[inner.id] = None
        elif chain := _set_or_deleted(inner):
            names[chain[0]] = None
    return list(names)


def _changed(node: ast.AST) -> Iterator[tuple[str, ...]]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Global):
            yield from ((name,) for name in inner.names)
        elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            if inner.func.attr in CHANGING:
                yield chain_of(inner.func.value)
        else:
            yield _set_or_deleted(inner)


def _set_or_deleted(node: ast.AST) -> tuple[str, ...]:
    """`x.y` for `x.y = 1`, `x` for `x[0] = 1`, () for anything else."""
    if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        return chain_of(node)
    if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return chain_of(node.value)
    return ()


def _global_names(node: ast.stmt) -> set[str]:
    """The names that Python looks up in the module, as its own compiler decides."""
    top = symtable.symtable(ast.unparse(node), "statement", "exec")
    return _globals_in(top)


def _globals_in(table: symtable.SymbolTable) -> set[str]:
    # a class body may read a module's name before it binds its own
    is_function = table.get_type() == "function"
    names = {s.get_name() for s in table.get_symbols() if s.is_global() or not is_function}
    return names.union(*(_globals_in(child) for child in table.get_children()))


def parsed(data: bytes, path: Path) -> ast.Module:
    """The tree of what a file holds, without its docstrings."""
    tree = ast.parse(data, filename=str(path))
    for node in ast.walk(tree):
        if isinstance(node, Definition | ast.Module):  # docstrings, also those of attributes
            kept = [each for each in node.body if not _is_docstring(each)]
            node.body = kept or ([] if isinstance(node, ast.Module) else [ast.Pass()])
        elif isinstance(node, ast.Constant):
            node.kind = None  # u"text" is "text"
    return tree


def _optional(node: ast.AST) -> set[str]:
    tried = [
        inner
        for attempt in ast.walk(node)
        if isinstance(attempt, ast.Try) and any(map(_catches_imports, attempt.handlers))
        for each in attempt.body
        for inner in ast.walk(each)
    ]
    names = {a.name for each in tried if isinstance(each, ast.Import) for a in each.names}
    names |= {e.module or "" for e in tried if isinstance(e, ast.ImportFrom) and not e.level}
    return {name.partition(".")[0] for name in names}


def _catches_imports(handler: ast.ExceptHandler) -> bool:
    caught = {chain_of(each)[-1:] for each in ast.walk(handler.type)} if handler.type else set()
    return handler.type is None or bool(
        caught & {("ImportError",), ("ModuleNotFoundError",), ("Exception",), ("BaseException",)}
    )


def _variable(node: ast.AST) -> str:
    """`NAME` for `os.environ["NAME"]`, `environ.get("NAME")` and `os.getenv("NAME")`, else ""."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        owner, argument = chain_of(node.value), node.slice
    elif isinstance(node, ast.Call) and node.args:
        owner, argument = chain_of(node.func), node.args[0]
        owner = owner[:-1] if owner[-1:] == ("get",) else owner
    else:
        return ""
    is_read = owner[-1:] in (("environ",), ("environb",), ("getenv",), ("getenvb",))
    if not (is_read and isinstance(argument, ast.Constant)):
        return ""
    name = argument.value
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


def _joined(node: ast.BinOp) -> str:
    """`Path(...) / "a" / "b"` -> "a/b"."""
    parts: list[str] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Div):
        if not (isinstance(left.right, ast.Constant) and isinstance(left.right.value, str)):
            break
        parts.append(left.right.value)
        left = left.left
    return "/".join(reversed(parts))


def _outside_scopes(node: ast.AST) -> Iterator[ast.AST]:
    """A statement's nodes, without what is inside functions and classes."""
    yield node
    if not isinstance(node, _SCOPES):
        for child in ast.iter_child_nodes(node):
            yield from _outside_scopes(child)


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        "__name__ == '__main__'",
        "'__main__' == __name__",
    )
