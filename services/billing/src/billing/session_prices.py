"""SessionPriceSet: what a session is charged by, told to whoever shows it to the driver."""

from collections.abc import Sequence
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from billing import costs, price_words, tables, terms
from billing.operators import DEFAULT_TIME_ZONE
from common import outbox
from common.events import SessionPriceSet, TariffPrices


async def tell(db: AsyncSession, sessions: Sequence[tables.Session], tariff: tables.Tariff) -> None:
    """Of running sessions of one operator; nobody shows the price of one that is over."""
    running = [session for session in sessions if session.state == "running"]
    if not running:
        return
    zones: dict[UUID, str] = {}
    if any((session.terms or {}).get("modifiers") for session in running):  # others name no moment
        ids = {"ids": [session.id for session in running]}
        zones = {row[0]: row[1] for row in await db.execute(costs.TIME_ZONES, ids)}
    await outbox.emit(
        db,
        *(
            price_of(session, tariff, ZoneInfo(zones.get(session.id, DEFAULT_TIME_ZONE)))
            for session in running
        ),
    )


def price_of(
    session: tables.Session, tariff: tables.Tariff, time_zone: ZoneInfo
) -> SessionPriceSet:
    agreed = terms.from_json(session.terms)
    model = costs.tariff_of(tariff)
    free = agreed.method == "free" or price_words.costs_nothing(model)
    # Reverse charge: prices of the tariff have VAT in them, or stations would put it on them.
    simple = not (free or agreed.modifiers or tariff.definition or agreed.tax == "reverse_charge")
    return SessionPriceSet(
        operator_id=session.operator_id,
        session_id=session.id,
        station_id=session.station_id,
        evse_id=session.evse_id,
        tariff_id=tariff.id,
        method=agreed.method,
        free_of_charge=free,
        prices=TariffPrices.model_validate(tariff, from_attributes=True) if simple else None,
        lines=price_words.lines(
            model,
            agreed.modifiers,
            time_zone,
            free=free,
            tax=agreed.tax,
        ),
    )
