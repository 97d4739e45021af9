"""Pure: the public key of a meter, kept as it was given: drivers compare it with the station's."""

from typing import Annotated

from pydantic import AfterValidator, Field

from common.meter_keys import decoded


def _kept(text: str) -> str:
    text = text.strip()
    decoded(text)
    return text


PublicKey = Annotated[str, Field(max_length=2000), AfterValidator(_kept)]
