"""What csms-gateway keeps of registry's stations and billing's tariffs."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import inbox
from common.events import (
    OperatorChanged,
    PersonalDataRequested,
    PersonErased,
    SessionPriceSet,
    StationChanged,
    StationCredentialSet,
    StationRefused,
    StrategyAssignmentChanged,
    TariffChanged,
)
from csms_gateway import privacy
from csms_gateway.session_prices import keep_assignment, keep_price, keep_tariffs
from csms_gateway.tables import OperatorName, RefusedStation, Station


async def keep_station(db: AsyncSession, event: StationChanged) -> None:
    new = insert(Station).values(
        station_id=event.station_id,
        operator_id=event.operator_id,
        version=event.version,
        active=event.active,
        location_id=event.location_id,
        evses=[evse.model_dump() for evse in event.evses],
    )
    columns = ("operator_id", "version", "active", "location_id", "evses")
    newer = new.on_conflict_do_update(
        index_elements=["station_id"],
        set_={name: new.excluded[name] for name in columns},
        where=Station.version < new.excluded.version,
    )
    await db.execute(newer)


async def keep_credential(db: AsyncSession, event: StationCredentialSet) -> None:
    new = insert(Station).values(
        station_id=event.station_id,
        operator_id=event.operator_id,
        credential_version=event.version,
        password_hash=event.password_hash,
        hand_over=event.hand_over,
    )
    newer = new.on_conflict_do_update(
        index_elements=["station_id"],
        set_={
            "credential_version": new.excluded.credential_version,
            "password_hash": new.excluded.password_hash,
            "hand_over": new.excluded.hand_over,
            # One on its way to the station is void: staff have said which it is.
            "next_password_hash": None,
        },
        where=Station.credential_version < new.excluded.credential_version,
    )
    await db.execute(newer)


async def keep_operator(db: AsyncSession, event: OperatorChanged) -> None:
    new = insert(OperatorName).values(
        operator_id=event.operator_id,
        version=event.version,
        name=event.name,
        personal_data_days=event.personal_data_days,
    )
    newer = new.on_conflict_do_update(
        index_elements=["operator_id"],
        set_={name: new.excluded[name] for name in ("version", "name", "personal_data_days")},
        where=OperatorName.version < new.excluded.version,
    )
    await db.execute(newer)


async def keep_refusal(db: AsyncSession, event: StationRefused) -> None:
    new = insert(RefusedStation).values(
        station_id=event.station_id,
        operator_id=event.operator_id,
        refused_until=event.refused_until,
    )
    later = new.on_conflict_do_update(
        index_elements=["station_id"],
        set_={"refused_until": new.excluded.refused_until},
        where=RefusedStation.refused_until < new.excluded.refused_until,
    )
    await db.execute(later)


HANDLERS: inbox.Handlers = {
    StationChanged: keep_station,
    StationCredentialSet: keep_credential,
    TariffChanged: keep_tariffs,
    SessionPriceSet: keep_price,
    StrategyAssignmentChanged: keep_assignment,
    OperatorChanged: keep_operator,
    StationRefused: keep_refusal,
    PersonalDataRequested: privacy.collect,
    PersonErased: privacy.erase,
}
