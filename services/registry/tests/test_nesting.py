"""Groups in groups, against a look at every path."""

from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from registry.groups.nesting import Nesting

GROUPS = [UUID(int=n) for n in range(7)]
# A pair leads from a smaller to a bigger number, so that there is no circle.
pairs = st.sets(
    st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda pair: pair[0] < pair[1])
)


def paths(edges: set[tuple[int, int]], start: int) -> list[list[int]]:
    """Every way down from a group, each step of it as well."""
    found = [[start]]
    for upper, lower in edges:
        if upper == start:
            found += [[start, *way] for way in paths(edges, lower)]
    return found


@given(pairs)
def test_what_holds_what_is_what_every_path_says(edges: set[tuple[int, int]]) -> None:
    nesting = Nesting((GROUPS[upper], GROUPS[lower]) for upper, lower in edges)
    below = {n: {step for way in paths(edges, n) for step in way} for n in range(7)}
    for one in range(7):
        for other in range(7):
            assert nesting.holds(GROUPS[one], GROUPS[other]) == (other in below[one])
        above = nesting.above(GROUPS[one])
        assert len(above) == len(set(above))
        assert {GROUPS.index(group) for group in above} == {
            n for n in range(7) if n != one and one in below[n]
        }
        order = [GROUPS.index(group) for group in above]
        for place, upper in enumerate(order):
            assert not below[upper] & set(order[place + 1 :]), "an outer one before an inner one"


@given(pairs, st.integers(0, 5))
def test_the_depth_is_that_of_the_longest_chain(edges: set[tuple[int, int]], group: int) -> None:
    nesting = Nesting((GROUPS[upper], GROUPS[lower]) for upper, lower in edges)
    subgroup = group + 1
    chains = [way for n in range(7) for way in paths(edges | {(group, subgroup)}, n)]
    through = [way for way in chains if (group, subgroup) in pairwise(way)]
    wanted = max(len(way) for way in through)
    assert nesting.depth_with(GROUPS[group], GROUPS[subgroup]) == wanted
