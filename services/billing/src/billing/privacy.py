"""What billing keeps of people: told when they want it, pseudonymised when they are erased.

A record stays as it is, for the books (GoBD); only the token that somebody charged with goes, by a
function of the database that can do nothing else, for the service itself may not change a record.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing.tables import Operator, Tombstone
from common import outbox, privacy
from common.clock import now
from common.database import PLATFORM, Connections
from common.events import (
    ErasureReported,
    PersonalDataRequested,
    PersonErased,
    RetentionReported,
)

SERVICE: Final = "billing"
BATCH: Final = 5000

FILES: Final[Mapping[str, str]] = {
    "sessions": """
        select * from session where operator_id = :operator and card_id = any(:cards)
        order by started_at desc limit :most""",
    "records": """
        select * from record where operator_id = :operator and card_id = any(:cards)
        order by ended_at desc limit :most""",
}
# A session that ends yet is told with its token; it has its turn when it has ended.
FORGET_SESSIONS: Final = f"""
update session set id_token = :name
where operator_id = :operator and card_id = :card and state = 'ended'
    and id_token not like '{privacy.ERASED}%'
"""  # noqa: S608 - a constant of ours
FORGET_RECORDS: Final = f"""
select erase_record_tokens(array(
    select session_id from record where operator_id = :operator and card_id = :card
        and id_token not like '{privacy.ERASED}%'
))
"""  # noqa: S608 - a constant of ours
# What was told already; what is to be told yet goes within three days.
FORGET_DELIVERIES: Final = """
delete from webhook_delivery
where operator_id = :operator and (delivered_at is not null or given_up_at is not null)
    and cast(body as jsonb) #>> '{data,id_token}' = :uid
"""
FORGET_OLD_SESSIONS: Final = f"""
update session s
set id_token = '{privacy.ERASED}' || upper(right(coalesce(s.card_id, s.id)::text, 12))
where s.id = any(array(
    select id from session where operator_id = :operator and ended_at < :before
        and id_token not like '{privacy.ERASED}%' limit {BATCH} for update skip locked
))
"""  # noqa: S608 - a constant of ours
FORGET_OLD_RECORDS: Final = f"""
select erase_record_tokens(array(
    select session_id from record where operator_id = :operator and ended_at < :before
        and id_token not like '{privacy.ERASED}%' limit {BATCH}
))
"""  # noqa: S608 - a constant of ours


async def collect(db: AsyncSession, event: PersonalDataRequested) -> None:
    values = {
        "operator": event.operator_id,
        "cards": [card.card_id for card in event.cards],
        "most": privacy.ROWS_MAX,
    }
    files = await privacy.read_files(db, FILES, values)
    await privacy.tell_collected(db, event, SERVICE, files)


async def erase(db: AsyncSession, event: PersonErased) -> None:
    changed = {"sessions": 0, "records": 0}
    for card in event.cards:
        values = {"card_id": card.card_id, "operator_id": event.operator_id, "uid": card.uid}
        stone = insert(Tombstone).values(**values, erased_at=event.occurred_at)
        await db.execute(stone.on_conflict_do_nothing())
        sessions, records = await _erase_card(db, event.operator_id, card.card_id, card.uid)
        changed["sessions"] += sessions
        changed["records"] += records
    report = ErasureReported(
        operator_id=event.operator_id, request_id=event.request_id, service=SERVICE, changed=changed
    )
    await outbox.emit(db, report)


async def _erase_card(
    db: AsyncSession, operator: UUID | None, card: UUID, uid: str | None
) -> tuple[int, int]:
    values = {"operator": operator, "card": card}
    if uid is not None:
        await db.execute(text(FORGET_DELIVERIES), {"operator": operator, "uid": uid})
    name = {"name": privacy.pseudonym(card)}
    sessions = getattr(await db.execute(text(FORGET_SESSIONS), values | name), "rowcount", 0)
    return sessions, await db.scalar(text(FORGET_RECORDS), values) or 0


async def sweep_once(connections: Connections) -> None:
    """Sessions that ended after their driver was erased, and what is kept no longer."""
    async with connections.begin(PLATFORM) as db:
        stones = (await db.scalars(select(Tombstone).where(Tombstone.uid.is_not(None)))).all()
        kept = select(Operator).where(Operator.personal_data_days.is_not(None))
        operators = (await db.scalars(kept)).all()
    for stone in stones:
        async with connections.begin(stone.operator_id) as db:
            await _erase_card(db, stone.operator_id, stone.card_id, stone.uid)
            forgotten = update(Tombstone).where(
                Tombstone.card_id == stone.card_id,
                Tombstone.erased_at < now() - privacy.TOKEN_KEPT,
            )
            await db.execute(forgotten.values(uid=None))
    for operator in operators:
        await _retain(connections, operator.operator_id, operator.personal_data_days or 0)


async def _retain(connections: Connections, operator: UUID, days: int) -> None:
    """What names people in sessions older than the operator keeps it."""
    changed = {"sessions": 0, "records": 0}
    values = {"operator": operator, "before": now() - timedelta(days=days)}
    more = True
    while more:
        async with connections.begin(operator) as db:
            done = await db.execute(text(FORGET_OLD_SESSIONS), values)
            sessions = getattr(done, "rowcount", 0)
            records = await db.scalar(text(FORGET_OLD_RECORDS), values) or 0
            changed["sessions"] += sessions
            changed["records"] += records
            more = BATCH in (sessions, records)
            if not more and any(changed.values()):
                report = RetentionReported(operator_id=operator, service=SERVICE, changed=changed)
                await outbox.emit(db, report)
