"""Reservations: asked of a station by reserve_now, and followed until a session uses one or not.

requested → active | rejected; active → used | cancelled | expired | removed. What is stored comes
from the calls themselves, so a raw ReserveNow is followed as well as a typed one.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from common import paging
from common.auth import scoped
from common.clock import now
from common.database import Db
from common.ids import uuid7
from common.problems import NotFound
from csms_gateway import clocks, tables
from csms_gateway.authorizing import Undecided
from csms_gateway.charger import Charger
from csms_gateway.gateway import Gateway
from csms_gateway.integers import INTEGER_END

SWEEP_S: Final = 5.0
ACCEPTED: Final = "Accepted"
# A station that tells what it kept offline may tell of the use of what is over here by now.
USABLE: Final = "('requested', 'active', 'expired')"

# A refused request changes nothing at the station, so it changes no reservation that stands.
ASKED: Final = """
insert into reservation as r (
    id, operator_id, station_id, reservation_id, state, answer, evse_id, connector_type,
    id_token, id_token_key, id_token_type, group_id_token, expires_at, requested_at
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, upper($9), $10, $11, $12, $13)
on conflict (station_id, reservation_id) do update set
    state = $5, answer = $6, evse_id = $7, connector_type = $8, id_token = $9,
    id_token_key = upper($9), id_token_type = $10, group_id_token = $11, expires_at = $12,
    requested_at = case when r.state = 'requested' then r.requested_at else $13 end,
    ended_at = case when $5 = 'rejected' then $13 end, session_id = null
where r.state <> 'active' or $5 = 'active'
"""
END: Final = f"""
update reservation set state = $3, answer = $4, ended_at = now(), session_id = null
where station_id = $1 and reservation_id = $2 and state in {USABLE}
"""  # noqa: S608 - made of constants
EXPIRE: Final = """
update reservation set state = 'expired', ended_at = expires_at
where state in ('requested', 'active') and expires_at < now()
"""
USE: Final = f"""
update reservation set state = 'used', session_id = $3, ended_at = now()
where station_id = $1 and reservation_id = $2 and state in {USABLE}
"""  # noqa: S608 - made of constants
# Those that a session here could use: of this EVSE first, then those of any.
FITTING: Final = f"""
select reservation_id, id_token_key, upper(group_id_token) as group_key from reservation
where station_id = $1 and state in {USABLE} and (evse_id is null or evse_id = $2)
and expires_at >= $3 and requested_at <= $3 + interval '1 minute'
order by evse_id is null, expires_at
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class Wanted:
    """A ReserveNow in version-neutral words."""

    reservation_id: int
    evse_id: int | None
    connector_type: str | None
    id_token: str
    id_token_type: str | None
    group_id_token: str | None
    expires_at: str


async def requested(charger: Charger, wanted: Wanted) -> None:
    """Before it is sent: should the answer be lost, this is what may be at the station."""
    await _put(charger, wanted, "requested", None)


async def answered(charger: Charger, wanted: Wanted, answer: str) -> None:
    """answer: the station's status, or the code of its CALLERROR."""
    await _put(charger, wanted, "active" if answer == ACCEPTED else "rejected", answer)


async def _put(charger: Charger, wanted: Wanted, state: str, answer: str | None) -> None:
    if max(abs(wanted.reservation_id), abs(wanted.evse_id or 0)) >= INTEGER_END:
        return  # of a raw call; no charger can have it
    at = now()
    # A raw call may say what is no time; the station has taken it, so it stands until it is told.
    expires_at = clocks.read(wanted.expires_at) or at
    await charger.gateway.pool.execute(
        ASKED, uuid7(), charger.operator_id, charger.station_id, wanted.reservation_id, state,
        answer, wanted.evse_id, wanted.connector_type, wanted.id_token, wanted.id_token_type,
        wanted.group_id_token, expires_at, at,
    )  # fmt: skip


