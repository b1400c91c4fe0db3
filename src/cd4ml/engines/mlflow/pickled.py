"""Which modules a pickle would import, found out without loading it."""

from __future__ import annotations

import pickletools

_TEXTS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")


def modules_of(data: bytes) -> set[str]:
    """The top-level modules whose classes and functions a pickle names.

    Examples:
        >>> import pickle
        >>> from fractions import Fraction
        >>> modules_of(pickle.dumps(Fraction(1, 3)))
        {'fractions'}
    """
    found: set[str] = set()
    texts: list[str] = []
    memory: dict[int, str] = {}
    n_kept = 0
    for code, argument, _ in pickletools.genops(data):
        match code.name:
            case "GLOBAL":
                found.add(str(argument).split(" ")[0])
            case "STACK_GLOBAL":
                found.update(texts[-2:-1])
            case "MEMOIZE":
                memory[n_kept] = texts[-1] if texts else ""
                n_kept += 1
            case "BINGET" | "LONG_BINGET":
                texts.append(memory.get(int(argument or 0), ""))
            case name if name in _TEXTS:
                texts.append(str(argument))
    return {module.partition(".")[0] for module in found if module}
