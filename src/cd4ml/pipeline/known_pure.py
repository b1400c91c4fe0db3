"""What is known to change nothing but what it returns; whatever is not listed counts as changing.

These lists decide only how often a step is computed again: a call that stands in none of them
makes its statement count for every step that it may concern.
"""

from __future__ import annotations

import builtins

BUILTINS = frozenset(dir(builtins)) - {
    "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "exit", "globals", "input",
    "locals", "quit", "setattr", "vars", "getattr", "next", "help",
}  # fmt: skip

# they call what they are given
CALLING = frozenset(["filter", "map", "max", "min", "sorted", "reduce"])

_MODULES = frozenset(
    [
        "__future__", "abc", "attr", "attrs", "base64", "calendar", "cd4ml", "cmath", "collections",
        "contextlib", "copy", "dataclasses", "datetime", "enum", "fractions", "functools",
        "hashlib", "itertools", "json", "math", "msgspec", "numbers", "pathlib", "re", "statistics",
        "string", "struct", "textwrap", "time", "tomllib", "types", "typing", "typing_extensions",
        "unicodedata", "uuid", "zoneinfo",
    ]
)  # fmt: skip
_CALLS = frozenset(
    [
        "contextvars.ContextVar", "decimal.Decimal", "logging.getLogger", "numba.jit", "numba.njit",
        "os.cpu_count", "os.environ.get", "os.fspath", "os.getcwd", "os.getenv", "os.listdir",
        "os.path.*", "operator.attrgetter", "operator.itemgetter", "operator.methodcaller",
        "random.Random", "threading.Lock", "threading.RLock", "threading.local",
        "weakref.WeakKeyDictionary", "weakref.WeakValueDictionary",
    ]
)  # fmt: skip
_CONSTRUCTORS = frozenset(  # packages whose classes are made without changing anything else
    ["catboost", "lightgbm", "numpy", "pandas", "polars", "pyarrow", "pydantic", "scipy", "sklearn",
     "torch", "xgboost"]
)  # fmt: skip
_NOT_CONSTRUCTORS = frozenset(["Config", "StringCache"])
_FUNCTIONS = {
    "numpy": "arange array asarray concatenate dtype exp eye float32 float64 full geomspace int32"
    " int64 isnan linspace log logspace mean ones random.default_rng sqrt stack unique where zeros",
    "polars": "all coalesce col concat concat_str date datetime duration element exclude len lit"
    " read_csv read_json read_ndjson read_parquet scan_csv scan_ndjson scan_parquet struct when",
    "pandas": "concat date_range read_csv read_json read_parquet to_datetime to_timedelta",
    "pydantic": "field_validator model_validator computed_field",
}
_FUNCTIONS_OF = {package: frozenset(names.split()) for package, names in _FUNCTIONS.items()}

# of text, numbers, containers, paths, patterns and expressions: they change nothing
METHODS = frozenset(
    [
        "absolute",
        "alias",
        "as_posix",
        "astype",
        "capitalize",
        "cast",
        "casefold",
        "copy",
        "count",
        "decode",
        "difference",
        "encode",
        "endswith",
        "exists",
        "expanduser",
        "filter",
        "find",
        "findall",
        "format",
        "format_map",
        "fromkeys",
        "get",
        "getenv",
        "glob",
        "hexdigest",
        "index",
        "intersection",
        "is_dir",
        "is_file",
        "isdigit",
        "isoformat",
        "issubset",
        "items",
        "iterdir",
        "join",
        "joinpath",
        "keys",
        "lower",
        "lstrip",
        "match",
        "otherwise",
        "over",
        "partition",
        "read",
        "read_bytes",
        "read_text",
        "relative_to",
        "removeprefix",
        "removesuffix",
        "replace",
        "resolve",
        "reshape",
        "rglob",
        "rpartition",
        "rsplit",
        "rstrip",
        "search",
        "split",
        "splitlines",
        "startswith",
        "strftime",
        "strip",
        "sub",
        "then",
        "title",
        "to_dict",
        "to_list",
        "tolist",
        "translate",
        "union",
        "upper",
        "values",
        "when",
        "with_name",
        "with_stem",
        "with_suffix",
        "zfill",
    ]
)

# they change what they are called on, and that alone
CHANGING = frozenset(
    [
        "add",
        "append",
        "appendleft",
        "clear",
        "discard",
        "extend",
        "insert",
        "pop",
        "popitem",
        "register",
        "remove",
        "reverse",
        "set",
        "setdefault",
        "sort",
        "update",
        "__setitem__",
    ]
)

# modules that hold nothing that could be changed for others, unless it is done on purpose
STATELESS = frozenset(
    ["__future__", "abc", "cd4ml", "collections", "contextlib", "dataclasses", "enum", "functools",
     "itertools", "typing", "typing_extensions"]
)  # fmt: skip


def is_pure(name: str) -> bool:
    """Whether calling something of another package, by its whole name, changes nothing.

    Examples:
        >>> [is_pure(each) for each in ("pathlib.Path", "polars.col", "sklearn.svm.SVC")]
        [True, True, True]
        >>> [is_pure(each) for each in ("random.seed", "polars.Config.set_fmt_str_lengths")]
        [False, False]
    """
    package, _, rest = name.partition(".")
    last = rest.rpartition(".")[2]
    if package in _MODULES or name in _CALLS or name.startswith("os.path."):
        return True
    if package in _CONSTRUCTORS and last[:1].isupper() and last not in _NOT_CONSTRUCTORS:
        return True
    if package in _CONSTRUCTORS and last.startswith("make_"):
        return True
    return rest in _FUNCTIONS_OF.get(package, ())
