"""Updates say which version they change, so that two people cannot undo each other unseen."""

from typing import Annotated

from fastapi import Header, Response

from common.problems import Problem

IfMatch = Annotated[
    str | None, Header(description="the ETag of the state that the change is based on")
]


class IfMatchRequired(Problem):
    status = 428
    title = "Say which version you change"


class VersionChanged(Problem):
    status = 412
    title = "Changed in the meantime"


def etag(version: int) -> str:
    return f'"{version}"'


def tag(response: Response, version: int) -> None:
    response.headers["ETag"] = etag(version)


def require_match(if_match: str | None, version: int) -> None:
    """Raises IfMatchRequired or VersionChanged. Several tags and * are good, weak ones never match.

    Source: RFC 9110, 13.1.1.
    """
    if if_match is None:
        raise IfMatchRequired("send If-Match with the ETag of the state you read")
    given = {one.strip() for one in if_match.split(",")}
    if not given & {etag(version), "*"}:
        raise VersionChanged("read it again: it was changed since", version=version)
