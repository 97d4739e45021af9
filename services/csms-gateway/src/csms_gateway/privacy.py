"""What the gateway keeps of people: told when they want it, pseudonymised when they are erased.

Sessions, their messages in the log, reservations and remote starts have the token that somebody
charged with. Signed readings keep theirs: a signature holds for the whole, and it is the evidence
for a bill (Mess- und Eichgesetz, § 33).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox, privacy
from common.clock import now
from common.database import PLATFORM, Connections
from common.events import (
    ErasureReported,
    PersonalDataRequested,
    PersonErased,
    RetentionReported,
)
from csms_gateway.tables import OperatorName, Tombstone

SERVICE: Final = "csms-gateway"
BATCH: Final = 500  # sessions a transaction, for each has its messages looked through
AROUND: Final = timedelta(minutes=10)  # of a session's first and last message: taps before it

FILES: Final[Mapping[str, str]] = {
    "sessions": """
        select session_id, station_id, evse_id, connector_id, id_token, id_token_type, card_id,
            token_status, started_at, ended_at, meter_start_wh, meter_stop_wh, energy_wh,
            stop_reason, start_payload, stop_payload, incidents
        from transaction where operator_id = :operator and card_id = any(:cards)
        order by started_at desc limit :most""",
    "session_events": """
        select e.station_id, e.ocpp_id, e.seq_no, e.payload, e.received_at
        from transaction t join transaction_event e using (operator_id, station_id, ocpp_id)
        where operator_id = :operator and t.card_id = any(:cards)
        order by e.received_at desc limit :most""",
    "messages": """
        select m.station_id, m.received_at, m.direction, m.kind, m.action, m.frame
        from transaction t join message m on m.station_id = t.station_id
            and m.operator_id = t.operator_id
            and m.received_at >= t.start_received_at - cast(:around as interval)
            and m.received_at <=
                coalesce(t.stop_received_at, t.start_received_at) + cast(:around as interval)
            and (
                strpos(m.frame, to_jsonb(t.id_token)::text) > 0
                -- in JSON that is text of the frame, as in DataTransfer of 1.6 (costmsg.py)
                or strpos(m.frame, substr(
                    to_jsonb(to_jsonb(t.id_token)::text)::text, 2,
                    length(to_jsonb(to_jsonb(t.id_token)::text)::text) - 2
                )) > 0
            )
        where t.operator_id = :operator and t.card_id = any(:cards)
        order by m.received_at desc limit :most""",
    "reservations": """
        select station_id, reservation_id, state, evse_id, id_token, requested_at, expires_at,
            ended_at, session_id
        from reservation where operator_id = :operator and id_token_key = any(:uids)
        order by requested_at desc limit :most""",
    "commands": """
        select station_id, type, parameters, state, requested_by, requested_at, finished_at
        from command where operator_id = :operator and start_id_token = any(:uids)
        order by requested_at desc limit :most""",
}


async def collect(db: AsyncSession, event: PersonalDataRequested) -> None:
    values = {
        "operator": event.operator_id,
        "cards": [card.card_id for card in event.cards],
        "uids": [card.uid for card in event.cards],
        "most": privacy.ROWS_MAX,
        "around": AROUND,
    }
    files = await privacy.read_files(db, FILES, values)
    await privacy.tell_collected(db, event, SERVICE, files)


async def erase(db: AsyncSession, event: PersonErased) -> None:
    """What is settled now; what is under way when it is (sweep)."""
    changed = dict.fromkeys(COUNTED, 0)
    for card in event.cards:
        values = {"card_id": card.card_id, "operator_id": event.operator_id, "uid": card.uid}
        stone = insert(Tombstone).values(**values, erased_at=event.occurred_at)
        await db.execute(stone.on_conflict_do_nothing())
        _add(changed, await _erase_card(db, event.operator_id, card.card_id, card.uid))
    report = ErasureReported(
        operator_id=event.operator_id, request_id=event.request_id, service=SERVICE, changed=changed
    )
    await outbox.emit(db, report)


COUNTED: Final = ("sessions", "session_events", "messages", "reservations", "commands")

# Settled: ended, told, and nothing of it can come again that must find it by its token.
TAKE_OF_CARD: Final = f"""
select id, session_id, card_id, operator_id, station_id, ocpp_id, id_token, start_received_at,
    coalesce(stop_received_at, start_received_at) as stop_received_at
from transaction
where operator_id = :operator and card_id = :card and id_token_key not like '{privacy.ERASED}%'
    and ended_at is not null and end_told and stop_received_at < :settled
order by id limit {BATCH} for update skip locked
"""  # noqa: S608 - constants of ours
TAKE_OLD: Final = f"""
select id, session_id, card_id, operator_id, station_id, ocpp_id, id_token, start_received_at,
    coalesce(stop_received_at, start_received_at) as stop_received_at
from transaction
where operator_id = :operator and id_token_key not like '{privacy.ERASED}%'
    and ended_at < :before and end_told
