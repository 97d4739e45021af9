"""Answers that caches may keep for a moment, and that are not sent again while the same."""

from hashlib import blake2b
from typing import Any, Final

import orjson
from fastapi import Request, Response

# What is shown may be this much older than it already is: the map is at most 2 s behind.
MAX_AGE_S: Final = 5


def answer(request: Request, body: dict[str, Any], *, shared: bool, max_age_s: int) -> Response:
    """shared: for anybody; else only its own asker's cache may keep it."""
    content = orjson.dumps(body)
    tag = f'"{blake2b(content, digest_size=12).hexdigest()}"'
    headers = {
        "Cache-Control": f"{'public' if shared else 'private'}, max-age={max_age_s}",
        "ETag": tag,
        "Vary": "Authorization",
    }
    if tag in _known(request.headers.get("If-None-Match", "")):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


def _known(if_none_match: str) -> set[str]:
    """A weak comparison (RFC 9110, 13.1.2): proxies that compress weaken a tag."""
    return {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
