"""The routes that discounts and price events have in common."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from billing.discounts import granting, keeping, previews
from billing.discounts.applying import Form
from billing.discounts.granting import GrantOut
from billing.discounts.previews import PreviewIn, PreviewOut, WaitS
from billing.discounts.shapes import EndIn, OfferOut
from common import paging
from common.auth import Caller
from common.database import Db
from common.paging import Cursor, Limit, Page
from common.versions import Expected


def add_shared(router: APIRouter, form: Form, key: str, out: type[OfferOut], scopes: Any) -> None:
    """All but listing and writing them.

    `key` is the name of the id in the path, `out` what is shown of one, `scopes` those to read
    and to write.
    """
    _add_its_life(router, form, key, out, scopes)
    _add_what_it_gives(router, form, key, scopes)


def _add_its_life(
    router: APIRouter, form: Form, key: str, out: type[OfferOut], scopes: Any
) -> None:
    reads, writes = scopes
    words = form.replace("_", " ")
    one = f"/{{{key}}}"
    OfferId = Annotated[UUID, Path(alias=key)]  # noqa: N806  a type

    @router.get(
        one,
        name=f"read_{form}",
        summary=f"Read a {words}",
        response_model=out,
        dependencies=[reads],
    )
    async def read(offer_id: OfferId, db: Db, response: Response) -> Any:
        return await keeping.shown(db, response, await keeping.get(db, form, offer_id))

    @router.delete(
        one, name=f"delete_{form}", status_code=204, summary="Delete a draft", dependencies=[writes]
    )
    async def delete(offer_id: OfferId, expected: Expected, db: Db, caller: Caller) -> None:
        await keeping.remove(db, form, caller, offer_id, expected)

    @router.post(
        f"{one}/activate",
        name=f"activate_{form}",
        summary=f"Activate a {words}",
        response_model=out,
        dependencies=[writes],
    )
    async def activate(
        offer_id: OfferId, expected: Expected, db: Db, caller: Caller, response: Response
    ) -> Any:
        """For sessions that begin from now on; from then on only its end can be set."""
        row = await keeping.activate(db, form, caller, offer_id, expected)
        return await keeping.shown(db, response, row)

    @router.post(
        f"{one}/end",
        name=f"end_{form}",
        summary=f"End a {words} earlier",
        response_model=out,
        dependencies=[writes],
    )
    async def end(
        offer_id: OfferId,
        body: EndIn,
        expected: Expected,
        db: Db,
        caller: Caller,
        response: Response,
    ) -> Any:
        """Sessions that run keep what they began with."""
        row = await keeping.end(db, form, caller, offer_id, expected, body)
        return await keeping.shown(db, response, row)


def _add_what_it_gives(router: APIRouter, form: Form, key: str, scopes: Any) -> None:
    reads, writes = scopes
    words = form.replace("_", " ")
    one = f"/{{{key}}}"
    OfferId = Annotated[UUID, Path(alias=key)]  # noqa: N806  a type

    @router.get(
        f"{one}/grants",
        name=f"list_{form}_grants",
        summary=f"List what a {words} gave to which session, the newest first",
        dependencies=[reads],
    )
    async def list_grants(
        offer_id: OfferId, db: Db, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
    ) -> Page[GrantOut]:
        await keeping.get(db, form, offer_id)
        return await granting.granted(db, offer_id, limit, cursor)

    @router.post(
        f"{one}/preview",
        name=f"preview_{form}",
        status_code=202,
        summary=f"See what a {words} would have done to sessions that were",
        dependencies=[writes],
    )
    async def preview(
        offer_id: OfferId,
        body: PreviewIn,
        request: Request,
        caller: Caller,
        response: Response,
        wait_s: WaitS = 5.0,
    ) -> PreviewOut:
        """200 when it is done; 202: it goes on, read it again. What was asked before is
        forgotten.
        """
        found = await previews.ask(request, caller, form, offer_id, body, wait_s)
        if found.finished_at is not None:
            response.status_code = 200
        return found

    @router.get(
        f"{one}/preview",
        name=f"read_{form}_preview",
        summary="Read the latest preview",
        dependencies=[reads],
    )
    async def read_preview(offer_id: OfferId, db: Db, caller: Caller) -> PreviewOut:
        return await previews.read(db, caller, form, offer_id)