async def cancelled(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    """Of CancelReservation, the same in every version; Rejected: the station knows of none."""
    if answer["status"] == ACCEPTED:
        await ended(charger, payload["reservationId"], "cancelled", "Accepted")


async def ended(charger: Charger, reservation_id: int, state: str, why: str) -> None:
    if 0 <= reservation_id < INTEGER_END:
        await charger.gateway.pool.execute(END, charger.station_id, reservation_id, state, why)


@dataclass(frozen=True, slots=True)
class Use:
    """A session that may use a reservation."""

    session_id: UUID
    reservation_id: int | None
    evse_id: int
    id_token: str | None
    started_raw: str


async def used(charger: Charger, use: Use) -> None:
    """The station says which one is used, or else the driver it is for is charging there."""
    number = use.reservation_id
    if number is None:
        if use.id_token is None:
            return
        at = clocks.read(use.started_raw) or now()
        number = await _fitting(charger, use.evse_id, use.id_token, at)
    if number is not None and 0 <= number < INTEGER_END:
        await charger.gateway.pool.execute(USE, charger.station_id, number, use.session_id)


async def _fitting(charger: Charger, evse_id: int, id_token: str, at: datetime) -> int | None:
    rows = await charger.gateway.pool.fetch(FITTING, charger.station_id, evse_id, at)
    found: int | None = next(
        (row["reservation_id"] for row in rows if row["id_token_key"] == id_token.upper()), None
    )
    if found is not None or not any(row["group_key"] for row in rows):
        return found
    try:
        # Asked a moment ago for the start itself, so this is remembered.
        decision = await charger.gateway.authorizer.decide(
            charger.operator_id, charger.station_id, evse_id, id_token
        )
    except Undecided:
        return None  # the session is stored; the reservation will expire
    group = (decision.parent_id_token or "").upper()
    return next((row["reservation_id"] for row in rows if row["group_key"] == group), None)


async def sweep(gateway: Gateway) -> None:
    """End what nobody came for; OCPP 1.6 stations do not tell."""
    while True:
        await gateway.pool.execute(EXPIRE)
        await asyncio.sleep(SWEEP_S)


router = APIRouter(prefix="/v1/reservations", tags=["reservations"])

State = Literal["requested", "active", "rejected", "used", "cancelled", "expired", "removed"]


class ReservationOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    station_id: str
    reservation_id: int = Field(description="the station's number of it")
    state: State
    answer: str | None = Field(description="the station's last word on it: Occupied, Removed, …")
    evse_id: int | None = Field(description="null: any")
    connector_type: str | None
    id_token: str
    id_token_type: str | None
    group_id_token: str | None
    expires_at: datetime
    requested_at: datetime
    ended_at: datetime | None
    session_id: UUID | None = Field(description="the session that used it")


@router.get("", summary="Reservations, newest first", dependencies=[scoped("commands:read")])
async def list_reservations(
    db: Db,
    station_id: Annotated[str | None, Query(max_length=48)] = None,
    id_token: Annotated[str | None, Query(max_length=36, description="without case")] = None,
    state: State | None = None,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[ReservationOut]:
    """Made by the command reserve_now, ended by cancel_reservation."""
    wanted = {
        tables.Reservation.station_id: station_id,
        tables.Reservation.id_token_key: id_token and id_token.upper(),
        tables.Reservation.state: state,
    }
    conditions = paging.given(wanted)
    rows, after = await paging.rows(
        db, select(tables.Reservation).where(*conditions), tables.Reservation.id,
        limit=limit, cursor=cursor, newest_first=True,
    )  # fmt: skip
    return paging.Page(
        items=[ReservationOut.model_validate(row) for row in rows], next_cursor=after
    )


@router.get("/{id}", summary="One reservation", dependencies=[scoped("commands:read")])
async def get_reservation(id: UUID, db: Db) -> ReservationOut:  # noqa: A002 - as the member
    row = await db.get(tables.Reservation, id)
    if row is None:
        raise NotFound(f"no reservation {id}")
    return ReservationOut.model_validate(row)
