"""Secrets that a service must read again: encrypted with the setting secret_key."""

from fastapi import Request

from common.problems import NotConfigured
from common.sealing import Sealer


def sealer(request: Request) -> Sealer:
    """Raises NotConfigured."""
    made = if_any(request)
    if made is None:
        raise NotConfigured("set CSMS_SECRET_KEY; without it no secret can be kept")
    return made


def if_any(request: Request) -> Sealer | None:
    made: Sealer | None = request.app.state.sealer
    return made


def opened(request: Request, sealed: bytes) -> bytes:
    """Raises NotConfigured."""
    try:
        return sealer(request).open(sealed)
    except ValueError:
        raise NotConfigured("CSMS_SECRET_KEY is not the one that this was sealed with") from None
