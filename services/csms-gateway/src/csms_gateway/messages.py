"""The OCPP message log by REST: searched, followed and exported (message_log.py writes it).

A partition a day: every question has a range of time, so that only its days are looked at, by
station and time. A search in the frames' text reads its range whole, so its range is shorter.
"""

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import sqlalchemy.exc
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from common import paging, sse, unsettled
from common.auth import Caller, Principal, scoped
from common.clock import EARLIEST, LATEST, Moment, now
from common.database import Connections, Db
from common.problems import Problem
from csms_gateway.connections import StationPath
from csms_gateway.message_log import Direction, Kind
from csms_gateway.tables import Message

router = APIRouter(prefix="/v1/stations/{station_id}/messages", tags=["messages"])

DAY: Final = timedelta(days=1)
RANGE_MAX: Final = 31 * DAY
SEARCH_RANGE_MAX: Final = 7 * DAY
# A search for what is not there reads everything in its range: about a second a million frames.
STATEMENT_MS_MAX: Final = 15_000
POLL_S: Final = 1.0
RESUME: Final = DAY  # a stream that broke off earlier than that goes on from here
EXPORT_PAGE: Final = 500
CSV: Final = "text/csv"
NDJSON: Final = "application/x-ndjson"


class InvalidRange(Problem):
    status = 422
    title = "Invalid range of time"


class SearchTooWide(Problem):
    status = 422
    title = "The search takes too long"


class NotAcceptable(Problem):
    status = 406
    title = "No such format"


class MessageOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    received_at: datetime
    station_id: str
    direction: Direction = Field(description="in: from the charger, out: to it")
    kind: Kind = Field(description="bad: no OCPP frame; full: the station's day is full")
    action: str | None = Field(description="of an answer: its call's; null: of no call known")
    message_id: str | None = Field(description="a call and its answer share it")
    frame: str = Field(description="as it was on the wire, secrets masked by ***")


class Sought(BaseModel):
    """Which messages."""

    station_id: str
    since: datetime
    until: datetime
    search: str | None = None
    action: str | None = None
    kind: Kind | None = None
    direction: Direction | None = None
    message_id: str | None = None

    def query(self) -> Select[Any]:
        query = select(Message).where(
            Message.station_id == self.station_id,
            Message.received_at >= self.since,
            Message.received_at < self.until,
        )
        for column, value in (
            (Message.action, self.action),
            (Message.kind, self.kind),
            (Message.direction, self.direction),
            (Message.message_id, self.message_id),
        ):
            if value is not None:
                query = query.where(column == value)
        if self.search:
            query = query.where(Message.frame.icontains(self.search, autoescape=True))
        return query


_NO_NUL: Final = r"^[^\x00]*$"


def _sought(
    station_id: StationPath,
    search: Annotated[
        str | None,
        Query(min_length=1, max_length=200, pattern=_NO_NUL, description="text in the frame"),
    ] = None,
    action: Annotated[str | None, Query(max_length=64, pattern=_NO_NUL)] = None,
    kind: Kind | None = None,
    direction: Direction | None = None,
    message_id: Annotated[str | None, Query(max_length=36, pattern=_NO_NUL)] = None,
    since: Annotated[
        Moment | None, Query(alias="from", description="default: a day before `to`")
    ] = None,
    until: Annotated[Moment | None, Query(alias="to", description="default: now")] = None,
) -> Sought:
    """Raises InvalidRange."""
    until = until or now() + timedelta(seconds=1)
    since = since or until - DAY
    longest = SEARCH_RANGE_MAX if search else RANGE_MAX
    if not timedelta(0) < until - since <= longest:
        raise InvalidRange(f"from must be before to, by {longest.days} days at most")
    return Sought(
        station_id=station_id, since=since, until=until, search=search, action=action,
        kind=kind, direction=direction, message_id=message_id,
    )  # fmt: skip


Which = Annotated[Sought, Depends(_sought)]


def _after(query: Select[Any], cursor: str, *, newest_first: bool) -> Select[Any]:
    """Behind the message that a cursor names. Raises InvalidCursor."""
    at, _, number = paging.decode(cursor, str).partition(" ")
    try:
        moment, message = datetime.fromisoformat(at), int(number)
    except ValueError as error:
        raise paging.InvalidCursor("use next_cursor of an earlier page, unchanged") from error
    known = moment.tzinfo is not None and EARLIEST <= moment < LATEST
    if not (known and 0 <= message < 2**63):
        raise paging.InvalidCursor("use next_cursor of an earlier page, unchanged")
    place = tuple_(Message.received_at, Message.id)
    # The moment alone as well: partitions are pruned by it, not by the pair.
    if newest_first:
        return query.where(Message.received_at <= moment, place < tuple_(moment, message))
    return query.where(Message.received_at >= moment, place > tuple_(moment, message))


def _cursor(row: Message) -> str:
    return paging.encode(f"{row.received_at.isoformat()} {row.id}")


async def _found(db: AsyncSession, query: Select[Any]) -> list[Message]:
    """Raises SearchTooWide."""
    limit = text("select set_config('statement_timeout', :limit, true)")
    await db.execute(limit, {"limit": str(STATEMENT_MS_MAX)})
    try:
        return list((await db.scalars(query)).all())
    except sqlalchemy.exc.DBAPIError as error:
        if "QueryCanceled" in str(error.orig):
            raise SearchTooWide("ask for a shorter range of time") from None
        raise