order by id limit {BATCH} for update skip locked
"""  # noqa: S608 - constants of ours
RENAMED: Final = (
    "replace({}::text, to_jsonb(cast(:token as text))::text, to_jsonb(cast(:name as text))::text)"
)
FORGET_SESSION: Final = f"""
update transaction set id_token = :name, id_token_key = :name,
    start_payload = {RENAMED.format("start_payload")}::jsonb,
    stop_payload = {RENAMED.format("stop_payload")}::jsonb,
    details = {RENAMED.format("details")}::jsonb
where id = :id
"""  # noqa: S608 - constants of ours
FORGET_EVENTS: Final = f"""
update transaction_event set payload = {RENAMED.format("payload")}::jsonb
where operator_id = :operator and station_id = :station and ocpp_id = :ocpp_id
"""  # noqa: S608 - constants of ours
NESTED: Final = "to_jsonb(to_jsonb(cast({} as text))::text)::text"
# In JSON that is text of the frame, as in DataTransfer of 1.6 (costmsg.py): without its own quotes.
INNER: Final = f"substr({NESTED}, 2, length({NESTED}) - 2)"
FORGET_MESSAGES: Final = f"""
update message set frame = replace(
    {RENAMED.format("frame")}, {INNER.format(":token", ":token")}, {INNER.format(":name", ":name")}
)
where operator_id = :operator and station_id = :station
    and received_at >= :since and received_at <= :until
    and (
        strpos(frame, to_jsonb(cast(:token as text))::text) > 0
        or strpos(frame, {INNER.format(":token", ":token")}) > 0
    )
"""  # noqa: S608 - constants of ours
FORGET_RESERVATIONS: Final = """
update reservation set id_token = :name, id_token_key = :name
where operator_id = :operator and id_token_key = :uid and state not in ('requested', 'active')
"""
FORGET_COMMANDS: Final = f"""
update command set start_id_token = :name,
    parameters = {RENAMED.format("parameters")}::json,
    calls = {RENAMED.format("calls")}::json
where operator_id = :operator and start_id_token = :uid and finished_at < :settled
"""  # noqa: S608 - constants of ours


async def _erase_card(
    db: AsyncSession, operator: UUID | None, card: UUID, uid: str
) -> dict[str, int]:
    name = privacy.pseudonym(card)
    settled = now() - privacy.SETTLED
    changed = dict.fromkeys(COUNTED, 0)
    values: dict[str, Any] = {"operator": operator, "card": card, "settled": settled}
    while rows := (await db.execute(text(TAKE_OF_CARD), values)).all():
        for row in rows:
            _add(changed, await _forget(db, row, name))
    values |= {"uid": uid, "token": uid, "name": name}
    changed["reservations"] = await _count(db, FORGET_RESERVATIONS, values)
    changed["commands"] = await _count(db, FORGET_COMMANDS, values)
    return changed


async def _forget(db: AsyncSession, row: Row[Any], name: str) -> dict[str, int]:
    """One session, with its events and its messages in the log, gets another token."""
    values = {
        "id": row.id,
        "operator": row.operator_id,
        "station": row.station_id,
        "ocpp_id": row.ocpp_id,
        "since": row.start_received_at - AROUND,
        "until": row.stop_received_at + AROUND,
        "token": row.id_token,
        "name": name,
    }
    events = await _count(db, FORGET_EVENTS, values) if row.ocpp_id else 0
    return {
        "sessions": await _count(db, FORGET_SESSION, values),
        "session_events": events,
        "messages": await _count(db, FORGET_MESSAGES, values),
    }


async def _count(db: AsyncSession, statement: str, values: Mapping[str, Any]) -> int:
    wanted = {key: value for key, value in values.items() if f":{key}" in statement}
    return int(getattr(await db.execute(text(statement), wanted), "rowcount", 0))


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        total[name] = total.get(name, 0) + count


async def sweep_once(connections: Connections) -> None:
    """What was under way when somebody was erased, and what is kept no longer."""
    async with connections.begin(PLATFORM) as db:
        stones = (await db.scalars(select(Tombstone).where(Tombstone.uid.is_not(None)))).all()
        kept = select(OperatorName).where(OperatorName.personal_data_days.is_not(None))
        operators = (await db.scalars(kept)).all()
    for stone in stones:
        async with connections.begin(stone.operator_id) as db:
            await _erase_card(db, stone.operator_id, stone.card_id, stone.uid or "")
            forgotten = update(Tombstone).where(
                Tombstone.card_id == stone.card_id,
                Tombstone.erased_at < now() - privacy.TOKEN_KEPT,
            )
            await db.execute(forgotten.values(uid=None))
    for operator in operators:
        await _retain(connections, operator.operator_id, operator.personal_data_days or 0)


async def _retain(connections: Connections, operator: UUID, days: int) -> None:
    """What names people in sessions older than the operator keeps it."""
    changed: dict[str, int] = {}
    values = {"operator": operator, "before": now() - timedelta(days=days)}
    more = True
    while more:
        async with connections.begin(operator) as db:
            rows = (await db.execute(text(TAKE_OLD), values)).all()
            for row in rows:
                _add(
                    changed,
                    await _forget(db, row, privacy.pseudonym(row.card_id or row.session_id)),
                )
            more = len(rows) == BATCH
    if any(changed.values()):
        async with connections.begin(operator) as db:
            report = RetentionReported(operator_id=operator, service=SERVICE, changed=changed)
            await outbox.emit(db, report)
