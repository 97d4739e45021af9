"""Alerts: what the rules found. People acknowledge them; they are resolved by themselves."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, computed_field
from sqlalchemy import ColumnElement, select, update

from common import exports, outbox, paging, single
from common.auth import Caller, scoped
from common.clock import AnyMoment, Moment, now
from common.database import Db
from common.events import AlertAcknowledged, AlertKind, AlertSeverity
from common.exports import Format, Separator
from common.fields import Body, Line
from common.paging import Cursor, Limit, Page
from common.problems import Problem
from registry.alerts import alerting
from registry.alerts.alert_rounds import told_of
from registry.alerts.alerting import State
from registry.fields import StationId
from registry.tables import Alert, Station

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

reads = scoped("alerts:read")
writes = scoped("alerts:write")


class AlertNotOpen(Problem):
    status = 409
    title = "The alert is acknowledged or resolved already"


class AcknowledgeIn(Body):
    note: Line | None = None


class AlertOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    version: int
    rule_id: UUID
    rule_name: str
    kind: AlertKind
    severity: AlertSeverity
    station_id: str
    evse_id: int
    detail: str | None
    since_at: AnyMoment
    raised_at: AnyMoment
    resolved_at: AnyMoment | None
    acknowledged_at: AnyMoment | None
    acknowledged_by: str | None
    note: str | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def state(self) -> State:
        return alerting.state(self.resolved_at, self.acknowledged_at)


def _in_state(state: State) -> list[ColumnElement[bool]]:
    if state == "resolved":
        return [Alert.resolved_at.is_not(None)]
    acknowledged = Alert.acknowledged_at
    return [
        Alert.resolved_at.is_(None),
        acknowledged.is_(None) if state == "open" else acknowledged.is_not(None),
    ]


def _chosen(
    state: State | None = None,
    kind: AlertKind | None = None,
    severity: AlertSeverity | None = None,
    rule_id: UUID | None = None,
    station_id: Annotated[StationId | None, Query()] = None,
    location_id: UUID | None = None,
    raised_from: Moment | None = None,
    raised_until: Moment | None = None,
) -> list[ColumnElement[bool]]:
    same: dict[Any, Any] = {
        Alert.kind: kind,
        Alert.severity: severity,
        Alert.rule_id: rule_id,
        Alert.station_id: station_id,
    }
    found = paging.given(same)
    if state is not None:
        found += _in_state(state)
    if location_id is not None:
        there = select(Station.id).where(Station.location_id == location_id)
        found.append(Alert.station_id.in_(there))
    if raised_from is not None:
        found.append(Alert.raised_at >= raised_from)
    if raised_until is not None:
        found.append(Alert.raised_at < raised_until)
    return found


Chosen = Annotated[list[ColumnElement[bool]], Depends(_chosen)]


@router.get("", summary="List alerts, the newest first", dependencies=[reads])
async def list_alerts(
    db: Db, chosen: Chosen, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[AlertOut]:
    query = select(Alert).where(*chosen)
    found, after = await paging.rows(
        db, query, Alert.id, limit=limit, cursor=cursor, newest_first=True
    )
    return Page(items=[AlertOut.model_validate(row) for row in found], next_cursor=after)


@router.get(
    "/export",
    summary="The alerts as a file",
    response_class=StreamingResponse,
    responses=exports.RESPONSES,
    dependencies=[reads],
)
async def export_alerts(
    request: Request,
    caller: Caller,
    chosen: Chosen,
    format: Format = "csv",  # noqa: A002 - as the parameter is called
    separator: Separator = ";",
) -> StreamingResponse:
    """The filters are those of the list. In a spreadsheet 1,048,575 rows at most."""
    names = [name for name in AlertOut.model_fields if name not in {"operator_id", "version"}]
    query = select(*(getattr(Alert, name) for name in names)).where(*chosen).order_by(Alert.id)
    return await exports.answer(
        request, caller, query, name="alerts", format=format, separator=separator
    )


@router.get("/{alert_id}", summary="Read an alert", dependencies=[reads])
async def read_alert(alert_id: UUID, db: Db, response: Response) -> AlertOut:
    row = single.tagged(response, await single.get(db, Alert, alert_id))
    return AlertOut.model_validate(row)


@router.post("/{alert_id}/acknowledge", summary="Acknowledge an alert", dependencies=[writes])
async def acknowledge(
    alert_id: UUID, body: AcknowledgeIn, db: Db, caller: Caller, response: Response
) -> AlertOut:
    """Somebody takes care of it: nobody is reminded any more. It is resolved by itself."""
    at = now()
    # In the update itself: of two who do it at once only one finds it open.
    mine = update(Alert).where(Alert.id == alert_id, *_in_state("open"))
    values = {"acknowledged_at": at, "acknowledged_by": caller.sub, "note": body.note}
    changed = mine.values(**values, version=Alert.version + 1).returning(Alert)
    row = await db.scalar(changed)
    if row is None:
        row = await single.get(db, Alert, alert_id)
        state = alerting.state(row.resolved_at, row.acknowledged_at)
        raise AlertNotOpen(f"it is {state}", state=state)
    await outbox.emit(db, AlertAcknowledged(**told_of(row)))
    return AlertOut.model_validate(single.tagged(response, row))
