"""Partners that are asked at each tap: their endpoint is called, signed, for 1.5 s at most.

What is asked and answered, and how a partner checks the signature: docs/partners.md. Whatever goes
wrong (no answer, an odd one, too many calls at once) counts as no answer, and the partner's
fallback decides.
"""

import logging
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.dialects.postgresql import insert

from common import sealed, signing, single
from common.auth import Caller, scoped
from common.authorize import AuthorizeQuestion, AuthorizeStatus
from common.breaker import Breaker
from common.clock import AnyMoment, now
from common.database import Connections
from common.fields import Body, Line
from common.ids import uuid7
from common.outbound import Outbound, OutboundFailed
from common.problems import Problem
from identity import uids
from identity.people.cards import Uid, tell
from identity.settings import Settings
from identity.tables import Card, Partner

router = APIRouter(prefix="/v1/partners", tags=["partners"])

log = logging.getLogger(__name__)

# The gateway waits 2 s for a decision.
LIMIT_S: Final = 1.5
ANSWER_BYTES_MAX: Final = 16_384
AT_ONCE_MAX: Final = 10  # calls to one partner; a slow one must not hold up the others' drivers
OK: Final = 200


class NotAskedInRealTime(Problem):
    status = 409
    title = "This partner is not asked in real time"


class Asked(BaseModel):
    """What a partner's endpoint is sent."""

    id: UUID = Field(description="of this call; the answer repeats it")
    partner_id: UUID
    operator_id: UUID
    id_token: str
    station_id: str
    evse_id: int | None
    location_id: UUID | None
    trial: bool = Field(description="staff try it out; nobody will charge")
    at: AnyMoment


class Said(BaseModel):
    """What a partner's endpoint answers."""

    model_config = ConfigDict(extra="ignore", str_max_length=4096)

    id: UUID
    status: AuthorizeStatus
    reason: Line | None = None
    valid_until: AnyMoment | None = None


@dataclass(frozen=True)
class Verdict:
    """answered: the partner's own word, not its fallback's."""

    status: AuthorizeStatus
    why: str
    answered: bool
    valid_until: AnyMoment | None = None


class _Unanswered(Exception):
    pass


