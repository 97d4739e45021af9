"""Station groups in station groups. Pure: which group holds which, however deep."""

from collections import defaultdict
from collections.abc import Iterable
from graphlib import TopologicalSorter
from typing import Final
from uuid import UUID

DEPTH_MAX: Final = 10  # groups in a chain, the outermost and the innermost counted


class Nesting:
    """An operator's groups that are in groups."""

    def __init__(self, pairs: Iterable[tuple[UUID, UUID]]) -> None:
        """pairs: a group, and one that is in it itself."""
        self._up: dict[UUID, set[UUID]] = defaultdict(set)
        self._down: dict[UUID, set[UUID]] = defaultdict(set)
        for group, subgroup in pairs:
            self._up[subgroup].add(group)
            self._down[group].add(subgroup)

    def above(self, group: UUID) -> list[UUID]:
        """Those that hold the group, at whatever depth: each after all that it holds of them."""
        found = _reach(self._up, group)
        held = {one: self._down[one] & found for one in found}
        return [*TopologicalSorter(held).static_order()]

    def holds(self, group: UUID, other: UUID) -> bool:
        """Whether the other is the group itself or in it, at whatever depth."""
        return group == other or other in _reach(self._down, group)

    def depth_with(self, group: UUID, subgroup: UUID) -> int:
        """How long the longest chain through both were if the second was in the first.

        The first is not in the second.
        """
        return _longest(self._up, group) + _longest(self._down, subgroup)


def _reach(edges: dict[UUID, set[UUID]], start: UUID) -> set[UUID]:
    found: set[UUID] = set()
    waiting = [start]
    while waiting:
        new = edges.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def _longest(edges: dict[UUID, set[UUID]], start: UUID) -> int:
    """In groups, the start counted. Chains are no longer than DEPTH_MAX, so level by level."""
    level, length = {start}, 0
    while level:
        level = {one for group in level for one in edges.get(group, ())}
        length += 1
    return length
