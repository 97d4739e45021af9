"""CostUpdated (OCPP 2.x, I02): the running cost to stations that show it, and which those are.

A station is told only if it is known to show a cost: staff said so here, or its own device model
did (TariffCostCtrlr.Enabled for Cost). Others get the cost in TransactionEvent's answer alone.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import scoped
from common.database import Db
from common.events import SessionCostUpdated
from common.problems import NotFound
from common.versions import ExpectedIfSaid, require, tag
from csms_gateway import cost_messages, costmsg, schemas, tables
from csms_gateway.awaited_answers import CallFailed, NoAnswer
from csms_gateway.charger import Charger
from csms_gateway.connections import Held, StationPath
from csms_gateway.gateway import Gateway
from csms_gateway.remembering import remember

log = logging.getLogger(__name__)

REMEMBERED_MAX: Final = 50_000  # sessions; some 10 MB
CANNOT: Final = {"NotSupported", "NotImplemented"}
OF_SESSION: Final = """
select t.ocpp_id from transaction t join station s using (station_id)
where t.session_id = $1 and t.station_id = $2 and t.ended_at is null and s.shows_cost
"""
LEARN: Final = "update station set shows_cost = $2 where station_id = $1"


class CostUpdates:
    def __init__(self, gateway: Gateway, held: Held) -> None:
        self._gateway = gateway
        self._held = held
        self._every_s = gateway.settings.cost_update_every_s
        # By session, when it may be told again (time.monotonic).
        self._not_before: OrderedDict[UUID, float] = OrderedDict()
        # The newest of those that came too soon: sent when its time has come.
        self._held_back: dict[UUID, SessionCostUpdated] = {}
        # By station, what is told one after the other, the newest of each session: behind more of
        # them a command would wait for ever, where a station does not answer them.
        self._due: dict[str, dict[UUID, SessionCostUpdated]] = {}

    def told(self, event: SessionCostUpdated) -> None:
        """What billing told; called by costs.py, so it must not wait."""
        if self._that_takes_it(event.station_id) is None:
            return
        if event.session_id in self._held_back:
            # Even if its time is over: what was held back would follow, and is older.
            self._held_back[event.session_id] = event
            return
        at = time.monotonic()
        wait_s = self._not_before.get(event.session_id, at) - at
        if wait_s > 0:
            if len(self._held_back) < REMEMBERED_MAX:
                self._hold_back(event, wait_s)
            return
        remember(self._not_before, event.session_id, at + self._every_s, REMEMBERED_MAX)
        if event.station_id in self._due:
            self._due[event.station_id][event.session_id] = event
            return
        self._due[event.station_id] = {event.session_id: event}
        self._gateway.tasks.spawn(self._tell(event.station_id), f"cost {event.station_id}")

    def _that_takes_it(self, station_id: str) -> Charger | None:
        charger = self._held.get(station_id)
        if charger and charger.version.schemas == "v16":
            return None if "RunningCost" in charger.refused else charger
        if charger is None or "CostUpdated" in charger.refused:
            return None
        return charger if schemas.known(charger.version.schemas, "CostUpdated") else None

    def _hold_back(self, event: SessionCostUpdated, wait_s: float) -> None:
        """There need not be another for a long time: a car that is full takes nothing more."""
        asyncio.get_running_loop().call_later(wait_s, self._catch_up, event.session_id)
        self._held_back[event.session_id] = event

    def _catch_up(self, session_id: UUID) -> None:
        self._not_before.pop(session_id, None)  # which may be a clock's tick away
        self.told(self._held_back.pop(session_id))

    async def _tell(self, station_id: str) -> None:
        due = self._due[station_id]
        try:
            while due:
                event = due.pop(next(iter(due)))
                if charger := self._that_takes_it(station_id):
                    await self._send(charger, event)
        finally:
            del self._due[station_id]

    async def _send(self, charger: Charger, event: SessionCostUpdated) -> None:
        if charger.version.schemas == "v16":
            await cost_messages.tell_cost(charger, event)
            return
        ocpp_id = await self._gateway.pool.fetchval(
            OF_SESSION, event.session_id, charger.station_id
        )
        if ocpp_id is None:
            return
        # A number on the wire and nowhere else (2.0.1, CostUpdatedRequest.totalCost).
        payload = {"totalCost": float(event.total_gross), "transactionId": ocpp_id}
        try:
            timeout_s = self._gateway.settings.ocpp_call_timeout_s
            await charger.call("CostUpdated", payload, timeout_s)
        except CallFailed as failed:
            if failed.code in CANNOT:
                charger.refused.add("CostUpdated")
        except NoAnswer as failed:
            log.debug("%s was not told a cost: %s", charger.station_id, failed)


async def from_variables(charger: Charger, _: dict[str, Any], answer: dict[str, Any]) -> None:
    """What follows from GetVariables: TariffCostCtrlr.Enabled[Cost] says whether it shows costs."""
    for one in answer.get("getVariableResult", ()):
        component, variable = one.get("component", {}), one.get("variable", {})
        if (component.get("name"), variable.get("name"), variable.get("instance")) == (
            "TariffCostCtrlr", "Enabled", "Cost",
        ) and one.get("attributeStatus") == "Accepted":  # fmt: skip
            shows = str(one.get("attributeValue")).lower() == "true"
            await charger.gateway.pool.execute(LEARN, charger.station_id, shows)


async def from_configuration(charger: Charger, told: Iterable[tuple[str, str | None]]) -> None:
    """The same of OCPP 1.6, by its keys and their values."""
    for key, value in told:
        if key.lower() == costmsg.SHOWS.lower() and value is not None:
            shows = value.lower() == "true"
            await charger.gateway.pool.execute(LEARN, charger.station_id, shows)


router = APIRouter(tags=["stations"])

# It is its own version: who read that it is not known may say it, and the station may in between.
VERSIONS: Final = {None: 0, False: 1, True: 2}


class CostDisplay(BaseModel):
    model_config = ConfigDict(extra="forbid")

    shows_cost: bool | None = Field(
        description="whether the station is told what a running session costs (CostUpdated), and "
        "drivers the tariff, unless its device model says whether it shows tariffs; "
        "null: not known, so it is not"
    )


@router.get(
    "/v1/stations/{station_id}/cost-display",
    summary="Whether a station shows what a session costs",
    dependencies=[scoped("status:read")],
)
async def get_cost_display(station_id: StationPath, db: Db, response: Response) -> CostDisplay:
    query = select(tables.Station.shows_cost).where(tables.Station.station_id == station_id)
    return await _shown(db, station_id, query, response)


@router.put(
    "/v1/stations/{station_id}/cost-display",
    summary="Say whether a station shows what a session costs",
    dependencies=[scoped("commands:write")],
)
async def put_cost_display(
    station_id: StationPath, body: CostDisplay, db: Db, expected: ExpectedIfSaid, response: Response
) -> CostDisplay:
    of_it = tables.Station.station_id == station_id
    locked = select(tables.Station.shows_cost).where(of_it).with_for_update()
    found = await _shown(db, station_id, locked, response)
    require(expected, VERSIONS[found.shows_cost])
    changed = update(tables.Station).where(of_it).values(shows_cost=body.shows_cost)
    await db.execute(changed)
    tag(response, VERSIONS[body.shows_cost])
    return body


async def _shown(
    db: AsyncSession, station_id: str, query: Select[Any], response: Response
) -> CostDisplay:
    """Raises NotFound."""
    row = (await db.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"no station {station_id!r}")
    tag(response, VERSIONS[row.shows_cost])
    return CostDisplay(shows_cost=row.shows_cost)