class Endpoint(BaseModel):
    """A partner as it is called."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: UUID
    operator_id: UUID
    name: str
    endpoint: str
    secret: bytes  # sealed
    fallback: Literal["accept", "refuse", "list"]


FIND: Final = """
select id, operator_id, name, endpoint, secret, fallback
from partner where id = $1 and operator_id = $2 and mode = 'real_time'
"""


class RealTime:
    """Calls partners; one a process, which counts failures for itself."""

    def __init__(self, calls: Outbound, settings: Settings, connections: Connections) -> None:
        self._calls = calls
        self._allow_private = settings.allow_private_endpoints
        self._sealer = settings.sealer("identity")
        self._connections = connections
        self._breakers: defaultdict[UUID, Breaker] = defaultdict(Breaker)
        self._under_way: defaultdict[UUID, int] = defaultdict(int)

    async def verdict(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        partner_id: UUID,
        question: AuthorizeQuestion,
        location_id: UUID | None,
        *,
        pushed: bool,
        trial: bool,
    ) -> Verdict | None:
        """None: the partner is not, or no longer, asked in real time.

        pushed: the partner said by itself that the card is good.
        """
        row = await pool.fetchrow(FIND, partner_id, question.operator_id)
        if row is None:
            return None
        endpoint = Endpoint.model_validate(dict(row))
        body = Asked(
            id=uuid7(), partner_id=partner_id, location_id=location_id, trial=trial, at=now(),
            **question.model_dump(),
        )  # fmt: skip
        try:
            said = await self._asked_if_it_answers(endpoint, body)
        except _Unanswered as failed:
            return _by_fallback(endpoint, str(failed), pushed)
        return _verdict(endpoint, said)

    async def ask(self, endpoint: Endpoint, body: Asked) -> Said:
        """Raises _Unanswered."""
        try:
            if self._sealer is None:
                raise ValueError("secret_key is not set")
            secret = self._sealer.open(endpoint.secret)
        except ValueError as error:
            raise _Unanswered("its secret cannot be read with CSMS_SECRET_KEY") from error
        content = body.model_dump_json().encode()
        try:
            answer = await self._calls.post_json(
                endpoint.endpoint,
                content,
                signing.signed(secret, content, int(time.time())),
                timeout_s=LIMIT_S,
                bytes_max=ANSWER_BYTES_MAX,
                allow_private=self._allow_private,
            )
        except OutboundFailed as error:
            raise _Unanswered(error.why.rstrip(".")) from error
        if answer.status != OK:
            raise _Unanswered(f"its endpoint answered with the HTTP status {answer.status}")
        try:
            said = Said.model_validate_json(answer.body)
        except ValidationError as error:
            raise _Unanswered(
                f"what its endpoint answered is no answer: {_first(error)}"
            ) from error
        if said.id != body.id:
            raise _Unanswered("its endpoint answered another call than this one")
        return said

    async def _asked_if_it_answers(self, endpoint: Endpoint, body: Asked) -> Said:
        breaker = self._breakers[endpoint.id]
        if self._under_way[endpoint.id] >= AT_ONCE_MAX:
            raise _Unanswered(f"{AT_ONCE_MAX} calls to it are under way already")
        if not breaker.lets(time.monotonic()):
            raise _Unanswered("it did not answer the last calls and is not asked for half a minute")
        self._under_way[endpoint.id] += 1
        try:
            said = await self.ask(endpoint, body)
        except _Unanswered as failed:
            breaker.failed(time.monotonic())
            log.warning("partner %s did not answer: %s", endpoint.id, failed)
            raise
        finally:
            self._under_way[endpoint.id] -= 1
        breaker.answered()
        return said

    async def remember(self, operator_id: UUID, partner_id: UUID, uid: str) -> None:
        """Of a token that was accepted there is a card, so that sessions have one."""
        kind = uids.kind_of(uid)
        made = insert(Card).values(
            id=uuid7(), version=1, operator_id=operator_id, partner_id=partner_id, uid=uid,
            kind=kind, label="", active=True, master_pass=False, company_master=False,
        )  # fmt: skip
        once = made.on_conflict_do_nothing(index_elements=[Card.operator_id, Card.uid])
        async with self._connections.begin(operator_id) as db:
            row = await db.scalar(once.returning(Card))
            if row is not None:
                await tell(db, row)


def may_be_card(uid: str) -> bool:
    """A token that a card can have; of any other nobody is asked."""
    return uids.fault(uids.kind_of(uid), uid) is None


def _verdict(endpoint: Endpoint, said: Said) -> Verdict:
    if said.status == "Accepted":
        why = f"The partner {endpoint.name} accepted it."
        return Verdict("Accepted", why, answered=True, valid_until=said.valid_until)
    reason = f": {said.reason.rstrip('.')}" if said.reason else ""
    return Verdict(said.status, f"The partner {endpoint.name} refused it{reason}.", answered=True)


def _by_fallback(endpoint: Endpoint, failure: str, pushed: bool) -> Verdict:
    accepted = endpoint.fallback == "accept" or (endpoint.fallback == "list" and pushed)
    what = {
        "accept": "then its cards are accepted",
        "refuse": "then its cards are refused",
        "list": "then the cards it pushed are accepted",
    }[endpoint.fallback]
    why = f"The partner {endpoint.name} could not be asked ({failure}); {what}."
    return Verdict("Accepted" if accepted else "Invalid", why, answered=False)


def _first(error: ValidationError) -> str:
    one = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in one["loc"])
    return f"{where}: {one['msg']}" if where else one["msg"]


class TryIn(Body):
    id_token: Uid
    station_id: Line = "TRY"
    evse_id: Annotated[int | None, Field(ge=0, le=9999)] = None


class TriedOut(BaseModel):
    answered: bool
    status: AuthorizeStatus = Field(description="the partner's; its fallback's if none came")
    why: str
    milliseconds: int
    sent: dict[str, Any]


@router.post(
    "/{partner_id}/try",
    summary="Call the partner's endpoint and see what it answers",
    dependencies=[scoped("partners:write")],
)
async def try_endpoint(partner_id: UUID, body: TryIn, caller: Caller, request: Request) -> TriedOut:
    """Sent with trial true. Nothing is kept; failures do not count."""
    # Read in a transaction of its own: none is held while the partner thinks.
    async with request.app.state.connections.acting(caller) as db:
        row = await single.get(db, Partner, partner_id)
    if row.mode != "real_time":
        raise NotAskedInRealTime("change its mode first")
    endpoint = Endpoint.model_validate(row)
    sealed.opened(request, endpoint.secret)
    asked = Asked(
        id=uuid7(), partner_id=row.id, operator_id=row.operator_id, location_id=None, trial=True,
        at=now(), **body.model_dump(),
    )  # fmt: skip
    real_time: RealTime = request.app.state.real_time
    begun = time.monotonic()
    try:
        found = _verdict(endpoint, await real_time.ask(endpoint, asked))
    except _Unanswered as failed:
        found = _by_fallback(endpoint, str(failed), pushed=False)
    return TriedOut(
        answered=found.answered,
        status=found.status,
        why=found.why,
        milliseconds=round((time.monotonic() - begun) * 1000),
        sent=asked.model_dump(mode="json"),
    )
