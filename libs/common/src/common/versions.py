"""Updates say which version they change, so that two people cannot undo each other unseen.

ETag on reading, If-Match on writing. Source: RFC 9110, 13.1.1.
"""

import re
from typing import Annotated

from fastapi import Depends, Header, Response

from common.problems import Problem


class IfMatchRequired(Problem):
    status = 428
    title = "Say which version you change"


class VersionChanged(Problem):
    status = 412
    title = "Changed in the meantime"


def changed(version: int) -> VersionChanged:
    """The refusal that tells the version there is now."""
    return VersionChanged("read it again: it was changed since", version=version)


IfMatch = Annotated[
    str | None, Header(description="the ETag of the state that the change is based on")
]


def _expected(if_match: IfMatch = None) -> frozenset[int] | None:
    if if_match is None:
        raise IfMatchRequired("send If-Match with the ETag of the state you read")
    return _given(if_match)


def _expected_if_said(if_match: IfMatch = None) -> frozenset[int] | None:
    return None if if_match is None else _given(if_match)


def _given(if_match: str) -> frozenset[int] | None:
    given = {one.strip() for one in if_match.split(",")}
    # Nine digits fit the column; a weak tag never matches.
    found = (re.fullmatch(r'"([0-9]{1,9})"', tag) for tag in given)
    return None if "*" in given else frozenset(int(tag[1]) for tag in found if tag)


# The versions that may be changed; None: any.
Expected = Annotated[frozenset[int] | None, Depends(_expected)]
# For what is a single word: who sets it knows all of what there will be.
ExpectedIfSaid = Annotated[frozenset[int] | None, Depends(_expected_if_said)]


def require(expected: frozenset[int] | None, version: int) -> None:
    """Raises VersionChanged."""
    if expected is not None and version not in expected:
        raise changed(version)


def tag(response: Response, version: int) -> None:
    response.headers["ETag"] = f'"{version}"'
