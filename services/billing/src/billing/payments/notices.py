"""Where a payment provider says that something has changed. Nothing of it is believed.

A notice only makes us ask, once a second and payment at most, so strangers who send some can do
nothing else. What is not there is answered like what is.
"""

from uuid import UUID

from fastapi import APIRouter, Response

from billing.payments.asking import ask_sooner
from common import public_limits
from common.database import PlatformDb

router = APIRouter(tags=["public"])

NOTICES = "payment notices"


@router.post(
    "/v1/payment-notices/{topup_id}",
    summary="For payment providers: look at a payment again",
    dependencies=[public_limits.limited(NOTICES)],
)
async def notice(topup_id: UUID, db: PlatformDb) -> Response:
    """Whatever is sent with it is not read."""
    await ask_sooner(db, topup_id)
    return Response(status_code=200)
