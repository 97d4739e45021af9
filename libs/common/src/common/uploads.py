"""Bodies that are files, and images as anybody may see them: bounded in, harmless out."""

from typing import Any, Final

from fastapi import Request, Response

from common.problems import Problem

CACHED_S: Final = 86_400  # an image's address changes with it, so a day is no wait for a new one
IMAGE_KINDS: Final = ("image/png", "image/jpeg", "image/webp")
_IMAGE: Final[dict[str, Any]] = {
    kind: {"schema": {"type": "string", "format": "binary"}} for kind in IMAGE_KINDS
}
# What OpenAPI says of a route that takes an image as its body, or answers with one.
IMAGE_SENT: Final[dict[str, Any]] = {"requestBody": {"required": True, "content": _IMAGE}}
IMAGE_ANSWERED: Final[dict[int | str, dict[str, Any]]] = {200: {"content": _IMAGE}}


async def body(request: Request, bytes_max: int, too_large: Problem) -> bytes:
    """Raises too_large before more of it than that is in memory."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > bytes_max:
            raise too_large
    return bytes(data)


def image(data: bytes, media_type: str, digest: str, if_none_match: str | None) -> Response:
    """The image, or 304 for who has it; nothing in it can run or call elsewhere."""
    tag = f'"{digest}"'
    headers = {
        "ETag": tag,
        "Cache-Control": f"public, max-age={CACHED_S}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    known = {one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")}
    if known & {tag, "*"}:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=media_type, headers=headers)
