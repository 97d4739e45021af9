"""Charging profiles on their way to stations, and what is known to be installed there.

What is known comes from accepted calls, raw ones too, and from the stations' own reports.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from csms_gateway import clocks
from csms_gateway.charger import Charger, Unsupported
from csms_gateway.charging_profile_forms import NEUTRAL, as_2, check_sayable, check_sendable
from csms_gateway.commands import request_ids
from csms_gateway.commands.charging_profile import ChargingProfile, ProfileBody
from csms_gateway.commands.kinds import SetChargingProfile
from csms_gateway.stored_json import as_json

OURS: Final = "CSO"  # who set it: us

NAMED: Final = "select profile from charging_profile where operator_id = $1 and name = $2"
SESSION: Final = """
select id, ocpp_id, evse_id, session_id, ended_at from transaction
where station_id = $1 and session_id = $2
"""
OPEN_ON: Final = """
select id, ocpp_id, evse_id, session_id, ended_at from transaction
where station_id = $1 and evse_id = $2 and ended_at is null order by id desc limit 1
"""
# Profiles in the place of a new one: two of them cannot be valid at the same time (K01.FR.06,
# K01.FR.39).
IN_PLACE: Final = """
select profile_id, evse_id from installed_charging_profile
where station_id = $1 and evse_id = $2 and purpose = $3 and stack_level = $4
and session_id is not distinct from $5 and source = 'CSO'
and ($8 or coalesce(valid_from < $7, true) and coalesce(valid_to > $6, true))
order by told_at desc
"""
PUT: Final = """
insert into installed_charging_profile as p (
    station_id, profile_id, operator_id, evse_id, stack_level, purpose, session_id, valid_from,
    valid_to, source, profile, told_at
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now())
on conflict (station_id, profile_id) do update set
    evse_id = $4, stack_level = $5, purpose = $6, session_id = $7, valid_from = $8, valid_to = $9,
    source = $10, profile = $11, told_at = now()
"""
REPLACED: Final = """
delete from installed_charging_profile
where station_id = $1 and profile_id <> $2 and evse_id = $3 and purpose = $4 and stack_level = $5
and session_id is not distinct from $6 and source = 'CSO'
"""
# And with each what was last sent of it, if its limits change (2.1, K28): a station that asks for
# what it has cleared must not be told a limit.
CLEARED: Final = """
with gone as (
    delete from installed_charging_profile
    where station_id = $1 and purpose not in ('station_external', 'LocalGeneration')
    and ($2::int[] is null or profile_id = any($2)) and ($3::int is null or evse_id = $3)
    and ($4::text is null or purpose = $4) and ($5::int is null or stack_level = $5)
    returning profile_id
)
delete from dynamic_schedule
where station_id = $1 and profile_id in (select profile_id from gone)
"""
LIMITS: Final = """
select evse_id, profile from installed_charging_profile
where station_id = $1 and evse_id in (0, $2) and purpose in ('station_max', 'station_external')
and (valid_to is null or valid_to > now())
"""
OF_SESSION: Final = """
select profile_id, evse_id, profile from installed_charging_profile
where station_id = $1 and session_id = $2 and purpose = 'tx'
order by stack_level desc, told_at desc limit 1
"""

# What was last sent of a dynamic one is what it limits now. 2.1, E17.FR.15: only if the station
# does not say that it keeps them.
LOST_BY_REBOOT: Final = """
select p.evse_id, p.profile, d.schedule_update
from installed_charging_profile p left join dynamic_schedule d using (station_id, profile_id)
where p.station_id = $1 and p.session_id = $2 and p.purpose = 'tx' and p.source = 'CSO'
and not exists (
    select from variable where station_id = $1 and lower(component) = 'smartchargingctrlr'
    and lower(variable) = 'chargingprofilepersistence' and lower(variable_instance) = 'txprofile'
    and attribute = 'Actual' and lower(value) = 'true'
)
order by p.stack_level, p.profile_id
"""

# A profile that makes an EV give energy back, or its power follow something (2.1, V2X).
V2X_ON: Final = """
select exists (
    select from installed_charging_profile, jsonb_path_query(
        profile, '$.chargingSchedule[*].chargingSchedulePeriod[*].operationMode'
    ) as mode
    where station_id = $1 and (session_id = $3 or purpose = 'tx_default' and evse_id in (0, $2))
    and (valid_to is null or valid_to > now()) and mode not in ('"ChargingOnly"', '"Idle"')
)
"""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A set_charging_profile with everything it leaves open filled in."""

    profile: ProfileBody
    number: int
    evse_id: int
    transaction: Any  # the row of a tx profile's transaction