@router.get(
    "",
    summary="The OCPP message log of a station, newest first",
    dependencies=[scoped("messages:read")],
)
async def list_messages(
    which: Which, db: Db, limit: paging.Limit = paging.LIMIT_DEFAULT, cursor: paging.Cursor = None
) -> paging.Page[MessageOut]:
    """Of a day unless `from` and `to` say otherwise; by `message_id`, a call and its answer."""
    query = which.query().order_by(Message.received_at.desc(), Message.id.desc())
    if cursor is not None:
        query = _after(query, cursor, newest_first=True)
    rows = await _found(db, query.limit(limit + 1))
    after = _cursor(rows[limit - 1]) if len(rows) > limit else None
    return paging.Page(
        items=[MessageOut.model_validate(row) for row in rows[:limit]], next_cursor=after
    )


@router.get(
    "/stream",
    summary="A station's OCPP messages as they are logged, as server-sent events",
    dependencies=[scoped("messages:read")],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def stream_messages(
    station_id: StationPath,
    request: Request,
    caller: Caller,
    action: Annotated[str | None, Query(max_length=64, pattern=_NO_NUL)] = None,
    kind: Kind | None = None,
    direction: Direction | None = None,
    last_event_id: sse.LastEventId = None,
) -> StreamingResponse:
    """Each event is a message, its id the message's, some two seconds late. Without Last-Event-ID
    it begins with what comes from now on; a stream broken off over a day ago, with the last day.
    """
    sought = Sought(
        station_id=station_id, since=now(), until=now(), action=action, kind=kind,
        direction=direction,
    )  # fmt: skip
    connected = request.app.state.connections
    last = last_event_id
    if last is None:
        last = await _newest(connected, caller, sought)
    return sse.response(_followed(connected, caller, sought, last))


async def _newest(connections: Connections, caller: Principal, sought: Sought) -> int:
    """Nothing that is logged from now on has this number or a lower one."""
    async with connections.acting(caller) as db:
        rows = await _found(db, _recent(sought).order_by(Message.id.desc()).limit(1))
    await unsettled.gone(connections, Message)
    return rows[0].id if rows else 0


async def _followed(
    connections: Connections, caller: Principal, sought: Sought, last: int
) -> AsyncGenerator[Sequence[sse.Event]]:
    quiet_since = now()
    while True:
        query = _recent(sought).where(Message.id > last)
        rows, until = await unsettled.next_rows(connections, caller, query, Message.id, _found)
        if until is not None:
            yield [_told(row) for row in rows]
            last = until
            quiet_since = now()
        elif now() - quiet_since > timedelta(seconds=sse.KEEP_ALIVE_S):
            quiet_since = now()
            yield ()
        if len(rows) < paging.LIMIT_MAX:
            await asyncio.sleep(POLL_S)


def _told(row: Message) -> sse.Event:
    return sse.Event(row.id, "message", MessageOut.model_validate(row).model_dump_json())


def _recent(sought: Sought) -> Select[Any]:
    until = now() + timedelta(minutes=1)
    return sought.model_copy(update={"since": until - RESUME, "until": until}).query()


@router.get(
    "/export",
    summary="A station's OCPP messages as NDJSON or CSV, oldest first",
    dependencies=[scoped("messages:read")],
    response_class=StreamingResponse,
    responses={200: {"content": {NDJSON: {}, CSV: {}}}},
)
async def export_messages(
    which: Which,
    request: Request,
    caller: Caller,
    accept: Annotated[str, Header(description=f"{NDJSON} (the default) or {CSV}")] = "*/*",
) -> StreamingResponse:
    """Of a day unless `from` and `to` say otherwise."""
    wanted = {kind.partition(";")[0].strip().lower() for kind in accept.split(",")}
    if CSV in wanted:
        kind, lines = CSV, _csv
    elif wanted & {NDJSON, "application/*", "*/*", ""}:
        kind, lines = NDJSON, _ndjson
    else:
        raise NotAcceptable(f"accept {NDJSON} or {CSV}")
    pages = _pages(request.app.state.connections, caller, which)
    name = f"messages.{'csv' if kind == CSV else 'ndjson'}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines(pages), media_type=kind, headers=headers)


Pages = AsyncIterator[list[MessageOut]]


async def _pages(
    connections: Connections, caller: Principal, which: Sought
) -> AsyncGenerator[list[MessageOut]]:
    """A transaction a page: an export of a month must not hold one open for minutes."""
    ordered = which.query().order_by(Message.received_at, Message.id).limit(EXPORT_PAGE)
    query = ordered
    while True:
        async with connections.acting(caller) as db:
            rows = await _found(db, query)
        yield [MessageOut.model_validate(row) for row in rows]
        if len(rows) < EXPORT_PAGE:
            return
        query = _after(ordered, _cursor(rows[-1]), newest_first=False)


async def _ndjson(pages: Pages) -> AsyncIterator[str]:
    async for page in pages:
        yield "".join(f"{message.model_dump_json()}\n" for message in page)


async def _csv(pages: Pages) -> AsyncIterator[str]:
    names = list(MessageOut.model_fields)
    head: list[list[Any]] = [names]
    async for page in pages:
        lines = io.StringIO()
        rows = (message.model_dump(mode="json") for message in page)
        csv.writer(lines).writerows(head + [[_cell(row[name]) for name in names] for row in rows])
        head = []
        yield lines.getvalue()


def _cell(value: Any) -> Any:
    """What a spreadsheet would take for a formula becomes text: a charger wrote it."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
