"""What billing keeps of people: told when they want it, pseudonymised when they are erased.

A record stays as it is, for the books (GoBD); only the token that somebody charged with goes, by a
function of the database that can do nothing else, for the service itself may not change a record.
Signed readings keep theirs: a signature holds for the whole, and it is the evidence for a bill
(Mess- und Eichgesetz, § 33).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing import memberships
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

# One's own accounts, and those of one's cards.
OF_PERSON: Final = """a.operator_id = :operator and a.kind = 'customer' and (
    (a.owner_kind = 'user' and a.owner_id = :user)
    or (a.owner_kind = 'card' and a.owner_id = any(:cards)))"""
FILES: Final[Mapping[str, str]] = {
    "sessions": """
        select * from session where operator_id = :operator and card_id = any(:cards)
        order by started_at desc limit :most""",
    "records": """
        select * from record where operator_id = :operator and card_id = any(:cards)
        order by ended_at desc limit :most""",
    "accounts": f"""
        select a.*, b.posted, b.bonus, b.held
        from account a join balance b on b.account_id = a.id where {OF_PERSON}
        order by a.id limit :most""",  # noqa: S608 - a constant of ours
    "account_movements": f"""
        select j.kind, j.at, j.booked_at, j.memo, j.record_id, j.payment_id, p.account_id,
            p.purse, p.amount, p.currency
        from account a
        join posting p on p.account_id = a.id
        join journal j on j.id = p.journal_id
        where {OF_PERSON}
        order by p.id desc limit :most""",  # noqa: S608 - a constant of ours
    "disputes": """
        select d.id, d.record_id, d.session_id, d.raised_by, d.reason, d.opened_at
        from dispute d join session s on s.id = d.session_id
        where s.operator_id = :operator and s.card_id = any(:cards)
        order by d.opened_at desc limit :most""",
    "decisions": """
        select d.id, d.session_id, d.about, d.verdict, d.reason, d.facts, d.decided_at
        from decision d join session s on s.id = d.session_id
        where s.operator_id = :operator and s.card_id = any(:cards)
        order by d.decided_at desc limit :most""",
    "discounts granted": """
        select g.* from discount_grant g join session s on s.id = g.session_id
        where s.operator_id = :operator and s.card_id = any(:cards)
        order by g.id desc limit :most""",
    "signed_readings": """
        select r.session_id, r.sampled_at, r.context, r.data from session s
        join signed_reading r on r.session_id = s.id
        where s.operator_id = :operator and s.card_id = any(:cards)
        order by r.id desc limit :most""",
    "user_groups": """
        select since, group_ids from membership
        where operator_id = :operator and user_id = :user
        order by since desc limit :most""",
    "topups": f"""
        select t.id, t.way, t.amount, t.currency, t.state, t.made_at, t.paid_at, t.received_on,
            t.reason, t.receipt, e.debtor_name, e.debtor_iban, e.remittance
        from topup t join account a on a.id = t.account_id
        left join bank_entry e on e.topup_id = t.id
        where {OF_PERSON}
        order by t.made_at desc limit :most""",  # noqa: S608 - a constant of ours
}
# Postings stay for the books; what staff wrote of the person by hand goes.
FORGET_REASONS: Final = f"""
update account a set state_reason = null, limit_reason = null
where {OF_PERSON} and (state_reason is not null or limit_reason is not null)
"""  # noqa: S608 - a constant of ours
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
        "user": event.user_id,
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
    person = {
        "operator": event.operator_id,
        "user": event.user_id,
        "cards": [card.card_id for card in event.cards],
    }
    await db.execute(memberships.FORGET, person)
    accounts = getattr(await db.execute(text(FORGET_REASONS), person), "rowcount", 0)
    if accounts:
        changed["accounts"] = accounts
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
    await memberships.prune_once(connections)
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
