"""A graph in layers from left to right, as Sugiyama, Tagawa and Toda draw it.

Each thing stands to the right of all that it was made from; where an arrow passes a layer, it
gets a place of its own there, so that it goes round what stands in it; in each layer the
things stand near the middle of their neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

_SWEEPS = 4  # there and back; more change little

Arrow = tuple[str, str]  # from a thing to one that was made from it


class Layout(NamedTuple):
    """Where everything stands: layer and row, and the rows that an arrow passes on its way."""

    places: dict[str, tuple[int, float]]
    ways: dict[Arrow, list[tuple[int, float]]]  # both ends included
    n_layers: int
    n_rows: int


def layers_of(nodes: Iterable[str], arrows: Iterable[Arrow]) -> dict[str, int]:
    """The layer of each node, from 0: one behind the last of those that lead to it.

    Nodes to which nothing leads stand as near to what they lead to as they can. Arrows that
    would close a circle do not count.

    Examples:
        >>> layers_of("abcd", [("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")])
        {'a': 0, 'b': 1, 'c': 2, 'd': 1}
    """
    names = list(nodes)
    parents = _without_circles(names, arrows)
    layers: dict[str, int] = {}
    for name in _parents_first(names, parents):
        layers[name] = 1 + max((layers[parent] for parent in parents[name]), default=-1)
    children: dict[str, list[int]] = {}
    for name, above in parents.items():
        for parent in above:
            children.setdefault(parent, []).append(layers[name])
    return {
        name: min(children[name]) - 1 if not parents[name] and name in children else layers[name]
        for name in names
    }


def without_shortcuts(arrows: Sequence[Arrow]) -> list[Arrow]:
    """The arrows without those between two nodes that a longer way joins as well.

    Examples:
        >>> without_shortcuts([("a", "b"), ("b", "c"), ("a", "c")])
        [('a', 'b'), ('b', 'c')]
    """
    children: dict[str, list[str]] = {}
    for start, end in arrows:
        children.setdefault(start, []).append(end)
    return [
        (start, end)
        for start, end in arrows
        if not any(end in _reached(middle, children) for middle in children[start] if middle != end)
    ]


def _reached(start: str, children: Mapping[str, list[str]]) -> set[str]:
    found, waiting = set[str](), [start]
    while waiting:
        for child in children.get(waiting.pop(), []):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def layout(nodes: Sequence[str], arrows: Sequence[Arrow]) -> Layout:
    """Where to draw each node, and on which way each arrow.

    Args:
        nodes: Names, each once; the same order gives the same picture.
        arrows: Between them; one from a node to itself is left out.
    """
    drawn = [arrow for arrow in dict.fromkeys(arrows) if arrow[0] != arrow[1]]
    layers = layers_of(nodes, drawn)
    rows: list[list[str]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for name in nodes:
        rows[layers[name]].append(name)
    chains = {arrow: _chain(arrow, layers, rows) for arrow in drawn}
    neighbours: dict[str, list[tuple[str, int]]] = {}
    at = {name: layer for layer, row in enumerate(rows) for name in row}
    for chain in chains.values():
        for left, right in itertools.pairwise(chain):
            neighbours.setdefault(left, []).append((right, at[right]))
            neighbours.setdefault(right, []).append((left, at[left]))
    _untangle(rows, neighbours)
    tallest = max(map(len, rows), default=0)
    places = {
        name: (layer, index + (tallest - len(row)) / 2)
        for layer, row in enumerate(rows)
        for index, name in enumerate(row)
    }
    ways = {arrow: [places[name] for name in chain] for arrow, chain in chains.items()}
    return Layout({name: places[name] for name in nodes}, ways, len(rows), tallest)


def _without_circles(names: list[str], arrows: Iterable[Arrow]) -> dict[str, list[str]]:
    """Node -> what leads to it, without the arrows that lead back."""
    parents: dict[str, list[str]] = {name: [] for name in names}
    for start, end in arrows:
        parents[end].append(start)
    state: dict[str, str] = {}
    for name in names:
        waiting = [(name, iter(list(parents[name])))]
        while waiting:
            node, rest = waiting[-1]
            state.setdefault(node, "open")
            parent = next(rest, None)
            if parent is None:
                state[node] = "done"
                waiting.pop()
            elif state.get(parent) == "open":
                parents[node].remove(parent)
            elif parent not in state:
                waiting.append((parent, iter(list(parents[parent]))))
    return parents


def _parents_first(names: list[str], parents: Mapping[str, list[str]]) -> list[str]:
    n_missing = {name: len(parents[name]) for name in names}
    children: dict[str, list[str]] = {}
    for name in names:
        for parent in parents[name]:
            children.setdefault(parent, []).append(name)
    ready = [name for name in names if not n_missing[name]]
    for name in ready:  # it grows while it is read
        for child in children.get(name, []):
            n_missing[child] -= 1
            if not n_missing[child]:
                ready.append(child)
    return ready


def _chain(arrow: Arrow, layers: Mapping[str, int], rows: list[list[str]]) -> list[str]:
    """The arrow's ends, and between them a place in each layer that it passes."""
    start, end = arrow
    chain = [start]
    step = 1 if layers[end] > layers[start] else -1
    for layer in range(layers[start] + step, layers[end], step):
        chain.append(f"{start}\0{end}\0{layer}")
        rows[layer].append(chain[-1])
    return [*chain, end]


def _untangle(rows: list[list[str]], neighbours: Mapping[str, list[tuple[str, int]]]) -> None:
    """Put each layer in the order of its neighbours' middles, to the right and back."""
    for sweep in range(_SWEEPS):
        step = 1 if sweep % 2 == 0 else -1
        order = range(1, len(rows)) if step == 1 else range(len(rows) - 2, -1, -1)
        for layer in order:
            beside = {name: index for index, name in enumerate(rows[layer - step])}
            size = max(1, len(beside))

            def middle(name: str, here: int = layer, back: int = step) -> float:
                found = [
                    beside[other] / size  # noqa: B023 - called before the loop goes on
                    for other, at in neighbours.get(name, [])
                    if at == here - back
                ]
                return sum(found) / len(found) if found else 0.5

            rows[layer].sort(key=middle)