async def resolved(
    charger: Charger, command: SetChargingProfile, *, same_place_is_replaced: bool
) -> Resolved:
    """Raises Unsupported.

    same_place_is_replaced: OCPP 1.6, where a profile replaces any other of its purpose and stack
    level (3.13.1); 2.x replaces by id only and refuses what would be valid at the same time.
    """
    profile = command.profile or await _named(charger, command.profile_name)
    session_id = command.session_id or profile.session_id
    transaction = None
    if session_id is not None:
        if profile.purpose == "station_max":
            raise Unsupported("a station_max profile limits no session")
        profile = profile.model_copy(update={"purpose": "tx"})
        transaction = await _transaction(charger, session_id)
    elif profile.purpose == "tx" and command.evse_id:
        transaction = await open_on(charger, command.evse_id)
        if transaction is None:  # K01.FR.03
            raise Unsupported(f"no session is running at EVSE {command.evse_id}")
    evse_id = command.evse_id or (transaction["evse_id"] if transaction else 0)
    if transaction and evse_id != transaction["evse_id"]:
        raise Unsupported(f"the session runs at EVSE {transaction['evse_id']}")
    check_sendable(profile, evse_id)
    check_sayable(profile, charger.version.schemas)
    number = await _number(
        charger, profile, evse_id, transaction and transaction["session_id"],
        replaced=same_place_is_replaced,
    )  # fmt: skip
    return Resolved(profile, number, evse_id, transaction)


async def _named(charger: Charger, name: str | None) -> ChargingProfile:
    found = await charger.gateway.pool.fetchval(NAMED, charger.operator_id, name)
    if found is None:
        raise Unsupported(f"there is no charging profile named {name!r}")
    return ChargingProfile.model_validate_json(found)


async def _transaction(charger: Charger, session_id: UUID) -> Any:
    row = await charger.gateway.pool.fetchrow(SESSION, charger.station_id, session_id)
    if row is None or row["ended_at"] is not None:
        raise Unsupported(f"no session {session_id} is running at {charger.station_id}")
    return row


async def open_on(charger: Charger, evse_id: int) -> Any:
    """The row of the transaction that runs at an EVSE, or None."""
    return await charger.gateway.pool.fetchrow(OPEN_ON, charger.station_id, evse_id)


async def _number(
    charger: Charger,
    profile: ChargingProfile,
    evse_id: int,
    session_id: UUID | None,
    *,
    replaced: bool,
) -> int:
    """The id given; else that of the profile in its place, which it replaces; else a new one."""
    rows = await charger.gateway.pool.fetch(
        IN_PLACE, charger.station_id, evse_id, profile.purpose, profile.stack_level, session_id,
        profile.valid_from, profile.valid_to, replaced,
    )  # fmt: skip
    there = [row["profile_id"] for row in rows]
    if profile.id is None:
        return there[0] if there else await request_ids.following(charger)
    others = [number for number in there if number != profile.id]
    if others and not replaced:
        raise Unsupported(
            f"profile {others[0]} has this purpose and stack level there at the same time; "
            "clear it first, or leave the id out to replace it"
        )
    return profile.id


@dataclass(frozen=True, slots=True)
class Told:
    """A profile on a station, from our call or its report."""

    number: int
    evse_id: int
    profile: dict[str, Any]
    source: str = OURS


