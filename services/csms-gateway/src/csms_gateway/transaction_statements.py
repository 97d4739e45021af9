"""The SQL of transactions.py."""

# One statement, so one round trip and one commit: the transaction, the event that tells of it, and
# the remote start that it came of. A repeat inserts nothing and gets the first one's id.
START = """
with new as (
    insert into transaction (
        session_id, operator_id, station_id, evse_id, connector_id, id_token, id_token_key,
        card_id, user_id, token_status, started_at, started_raw, start_received_at,
        meter_start_wh, start_payload, incidents, holder
    ) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $21)
    on conflict (
        station_id, evse_id, connector_id, id_token_key, started_raw, meter_start_wh
    ) where ocpp_id is null do nothing
    returning id, session_id, token_status
), told as (
    insert into outbox (event_id, subject, body)
    select $17, $18, jsonb_set($19::jsonb, '{transaction_id}', to_jsonb(id::text))::text from new
), came_of as (
    update command set session_id = $1, change = nextval('command_change_seq')
    where id = (
        select id from command
        where station_id = $3 and start_id_token = $7 and session_id is null
        and sent_at > $13 - interval '5 minutes' and state <> 'rejected'
        and coalesce(start_evse_id, $4) = $4
        order by id desc limit 1
    ) and exists (select from new)
), left_open as (
    update transaction set incidents = incidents || $20::jsonb
    where station_id = $3 and evse_id = $4 and connector_id = $5 and ended_at is null
    and not incidents @> '[{"kind": "start_while_open"}]' and exists (select from new)
    returning session_id
)
select id, session_id, token_status, (select array_agg(session_id) from left_open) as left_open,
    exists (
        select from reservation
        where station_id = $3 and state in ('requested', 'active', 'expired')
    ) as reserved
from new
"""
STARTED_BEFORE = """
select id, session_id, token_status from transaction
where station_id = $1 and evse_id = $2 and connector_id = $3 and id_token_key = $4
and started_raw = $5 and meter_start_wh = $6 and ocpp_id is null
"""
BY_ID = "select * from transaction where id = $1 and station_id = $2"
# For a stop with an id of 0 or -1, or one we never gave: the only open one that it can mean.
CANDIDATES = """
select * from transaction
where station_id = $1 and ended_at is null and meter_start_wh <= $2 and ocpp_id is null
and ($3::text is null or id_token_key = $3) and started_at <= $4
order by id desc limit 2
"""
STOPPED_BEFORE = """
select id from transaction where station_id = $1 and ended_raw = $2 and meter_stop_wh = $3 limit 1
"""
# incidents: those that the event was made with; something came up meanwhile if they differ.
STOP = """
with done as (
    update transaction set
        ended_at = $2, ended_raw = $3, stop_received_at = $4, meter_stop_wh = $5, energy_wh = $6,
        stop_reason = $7, stop_payload = $8, incidents = $9
    where id = $1 and ended_at is null and incidents = $13::jsonb
    returning id
), told as (
    insert into outbox (event_id, subject, body) select $10, $11, $12 from done
)
select id from done
"""
UNMATCHED = """
with kept as (
    insert into unmatched_message (
        id, operator_id, station_id, action, digest, payload, received_at, session_id
    ) values ($11, $1, $2, $3, $4, $5, $6, $7)
    on conflict (station_id, action, digest) do nothing
    returning id
), told as (
    insert into outbox (event_id, subject, body)
    select $8, $9, $10 from kept where $8::uuid is not null
)
select id from kept
"""
TELL = "insert into outbox (event_id, subject, body) values ($1, $2, $3)"
SESSION_OF = """
select session_id from transaction where station_id = $1 and id = $2
"""
IDS_OF = "select id, ocpp_id from transaction where station_id = $1 and session_id = $2"
OPEN_ON = """
select session_id from transaction
where station_id = $1 and evse_id = $2 and ended_at is null order by id desc limit 1
"""
SIGNED = """
with kept as (
    insert into signed_message (
        id, operator_id, station_id, evse_id, session_id, digest, payload, received_at, told
    ) values ($1, $2, $3, $4, $5, $6, $7, $8, true)
    on conflict (station_id, digest) do nothing
    returning id
), told as (
    insert into outbox (event_id, subject, body)
    select (event->>0)::uuid, event->>1, event->>2
    from kept, json_array_elements($9::json) as event
)
select id from kept
"""
