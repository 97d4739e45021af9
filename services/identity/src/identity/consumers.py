"""What identity does when something happens elsewhere."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.events import (
    ChangesNoted,
    ErasureReported,
    PersonalDataCollected,
    RetentionReported,
    TariffChanged,
)
from common.inbox import Handlers
from identity.audit import chain
from identity.privacy import gathering
from identity.tables import RetentionReport, Tariff


async def note_tariff(db: AsyncSession, event: TariffChanged) -> None:
    """Keep what was told last of a tariff, in whatever order it arrives."""
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
    ChangesNoted: chain.keep,
    TariffChanged: note_tariff,
    PersonalDataCollected: gathering.keep_part,
    ErasureReported: gathering.keep_report,
    RetentionReported: keep_retention,
}
