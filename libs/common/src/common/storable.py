"""Text that PostgreSQL cannot hold, not even in a comparison: an address with NUL has no answer.

Here for every route, so that none has to think of it; bodies are refused by their models.
"""

from fastapi import Request

from common.problems import Problem


class UnstorableText(Problem):
    status = 422
    title = "Text with a character that cannot be stored"


async def address(request: Request) -> None:
    """A dependency of every route. Raises UnstorableText."""
    query: bytes = request.scope["query_string"]
    if "\0" in request.scope["path"] or b"%00" in query or b"\0" in query:
        raise UnstorableText("no part of an address may hold NUL")
