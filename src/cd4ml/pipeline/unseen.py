"""What no walk through code can see: names under which anything may be reached, changed or told."""

from __future__ import annotations

import ast
import builtins
import re

from cd4ml.pipeline.notes import is_of_the_machine

EVERYWHERE = frozenset(["__file__", "__name__", "__package__", *dir(builtins)])
UNSEEN_NAMES = frozenset(
    [
        "__builtins__",
        "__doc__",
        "__import__",
        "compile",
        "delattr",
        "eval",
        "exec",
        "getattr",
        "globals",
        "locals",
        "setattr",
        "vars",
    ]
)


UNSEEN_ATTRIBUTES = frozenset(
    ["__code__", "__doc__", "__dict__", "__getattribute__", "__globals__", "__subclasses__"]
)


UNSEEN_IMPORTS = frozenset(
    [
        "builtins",
        "cloudpickle.load",
        "cloudpickle.loads",
        "ctypes",
        "dill",
        "gc",
        "importlib",
        "inspect",
        "joblib.load",
        "linecache",
        "logging.config",
        "operator.attrgetter",
        "operator.methodcaller",
        "pickle.Unpickler",
        "pickle.load",
        "pickle.loads",
        "pydoc",
        "os.popen",
        "os.system",
        "pkgutil",
        "pkg_resources",
        "runpy",
        "subprocess",
        "sys._current_frames",
        "sys._getframe",
        "sys.modules",
        "tokenize",
        "unittest.mock",
        "types.FunctionType",
    ]
)


ASKING = frozenset(["environ", "environb", "expandvars", "getenv", "getenvb"])
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+")
EXPANDED = re.compile(r"\$\{?(\w+)")
SHELLS = frozenset(["os.popen", "os.system", "subprocess"])
_ASKS = re.compile(r"environ|getenv|\benv\b|\bENV\b")
_QUOTED = re.compile(r"[\"'`]([A-Z][A-Z0-9_]+)[\"'`]|\benv\.(\w+)")
KEEPING = frozenset(["cache", "cached_property", "lru_cache"])
_UNSEEN_METHODS = frozenset(["__init_subclass__", "__set_name__"])
_EMPTY_CALLS = frozenset(["dict", "list", "set", "OrderedDict", "Counter", "deque", "defaultdict"])


def variables_in(text: str) -> set[str]:
    """The environment variables that a program in any language may read by name.

    Examples:
        >>> sorted(variables_in("echo ${REGION} $1"))
        ['REGION']
        >>> sorted(variables_in("os.environ['REGION']"))
        ['REGION']
    """
    found = {name for name in EXPANDED.findall(text) if not name.isdigit()}
    if _ASKS.search(text):
        found |= {name for pair in _QUOTED.findall(text) for name in pair if name}
    return {name for name in found if not is_of_the_machine(name)}


def told_or_filled(node: ast.stmt, names: list[str]) -> set[str]:
    """What is told of classes that are made, or filled, by whoever knows of it."""
    found = {
        each.name
        for each in ast.walk(node)
        if isinstance(each, ast.FunctionDef) and each.name in _UNSEEN_METHODS
    }
    if isinstance(node, ast.ClassDef) and "type" in _bases(node):
        found |= {"a metaclass"}
    if _is_empty_container(node):
        found |= {f"what fills {', '.join(names)}"}
    return found


def _is_empty_container(node: ast.stmt) -> bool:
    """`REGISTRY = {}`: an empty container exists to be filled by somebody."""
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if isinstance(value, ast.Dict):
        return not value.keys
    if isinstance(value, ast.List | ast.Set):
        return not value.elts
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else ""
        name = value.func.id if isinstance(value.func, ast.Name) else name
        return name == "defaultdict" or (name in _EMPTY_CALLS and not value.args)
    return False


def _bases(node: ast.ClassDef) -> set[str]:
    return {base.id for base in node.bases if isinstance(base, ast.Name)}
