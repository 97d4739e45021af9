"""Kinds of fields by which people are reached."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

# ASCII, so that lower case is the same here, in PostgreSQL and in the mind of who types it.
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        min_length=3,
        max_length=254,
        pattern=r"^[!-?A-~]+@[!-?A-~]+$",
    ),
]


def phone(text: str) -> str:
    """E.164: + and 7 to 15 digits, without the blanks and hyphens people type. ValueError."""
    plain = re.sub(r"[ /-]", "", text)
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", plain):
        raise ValueError("write it as it is dialled from abroad, such as +49 40 123456")
    return plain


Phone = Annotated[
    str,
    Field(max_length=30, description="E.164", examples=["+4940123456"]),
    AfterValidator(phone),
]
# http alone or with TLS: a link of any other scheme could be a program.
Website = Annotated[
    str, Field(max_length=300, pattern=r"^https?://[!-~]+$", examples=["https://example.org"])
]
