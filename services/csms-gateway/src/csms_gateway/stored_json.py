"""Pure: JSON as PostgreSQL takes and gives it."""

from typing import Any

import orjson

from common.authorize import Holder
from csms_gateway import frames


def as_json(value: Any) -> str:
    # PostgreSQL's jsonb cannot hold NUL; the message log has the frame as it was.
    return frames.clean(orjson.dumps(value).decode())


def holder_json(holder: Holder | None) -> str | None:
    return None if holder is None else holder.model_dump_json()


def holder_of(stored: str | None) -> Holder | None:
    return None if stored is None else Holder.model_validate_json(stored)