async def installed(charger: Charger, told: Told, *, same_place_is_replaced: bool = False) -> None:
    profile = told.profile
    if not _fits(told.number, told.evse_id, profile["stackLevel"]):
        return  # no number of ours; the log has it
    purpose = NEUTRAL.get(profile["chargingProfilePurpose"], profile["chargingProfilePurpose"])
    session_id = None
    if purpose == "tx":
        session_id = await _session_of(charger, profile.get("transactionId"), told.evse_id)
    async with charger.gateway.pool.acquire() as db, db.transaction():
        if same_place_is_replaced:
            await db.execute(
                REPLACED, charger.station_id, told.number, told.evse_id, purpose,
                profile["stackLevel"], session_id,
            )  # fmt: skip
        await db.execute(
            PUT, charger.station_id, told.number, charger.operator_id, told.evse_id,
            profile["stackLevel"], purpose, session_id, _moment(profile.get("validFrom")),
            _moment(profile.get("validTo")), told.source, as_json(profile),
        )  # fmt: skip


def _fits(*numbers: int) -> bool:
    return all(abs(number) < 2**31 for number in numbers)


def _moment(raw: str | None) -> datetime | None:
    return clocks.read(raw) if raw else None


async def _session_of(charger: Charger, transaction_id: Any, evse_id: int) -> UUID | None:
    pool = charger.gateway.pool
    if transaction_id is None:
        row = await open_on(charger, evse_id)
        session_id: UUID | None = row and row["session_id"]
        return session_id
    column = "id" if isinstance(transaction_id, int) else "ocpp_id"
    if column == "id" and not _fits(transaction_id):
        return None
    found: UUID | None = await pool.fetchval(
        f"select session_id from transaction where station_id = $1 and {column} = $2",  # noqa: S608 - one of two
        charger.station_id,
        transaction_id,
    )
    return found


async def cleared(
    charger: Charger,
    status: str,
    *,
    numbers: list[int] | None = None,
    evse_id: int | None = None,
    purpose: str | None = None,
    stack_level: int | None = None,
) -> None:
    """None of these is there any more; Unknown and NoProfiles say that none was."""
    if not _fits(*(numbers or ()), evse_id or 0, stack_level or 0):
        return  # none of ours
    if status in ("Accepted", "Unknown", "NoProfiles"):
        await charger.gateway.pool.execute(
            CLEARED, charger.station_id, numbers, evse_id,
            purpose and NEUTRAL.get(purpose, purpose), stack_level,
        )  # fmt: skip


async def limits_on(charger: Charger, evse_id: int) -> list[dict[str, Any]]:
    """The profiles that limit an EVSE whatever its session's own profile says, as OCPP 2.x has
    them, each with the evseId that it is for.
    """
    rows = await charger.gateway.pool.fetch(LIMITS, charger.station_id, evse_id)
    return [as_2(orjson.loads(row["profile"])) | {"evseId": row["evse_id"]} for row in rows]


async def v2x_on(charger: Charger, evse_id: int, session_id: UUID) -> bool:
    """Whether a profile on the station says how this session's EV gives energy back (2.1)."""
    found: bool = await charger.gateway.pool.fetchval(
        V2X_ON, charger.station_id, evse_id, session_id
    )
    return found


async def of_session(charger: Charger, session_id: UUID) -> dict[str, Any] | None:
    """The payload of a SetChargingProfile that would install a session's profile again."""
    row = await charger.gateway.pool.fetchrow(OF_SESSION, charger.station_id, session_id)
    if row is None:
        return None
    return {"evseId": row["evse_id"], "chargingProfile": orjson.loads(row["profile"])}


async def lost_by_reboot(charger: Charger, session_id: UUID) -> list[dict[str, Any]]:
    """The payloads of the SetChargingProfiles that a resumed session needs again (OCPP 2.1)."""
    rows = await charger.gateway.pool.fetch(LOST_BY_REBOOT, charger.station_id, session_id)
    found = []
    for row in rows:
        profile = orjson.loads(row["profile"])
        if row["schedule_update"] is not None:
            profile["chargingSchedule"][0]["chargingSchedulePeriod"][0] |= orjson.loads(
                row["schedule_update"]
            )
        found.append({"evseId": row["evse_id"], "chargingProfile": profile})
    return found
