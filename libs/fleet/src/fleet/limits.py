"""Pure: charging profiles, and the power they leave (OCPP 1.6, 3.13; OCPP 2.0.1, K01 to K10).

Profiles are kept as the server sent them, in the words of either version. Simple where a simulated
charger may be: the power of the whole station is granted to each connector in full.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fleet.charging import FAR_AWAY, Ceiling
from fleet.connectors import Session
from fleet.dialect import Electrics, Payload, TransactionId

STATION_PURPOSES = {
    "ChargePointMaxProfile",
    "ChargingStationMaxProfile",
    "ChargingStationExternalConstraints",
}
PURPOSES = (*sorted(STATION_PURPOSES), "TxDefaultProfile", "TxProfile")
RECURRENCES = {"Daily": timedelta(days=1), "Weekly": timedelta(days=7)}
MOST_PROFILES = 100


@dataclass(frozen=True)
class Profile:
    """`connector_id` 0 is the station."""

    connector_id: int
    raw: Payload

    @property
    def profile_id(self) -> int:
        found: int = self.raw["chargingProfileId"] if self._old else self.raw["id"]
        return found

    @property
    def purpose(self) -> str:
        return str(self.raw["chargingProfilePurpose"])

    @property
    def stack_level(self) -> int:
        return int(self.raw["stackLevel"])

    @property
    def transaction_id(self) -> TransactionId | None:
        found: TransactionId | None = self.raw.get("transactionId")
        return found

    @property
    def schedule(self) -> Payload:
        """Several schedules are a choice for ISO 15118; the first is the one without it."""
        schedule = self.raw["chargingSchedule"]
        chosen: Payload = schedule if isinstance(schedule, dict) else schedule[0]
        return chosen

    @property
    def _old(self) -> bool:
        return "chargingProfileId" in self.raw

    def says(
        self, at: datetime, session_at: datetime, electrics: Electrics
    ) -> tuple[int, datetime] | None:
        """Return its limit in watts and until when it holds; None when it says nothing."""
        if not _valid(self.raw.get("validFrom"), self.raw.get("validTo"), at):
            return None
        begins_at = self._begins_at(at, session_at)
        into_s = (at - begins_at).total_seconds()
        duration_s = self.schedule.get("duration")
        if into_s < 0 or (duration_s is not None and into_s >= duration_s):
            return None
        periods = self.schedule["chargingSchedulePeriod"]
        past = [period for period in periods if period["startPeriod"] <= into_s]
        if not past or "limit" not in past[-1]:
            return None
        ahead = [period["startPeriod"] for period in periods if period["startPeriod"] > into_s]
        ends = [*ahead, *([duration_s] if duration_s is not None else [])]
        until = begins_at + timedelta(seconds=min(ends)) if ends else at + FAR_AWAY
        return _watts(past[-1], self.schedule["chargingRateUnit"], electrics), until

    def _begins_at(self, at: datetime, session_at: datetime) -> datetime:
        if self.raw["chargingProfileKind"] == "Relative" or "startSchedule" not in self.schedule:
            return session_at
        begins_at = read_moment(self.schedule["startSchedule"])
        every = RECURRENCES.get(self.raw.get("recurrencyKind", ""))
        if self.raw["chargingProfileKind"] == "Recurring" and every and at > begins_at:
            begins_at += (at - begins_at) // every * every
        return begins_at


@dataclass
class Limits:
    electrics: Electrics
    profiles: list[Profile] = field(default_factory=list)

    def put(self, new: Profile) -> bool:
        """Keep a profile in the place of the one with its id, or its purpose and level."""
        kept = [old for old in self.profiles if not _replaces(new, old)]
        if len(kept) >= MOST_PROFILES:
            return False
        self.profiles = [*kept, new]
        return True

    def find(self, connector_id: int | None = None, **wanted: Any) -> list[Profile]:
        """Profiles by connector and by members, None for any: profile_id, purpose, stack_level."""
        return [
            profile
            for profile in self.profiles
            if connector_id in {None, profile.connector_id}
            and all(value is None or getattr(profile, name) == value
                    for name, value in wanted.items())
        ]  # fmt: skip

    def clear(self, gone: list[Profile]) -> bool:
        self.profiles = [profile for profile in self.profiles if profile not in gone]
        return bool(gone)

    def forget_transaction(self, session: Session) -> None:
        """A TxProfile ends with its transaction."""
        if self.profiles:
            gone = self.find(session.connector_id, purpose="TxProfile")
            self.clear(gone)

    def ceiling(
        self, connector_id: int, at: datetime, session_at: datetime, session: Session | None
    ) -> Ceiling:
        """The least of: what each purpose's highest profile says (TxProfile before the default)."""
        most = Ceiling(self.electrics.power_w, at + FAR_AWAY)
        if not self.profiles:
            return most
        said = {
            purpose: self._strongest(purpose, connector_id, at, session_at, session)
            for purpose in PURPOSES
        }
        if said["TxProfile"]:
            said["TxDefaultProfile"] = None
        counting = [limit for limit in said.values() if limit]
        return Ceiling(
            min([most.power_w, *(watts for watts, _ in counting)]),
            min([self._next_change(at), *(until for _, until in counting)]),
        )

    def composite(
        self, connector_id: int, at: datetime, duration_s: int, unit: str
    ) -> list[Payload]:
        """The periods of a composite schedule from `at` on, in "W" or "A"."""
        periods: list[Payload] = []
        end_at, now = at + timedelta(seconds=duration_s), at
        while now < end_at and len(periods) < 1024:
            power_w, until = self.ceiling(connector_id, now, at, None)
            limit: float = power_w
            if unit == "A":
                limit = float(self.electrics.current_a(power_w))
            if not periods or periods[-1]["limit"] != limit:
                start_s = int((now - at).total_seconds())
                periods.append({"startPeriod": start_s, "limit": limit})
            now = until
        return periods

    def _strongest(
        self,
        purpose: str,
        connector_id: int,
        at: datetime,
        session_at: datetime,
        session: Session | None,
    ) -> tuple[int, datetime] | None:
        best: tuple[tuple[int, int], tuple[int, datetime]] | None = None
        for profile in self.profiles:
            if profile.purpose != purpose or profile.connector_id not in {0, connector_id}:
                continue
            of_another = profile.transaction_id is not None and (
                session is None or profile.transaction_id != session.transaction_id
            )
            says = None if of_another else profile.says(at, session_at, self.electrics)
            rank = (profile.stack_level, profile.connector_id)
            if says and (best is None or rank > best[0]):
                best = (rank, says)
        return best and best[1]

    def _next_change(self, at: datetime) -> datetime:
        """When a profile that is silent now may begin to count; a quarter of an hour at most."""
        moments = [at + timedelta(minutes=15)]
        for profile in self.profiles:
            named = (profile.raw.get("validFrom"), profile.schedule.get("startSchedule"),
                     profile.raw.get("validTo"))  # fmt: skip
            moments += [moment for text in named if text and (moment := read_moment(text)) > at]
        return min(moments)


def read_moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.astimezone()


def _valid(since: str | None, until: str | None, at: datetime) -> bool:
    return (since is None or read_moment(since) <= at) and (
        until is None or at < read_moment(until)
    )


def _watts(period: Payload, unit: str, electrics: Electrics) -> int:
    if unit == "W":
        return max(0, int(period["limit"]))
    phases = min(period.get("numberPhases", electrics.phases), electrics.phases)
    return max(0, int(period["limit"] * electrics.voltage_v * phases))


def _replaces(new: Profile, old: Profile) -> bool:
    same_place = (new.connector_id, new.purpose, new.stack_level) == (
        old.connector_id,
        old.purpose,
        old.stack_level,
    )
    return new.profile_id == old.profile_id or same_place
