"""What each kind of alert rule looks for, in SQL over the live tables.

Each statement gives what holds now: a row a rule, station and EVSE (0: the station as a whole),
with since when, and what else there is to say of it. It finds the stations in question first,
whatever the rules, and then whose rules they are, place by place, so that each join has a key:
joined by one condition with "or", twelve rules cost 8 s at 150,000 stations. Only active stations
count, and where there is no rule nothing is looked for.
"""

# ruff: noqa: S608 - made of what stands here

from typing import Final

from common.events import AlertKind

_COUNTS: Final = (
    "join station s on s.operator_id = {0}.operator_id and s.id = {0}.station_id and s.active "
    "where exists (select from rules)"
)
_NOW: Final = "cast(:now as timestamptz)"
_PLACES: Final = """
    select found.*, {limits} from found
    join rules r on r.operator_id = found.operator_id and r.place_kind = 'everywhere'
    union all select found.*, {limits} from found
    join rules r on r.operator_id = found.operator_id and r.place_kind = 'station'
        and r.place_id = found.station_id
    union all select found.*, {limits} from found
    join rules r on r.operator_id = found.operator_id and r.place_kind = 'location'
        and r.place_id = found.location_id::text
    union all select found.*, {limits} from found
    join station_group_member m on m.operator_id = found.operator_id
        and m.station_id = found.station_id
    join rules r on r.operator_id = found.operator_id and r.place_kind = 'station_group'
        and r.place_id = m.group_id::text
"""
_LIMITS: Final = "r.id as rule_id, r.after_s, r.error_codes, r.days, r.failures, r.hours, r.made_at"


def _holds(kind: AlertKind, found: str, chosen: str) -> str:
    """found: the stations in question. chosen: out of these and their rules, which are `meant`."""
    return (
        f"with rules as materialized "
        f"(select * from alert_rule where kind = '{kind}' and enabled), "
        f"found as materialized ({found}), meant as ({_PLACES.format(limits=_LIMITS)}) {chosen}"
    )


# As liveness.standing decides it. One that was never online is not offline: it is being built.
_OFFLINE: Final = _holds(
    "offline",
    f"""
    select s.operator_id, s.id as station_id, s.location_id, case when l.connected
        then greatest(l.connection_since_at, g.last_beat_at)
        else l.connection_since_at end as since_at
    from station_live l left join gateway_replica g on g.replica = l.replica
    {_COUNTS.format("l")} and l.connected is not null
        and not (l.connected and coalesce(g.last_beat_at, '-infinity') > :alive_after)
    """,
    f"""
    select rule_id, operator_id, station_id, 0 as evse_id, since_at, null::text as detail
    from meant where since_at <= {_NOW} - make_interval(secs => after_s)
    """,
)

# The charger's clock may be wrong: what its newest report was late by, its fault was as well.
_FAULTED: Final = _holds(
    "faulted",
    f"""
    select s.operator_id, s.id as station_id, s.location_id, c.evse_id, c.error_code,
        c.vendor_error_code,
        least(c.since_at + (c.received_at - c.reported_at), c.received_at) as since_at
    from connector_live c {_COUNTS.format("c")} and c.status = 'faulted'
    """,
    f"""
    select rule_id, operator_id, station_id, evse_id, min(since_at) as since_at,
        string_agg(distinct nullif(
            concat_ws(' ', nullif(error_code, 'NoError'), vendor_error_code), ''), ', ') as detail
    from meant where since_at <= {_NOW} - make_interval(secs => after_s)
        and (error_codes is null or error_code = any(error_codes)
            or vendor_error_code = any(error_codes))
    group by rule_id, operator_id, station_id, evse_id
    """,
)

# One that was never used counts from when the rule was made.
_UNUSED: Final = _holds(
    "unused",
    f"""
    select s.operator_id, s.id as station_id, s.location_id, e.evse_id, x.ended_at
    from evse e left join evse_session x on x.operator_id = e.operator_id
        and x.station_id = e.station_id and x.evse_id = e.evse_id
    {_COUNTS.format("e")} and (x.session_id is null or x.ended_at
        <= {_NOW} - make_interval(days => (select min(days) from rules)))
    """,
    f"""
    select rule_id, operator_id, station_id, evse_id, coalesce(ended_at, made_at) as since_at,
        null::text as detail
    from meant where coalesce(ended_at, made_at) <= {_NOW} - make_interval(days => days)
    """,
)

_FAILING: Final = _holds(
    "failing",
    f"""
    select s.operator_id, s.id as station_id, s.location_id from (
        select operator_id, station_id from station_failure
        where at > {_NOW} - make_interval(hours => (select max(hours) from rules))
        group by operator_id, station_id having count(*) >= (select min(failures) from rules)
    ) f {_COUNTS.format("f")}
    """,
    f"""
    select rule_id, operator_id, station_id, 0 as evse_id, counted.since_at,
        counted.times::text as detail
    from meant cross join lateral (
        select min(f.at) as since_at, count(*) as times from station_failure f
        where f.operator_id = meant.operator_id and f.station_id = meant.station_id
            and f.at > {_NOW} - make_interval(hours => meant.hours)
    ) counted where counted.times >= meant.failures
    """,
)

HOLDS: Final[dict[AlertKind, str]] = {
    "offline": _OFFLINE,
    "faulted": _FAULTED,
    "unused": _UNUSED,
    "failing": _FAILING,
}
