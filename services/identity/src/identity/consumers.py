"""What identity does when something happens elsewhere."""

from zoneinfo import ZoneInfo

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import station_groups
from common.clock import LATEST as NEVER
from common.events import (
    AccountingStrategyChanged,
    AccountStandingChanged,
    AgreementChanged,
    ChangesNoted,
    ErasureReported,
    PersonalDataCollected,
    RecordClosed,
    RetentionReported,
    StationChanged,
    StationGroupChanged,
    StationGroupMembersChanged,
    StrategyAssignmentChanged,
    TariffChanged,
)
from common.inbox import Handlers
from identity.access import access_rules, strategy_prices
from identity.audit import chain
from identity.privacy import gathering
from identity.tables import (
    AccountStanding,
    Agreement,
    CardMonth,
    RetentionReport,
    Station,
    Tariff,
)


async def note_tariff(db: AsyncSession, event: TariffChanged) -> None:
    """Keep what was told last of a tariff, in whatever order it arrives."""
    if event.agreed_only:
        return  # of an agreement; the operator's other cards need one of the operator's own
    values = {
        "operator_id": event.operator_id,
        "tariff_id": event.tariff_id,
        "valid_from": NEVER if event.withdrawn else event.valid_from,
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


async def keep_standing(db: AsyncSession, event: AccountStandingChanged) -> None:
    told = ("operator_id", "version", "owner_kind", "owner_id", "may_charge", "reason")
    new = insert(AccountStanding).values(event.model_dump(include={"account_id", *told}))
    newer = new.on_conflict_do_update(
        index_elements=[AccountStanding.account_id],
        set_={name: new.excluded[name] for name in told},
        where=AccountStanding.version < new.excluded.version,
    )
    await db.execute(newer)


async def add_spent(db: AsyncSession, event: RecordClosed) -> None:
    """For the cap of a card: by the month in which the session ended, where it was.

    What cancels a record takes its amount off again.
    """
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
    AccountStandingChanged: keep_standing,
    AgreementChanged: keep_agreement,
    AccountingStrategyChanged: strategy_prices.keep_strategy,
    StrategyAssignmentChanged: strategy_prices.keep_assignment,
    StationChanged: keep_station,
    StationGroupChanged: station_groups.keep_group,
    StationGroupMembersChanged: station_groups.keep_members,
    RecordClosed: add_spent,
    ChangesNoted: chain.keep,
    TariffChanged: note_tariff,
    PersonalDataCollected: gathering.keep_part,
    ErasureReported: gathering.keep_report,
    RetentionReported: keep_retention,
}
