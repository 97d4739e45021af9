"""The SQL of transaction_events.py, and its rows as transaction_fold.Known and back."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from common.events import IncidentOpened
from csms_gateway.stored_json import as_json, holder_json, holder_of
from csms_gateway.transaction_fold import Known, Token

# The columns of transaction_fold.Known as they stand in the table, in the order of the parameters.
COLUMNS: Final = (
    "session_id", "operator_id", "station_id", "ocpp_id", "revision",
    "evse_id", "connector_id", "id_token", "id_token_key", "id_token_type", "card_id", "user_id",
    "token_status", "started_at", "started_raw", "start_received_at", "meter_start_wh",
    "incidents", "ended_at", "ended_raw", "stop_received_at", "meter_stop_wh", "energy_wh",
    "stop_reason", "start_seen", "start_seq_no", "end_seq_no", "charging_state",
    "remote_start_id", "reservation_id", "start_told", "end_told", "tell_by", "details",
    "newest_seq_no", "holder",
)  # fmt: skip
FIXED: Final = ("session_id", "operator_id", "station_id", "ocpp_id", "start_received_at")
# Known once, by the event that ends it: what comes later does not have them.
AT_THE_END: Final = ("stop_received_at", "energy_wh")
_CHANGED: Final = [
    f"{name} = coalesce(t.{name}, excluded.{name})"
    if name in AT_THE_END
    else f"{name} = excluded.{name}"
    for name in COLUMNS
    if name not in FIXED
]
_N: Final = len(COLUMNS)

# One statement, so one round trip and one commit: the transaction if nobody changed it meanwhile
# (revision), the event, what is told of it, and what it came of. A repeated event makes the whole
# statement fail on its key, so nothing is told twice.
WRITE: Final = f"""
with tx as (
    insert into transaction as t ({", ".join(COLUMNS)}, start_payload)
    values ({", ".join(f"${n + 1}" for n in range(_N))}, '{{}}')
    on conflict (station_id, ocpp_id) where ocpp_id is not null do update set
        {", ".join(_CHANGED)}
    where t.revision = excluded.revision - 1
    returning id, session_id, evse_id, connector_id, remote_start_id, id_token_key
), event as (
    insert into transaction_event (station_id, ocpp_id, seq_no, operator_id, payload, received_at)
    select $3, $4, ${_N + 1}::int, $2, ${_N + 2}, ${_N + 3}
    from tx where ${_N + 1}::int is not null
), told as (
    insert into outbox (event_id, subject, body)
    select (event->>0)::uuid, event->>1, event->>2
    from tx, json_array_elements(${_N + 4}::json) as event
), came_of as (
    update command set session_id = $1, change = nextval('command_change_seq')
    where id = (
        select id from command
        where station_id = $3 and remote_start_id = $29 and session_id is null
        and state <> 'rejected'
        order by id desc limit 1
    ) and exists (select from tx)
), left_open as (
    update transaction
    set incidents = incidents || jsonb_build_array(${_N + 5}::jsonb -> 'incident'),
        revision = revision + 1
    where station_id = $3 and evse_id = $6 and connector_id = $7 and evse_id > 0
    and ended_at is null and session_id <> $1 and started_at <= $14 and ${_N + 6}::boolean
    and not incidents @> '[{{"kind": "start_while_open"}}]' and exists (select from tx)
    returning session_id, gen_random_uuid() as event_id
), told_of_them as (
    insert into outbox (event_id, subject, body)
    select event_id, '{IncidentOpened.subject}', (
        ${_N + 5}::jsonb || jsonb_build_object('id', event_id, 'session_id', session_id)
    )::text from left_open
)
select id, exists (select from left_open) as left_open, exists (
    select from reservation
    where station_id = $3 and state in ('requested', 'active', 'expired')
) as reserved
from tx
"""  # noqa: S608 - made of constants
# Some stations say offline only when they send it again.
KNOWN: Final = """
select t.*, e.payload - 'offline' = $4::jsonb - 'offline' as repeated
from transaction t
left join transaction_event e
    on e.station_id = t.station_id and e.ocpp_id = t.ocpp_id and e.seq_no = $3
where t.station_id = $1 and t.ocpp_id = $2
"""
# In the order in which they came.
SEQ_NOS: Final = """
select array_agg(seq_no order by received_at) from transaction_event
where station_id = $1 and ocpp_id = $2
"""
# Where Started or Ended came without a reading, the first and last of what came between.
READINGS: Final = """
(select seq_no, payload from transaction_event
 where station_id = $1 and ocpp_id = $2 and payload ? 'meterValue' order by seq_no limit 5)
union all
(select seq_no, payload from transaction_event
 where station_id = $1 and ocpp_id = $2 and payload ? 'meterValue' order by seq_no desc limit 5)
order by seq_no
"""
LATER: Final = "update transaction set tell_by = now() + interval '1 hour' where id = $1"
UNTOLD: Final = """
select t.*, s.evses from transaction t left join station s using (station_id)
where t.tell_by < now() order by t.tell_by limit 50
"""


def values(
    operator_id: UUID,
    station_id: str,
    known: Known,
    received_at: datetime,
    energy_wh: int | None,
    tell_by: datetime | None,
) -> list[Any]:
    """In the order of COLUMNS."""
    token = known.token
    incidents = as_json(known.incidents)
    id_token = token.id_token if token else ""
    return [
        known.session_id, operator_id, station_id, known.ocpp_id, known.revision,
        known.evse_id, known.connector_id, id_token, id_token.upper(), token and token.type,
        token and token.card_id, token and token.user_id, token.status if token else "Unknown",
        known.started_at, known.started_raw, received_at, known.meter_start_wh,
        incidents, known.ended_at, known.ended_raw,
        received_at if known.ended_at else None, known.meter_stop_wh, energy_wh,
        known.stop_reason, known.start_seen, known.start_seq_no, known.end_seq_no,
        known.charging_state, known.remote_start_id, known.reservation_id, known.start_told,
        known.end_told, tell_by, as_json(known.details), known.newest_seq_no,
        holder_json(token.holder if token else None),
    ]  # fmt: skip


def known_of(row: asyncpg.Record) -> Known:
    token = None
    if row["id_token_type"] is not None:
        token = Token(
            row["id_token"], row["id_token_type"], row["token_status"], row["card_id"],
            row["user_id"], holder_of(row["holder"]),
        )  # fmt: skip
    same = (
        "session_id", "ocpp_id", "started_at", "started_raw", "evse_id", "connector_id",
        "start_seen", "start_seq_no", "meter_start_wh", "ended_at", "ended_raw", "end_seq_no",
        "meter_stop_wh", "stop_reason", "charging_state", "remote_start_id", "reservation_id",
        "start_told", "end_told", "revision", "newest_seq_no",
    )  # fmt: skip
    members = {name: row[name] for name in same}
    return Known(
        **members,
        token=token,
        incidents=tuple(orjson.loads(row["incidents"])),
        details=orjson.loads(row["details"]),
    )
