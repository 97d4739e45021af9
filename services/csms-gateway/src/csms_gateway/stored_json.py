"""Pure: what came as JSON, as PostgreSQL takes it."""

from typing import Any

import orjson


def as_json(value: Any) -> str:
    # PostgreSQL's jsonb cannot hold NUL; the message log has the frame as it was.
    return orjson.dumps(value).decode().replace("\\u0000", "\\ufffd")
