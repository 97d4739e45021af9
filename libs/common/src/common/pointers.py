"""Pure: JSON pointers into what was sent, of the places where pydantic found mistakes.

Pydantic's own paths name the member of a union that it tried (`body`, `cash`, `amount`), which
nobody sent. What was sent tells which parts these are: an object has no such member, or a text
has no members at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Location = Sequence[int | str]


def pointer(location: Location, body: Any = None, kind: str = "") -> str:
    """RFC 6901. body: what was sent, None: nothing is known of it; kind: of the mistake."""
    if location[:1] == ("body",) and body is not None and kind != "json_invalid":
        location = ("body", *_sent(location[1:], body, kind))
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in location)
    return "/" + "/".join(steps)


def _sent(parts: Location, there: Any, kind: str) -> Iterator[int | str]:
    """The parts but those that name the member of a union."""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if isinstance(there, Mapping):
            if part in there:
                there = there[part]
            # The last one may name what is missing, or has a default that does not fit the rest.
            elif not last or (kind != "missing" and part in _texts(there)):
                continue
        elif isinstance(there, list):
            if not isinstance(part, int):
                continue
            there = there[part] if part < len(there) else None
        elif isinstance(there, str | int | float | None):
            continue
        yield part


def _texts(there: Mapping[str, Any]) -> set[str]:
    """A member of a tagged union is named as one of the object's values is."""
    return {value for value in there.values() if isinstance(value, str)}
