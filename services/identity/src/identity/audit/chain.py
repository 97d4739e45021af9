"""A chain an operator: each entry's hash covers the one before.

What was changed from and to stands apart, under a salted hash in the entry: it may be deleted
(see forget) and the chain stays whole.
"""

import hashlib
import json
import secrets
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.events import ChangesNoted
from identity.tables import AuditEntry, AuditPersonal

START: Final = ""
BATCH: Final = 5000
COVERED: Final = (
    "chain", "seq", "note_id", "service", "table_name", "row_key", "action", "actor", "values_hash",
)  # fmt: skip


def sealed(before: str, entry: AuditEntry) -> str:
    covered: dict[str, Any] = {name: getattr(entry, name) for name in COVERED}
    covered["at"] = entry.at.timestamp()
    body = json.dumps(covered, sort_keys=True, default=str)
    return hashlib.sha256((before + body).encode()).hexdigest()


def hash_of_values(salt: str, values: str) -> str:
    return hashlib.sha256((salt + values).encode()).hexdigest()


async def keep(db: AsyncSession, event: ChangesNoted) -> None:
    # One at a time, over all replicas: two would give one number twice.
    await db.execute(text("select pg_advisory_xact_lock(hashtext('audit chain'))"))
    chain = str(event.operator_id or "platform")
    ids = [note.note_id for note in event.notes]
    known = set(await db.scalars(select(AuditEntry.note_id).where(AuditEntry.note_id.in_(ids))))
    last = select(AuditEntry).where(AuditEntry.chain == chain).order_by(AuditEntry.seq.desc())
    head = (await db.scalars(last.limit(1))).first()
    seq, before = (head.seq, head.entry_hash) if head else (0, START)
    for note in event.notes:
        if note.note_id in known:
            continue
        seq += 1
        salt = secrets.token_hex(16)
        values = json.dumps({"before": note.before, "after": note.after}, sort_keys=True)
        entry = AuditEntry(
            chain=chain, seq=seq, note_id=note.note_id, operator_id=event.operator_id,
            service=event.service, table_name=note.table_name, row_key=note.row_key,
            action=note.action, actor=note.actor, at=note.at,
            values_hash=hash_of_values(salt, values),
        )  # fmt: skip
        entry.entry_hash = before = sealed(before, entry)
        db.add(entry)
        db.add(
            AuditPersonal(
                note_id=note.note_id, operator_id=event.operator_id, salt=salt, body=values
            )
        )
    await db.flush()


async def verified(db: AsyncSession, chain: str, after: int, most: int) -> tuple[int, int | None]:
    """Look at so many entries behind one that is known good (0: the beginning).

    The number up to which the chain is whole, and the first that is not as it was sealed, if any.
    """
    known = select(AuditEntry.entry_hash).where(AuditEntry.chain == chain, AuditEntry.seq == after)
    before = START if after == 0 else await db.scalar(known)
    if before is None:
        return after, after
    query = (
        select(AuditEntry, AuditPersonal)
        .outerjoin(AuditPersonal, AuditPersonal.note_id == AuditEntry.note_id)
        .where(AuditEntry.chain == chain, AuditEntry.seq > after)
        .order_by(AuditEntry.seq)
        .limit(most)
        .execution_options(populate_existing=True)
    )
    for entry, personal in (await db.execute(query)).all():
        whole = entry.seq == after + 1 and entry.entry_hash == sealed(before, entry)
        # Values that were forgotten leave their hash behind.
        if personal and hash_of_values(personal.salt, personal.body) != entry.values_hash:
            whole = False
        if not whole:
            return after, after + 1
        before, after = entry.entry_hash, entry.seq
    return after, None


async def first_broken(db: AsyncSession, chain: str) -> int | None:
    """The first sequence number that is not as it was sealed; None: the chain is intact."""
    after = 0
    while True:
        reached, broken = await verified(db, chain, after, BATCH)
        if broken is not None or reached < after + BATCH:
            return broken
        after = reached


async def forget(db: AsyncSession, operator_id: UUID, table: str, key: dict[str, Any]) -> None:
    """Delete what a row was changed from and to; that it was changed, and by whom, stays."""
    of_row = select(AuditEntry.note_id).where(
        AuditEntry.operator_id == operator_id,
        AuditEntry.table_name == table,
        AuditEntry.row_key == key,
    )
    await db.execute(delete(AuditPersonal).where(AuditPersonal.note_id.in_(of_row)))
