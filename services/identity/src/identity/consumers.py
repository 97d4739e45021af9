"""What identity does when something happens elsewhere."""

from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.events import (
    AgreementChanged,
    ChangesNoted,
    ErasureReported,
    PersonalDataCollected,
    RecordClosed,
    RetentionReported,
    StationChanged,
    StationGroupChanged,
    StationGroupMembersChanged,
    TariffChanged,
)
from common.inbox import Handlers
from identity.access import access_rules
from identity.audit import chain
from identity.privacy import gathering
from identity.tables import (
    Agreement,
    CardMonth,
    RetentionReport,
    Station,
    StationGroup,
    Tariff,
)


async def note_tariff(db: AsyncSession, event: TariffChanged) -> None:
    """Keep what was told last of a tariff, in whatever order it arrives."""
    if event.agreed_only:
        return  # of an agreement; the operator's other cards need one of the operator's own
    values = {
        "operator_id": event.operator_id,
        "tariff_id": event.tariff_id,
        "valid_from": event.valid_from,
        "told_at": event.occurred_at,
    }
    note = insert(Tariff).values(values)
    await db.execute(
        note.on_conflict_do_update(
            index_elements=[Tariff.operator_id, Tariff.tariff_id],
            set_={"valid_from": note.excluded.valid_from, "told_at": note.excluded.told_at},
            where=Tariff.told_at < note.excluded.told_at,
        )
    )


async def keep_station(db: AsyncSession, event: StationChanged) -> None:
    new = insert(Station).values(
        station_id=event.station_id,
        operator_id=event.operator_id,
        version=event.version,
        location_id=event.location_id,
    )
    newer = new.on_conflict_do_update(
        index_elements=[Station.station_id],
        set_={name: new.excluded[name] for name in ("operator_id", "version", "location_id")},
        where=Station.version < new.excluded.version,
    )
    await db.execute(newer)


async def keep_agreement(db: AsyncSession, event: AgreementChanged) -> None:
    """Where a partner's cards may charge."""
    new = insert(Agreement).values(
        agreement_id=event.agreement_id,
        operator_id=event.operator_id,
        version=event.version,
        partner_id=event.partner_id,
        name=event.name,
        places=[place.model_dump() for place in event.places],
        valid_from=event.valid_from,
        valid_until=event.valid_until,
    )
    columns = ("version", "name", "places", "valid_from", "valid_until")
    newer = new.on_conflict_do_update(
        index_elements=[Agreement.agreement_id],
        set_={name: new.excluded[name] for name in columns},
        where=Agreement.version < new.excluded.version,
    )
    await db.execute(newer)
    assert event.operator_id is not None
    await access_rules.revise(db, event.operator_id)


async def keep_station_group(db: AsyncSession, event: StationGroupChanged) -> None:
    columns = ("operator_id", "version", "name", "deleted")
    values = {name: getattr(event, name) for name in columns}
    new = insert(StationGroup).values(group_id=event.group_id, **values)
    newer = new.on_conflict_do_update(
        index_elements=[StationGroup.group_id],
        set_={name: new.excluded[name] for name in columns},
        where=StationGroup.version < new.excluded.version,
    )
    await db.execute(newer)


# Made once, since to put a statement of a thousand rows together costs more than to send it; in
# the order of the key, so that two events of one group cannot wait for each other in a circle.
KEEP_MEMBERS: Final = text(
    "insert into station_group_member as was (station_id, group_id, operator_id, version, member) "
    "select station_id, :group_id, :operator_id, :version, member "
    "from unnest(cast(:station_ids as text[]), cast(:members as boolean[])) "
    "as told (station_id, member) order by station_id "
    "on conflict (station_id, group_id) do update "
    "set version = excluded.version, member = excluded.member where was.version < excluded.version"
)


async def keep_members(db: AsyncSession, event: StationGroupMembersChanged) -> None:
    told = dict.fromkeys(event.removed, False) | dict.fromkeys(event.added, True)
    values = {
        "group_id": event.group_id,
        "operator_id": event.operator_id,
        "version": event.version,
        "station_ids": list(told),
        "members": list(told.values()),
    }
    await db.execute(KEEP_MEMBERS, values)


async def add_spent(db: AsyncSession, event: RecordClosed) -> None:
    """For the cap of a card: by the month in which the session ended, where it was."""
    if event.card_id is None:
        return
    local = event.ended_at.astimezone(ZoneInfo(event.time_zone)).date()
    more = insert(CardMonth).values(
        card_id=event.card_id,
        month=local.replace(day=1),
        operator_id=event.operator_id,
        spent=event.total_gross,
    )
    added = more.on_conflict_do_update(
        index_elements=[CardMonth.card_id, CardMonth.month],
        set_={"spent": CardMonth.spent + more.excluded.spent},
    )
    await db.execute(added)


async def keep_retention(db: AsyncSession, event: RetentionReported) -> None:
    db.add(
        RetentionReport(
            operator_id=event.operator_id,
            service=event.service,
            at=event.occurred_at,
            changed=event.changed,
        )
    )
    await db.flush()


HANDLERS: Handlers = {
    AgreementChanged: keep_agreement,
    StationChanged: keep_station,
    StationGroupChanged: keep_station_group,
    StationGroupMembersChanged: keep_members,
    RecordClosed: add_spent,
    ChangesNoted: chain.keep,
    TariffChanged: note_tariff,
    PersonalDataCollected: gathering.keep_part,
    ErasureReported: gathering.keep_report,
    RetentionReported: keep_retention,
}
