"""The authorize decision: asked by the gateway over NATS, and by staff over REST.

A driver waits for it, so it is one statement on a connection of its own kind: what the card is,
whose, where the station stands, what was spent. The rules are compiled once; the statement tells
their revision, so compiled ones are never stale. Only a partner that wants to be asked itself costs
more.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import orjson
from fastapi import APIRouter, Request
from prometheus_client import Histogram
from pydantic import BaseModel, ConfigDict, Field

from common.auth import Caller, scoped
from common.authorize import AuthorizeAnswer, AuthorizeQuestion, AuthorizeStatus, Holder
from common.clock import Moment, now
from common.database import OPERATOR_SETTING, PLATFORM, server_settings
from common.fields import Body, Line
from common.places import names_of
from identity.access import strategy_prices
from identity.access.access_rules import compiled
from identity.access.decision import Decision, Facts, Step, decide
from identity.access.rules import Judgement, Names, RuleBook, judge
from identity.partners.real_time import RealTime, may_be_card
from identity.uids import emaid_forms, normal_uid

router = APIRouter(prefix="/v1/authorizations", tags=["authorizations"])

TOOK = Histogram(
    "csms_authorize_seconds", "Authorize decisions, from the question to the answer",
    buckets=(0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.025, 0.1, 0.5, 2),
)  # fmt: skip
POOL_SIZE: Final = 6
NO_RULES: Final = RuleBook()
COMPILED_MAX: Final = 500  # operators whose rules are kept
# The operator is named in the statement itself: the connections are for all of them.
FACTS: Final = """
select
    o.active as operator_active, o.time_zone, c.id as card_id, c.active, c.blocked_reason,
    c.valid_from, c.valid_until, c.user_id, u.active as user_active, c.group_id, c.master_pass,
    c.company_id, c.company_master, c.cost_centre_id, c.partner_id, c.accounting_strategy_id,
    c.monthly_cap, co.active as company_active, p.active as partner_active,
    p.mode as partner_mode, c.pushed_at is not null as pushed,
    exists (
        select from tariff t where t.operator_id = $1 and t.valid_from <= $4
    ) as has_tariff,
    array(
        select m.group_id from user_group_member m
        where m.operator_id = $1 and m.user_id = c.user_id order by 1
    ) as user_group_ids,
    (select s.location_id from station s where s.station_id = $5 and s.operator_id = $1)
        as location_id,
    array(
        select m.group_id from station_group_member m
        where m.station_id = $5 and m.operator_id = $1 and m.member
    ) as station_group_ids,
    coalesce((
        select m.spent from card_month m where m.card_id = c.id
            and m.month = date_trunc('month', $4 at time zone o.time_zone)::date
    ), 0) as spent,
    (
        -- Of who pays; one that has accounts in several currencies may if one of them may.
        select case when not bool_or(s.may_charge) then min(s.reason) end
        from account_standing s where s.operator_id = $1 and (s.owner_kind, s.owner_id) = (
            case when c.company_id is not null then 'company'
                when c.accounting_strategy_id is not null then 'card' else 'user' end,
            case when c.company_id is not null then c.company_id
                when c.accounting_strategy_id is not null then c.id else c.user_id end)
    ) as unpaid,
    (select r.revision from access_revision r where r.operator_id = $1) as revision
from {cards} c
join operator o on o.id = c.operator_id
left join users u on u.operator_id = c.operator_id and u.id = c.user_id
left join company co on co.id = c.company_id
left join partner p on p.id = c.partner_id
where c.operator_id = $1 and c.uid = any($2) and (c.uid = $3 or c.kind = 'emaid')
order by (c.uid = $3) desc, c.id -- of a contract with several cards the one that is written alike
limit 1
"""
FIND: Final = FACTS.format(cards="card")
# Of an unknown token: the card it would be, if a partner that wants to be asked says so.
PROSPECT: Final = FACTS.format(
    cards="""(
    select n.*
    from partner asked
    cross join lateral unnest(asked.prefixes) prefix
    cross join lateral jsonb_populate_record(null::card, jsonb_build_object(
        'operator_id', asked.operator_id, 'uid', $3::text, 'kind', 'rfid', 'active', true,
        'master_pass', false, 'company_master', false, 'partner_id', asked.id
    )) n
    where asked.operator_id = $1 and asked.active and asked.mode = 'real_time'
        and starts_with($3, prefix)
    order by length(prefix) desc, asked.id
    limit 1
)"""
)
# An agreement with a partner confines it to where and when it was agreed on.
RULES: Final = """
(select name, effect, holders, places, windows, valid_from, valid_until
from access_rule where operator_id = $1 and active order by name)
union all
(select name, 'confine', jsonb_build_array(jsonb_build_object('kind', 'partner', 'id', partner_id)),
    places, '[]', valid_from, valid_until
from agreement where operator_id = $1 order by name)
"""
# To plan the statement costs four times as much as to run it, and each row in it is found by its
# key, however few there were when it was planned.
PLANNING: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",  # what a scan that is off costs would have it compiled
}
OF_CARD: Final = frozenset(field.name for field in fields(Facts)) - {"judgement"}


@dataclass(frozen=True)
class Answered:
    answer: AuthorizeAnswer
    decision: Decision


class Decider:
    """What decides; one a process."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", real_time: RealTime) -> None:
        self._pool = pool
        self._real_time = real_time
        self._compiled: OrderedDict[UUID, tuple[int, RuleBook]] = OrderedDict()

    async def answer(self, body: bytes) -> AuthorizeAnswer:
        """Answers requests on common.authorize.SUBJECT."""
        with TOOK.time():
            question = AuthorizeQuestion.model_validate_json(body)
            return (await self.decide(question, now())).answer

    async def decide(
        self, question: AuthorizeQuestion, at: datetime, *, trial: bool = False
    ) -> Answered:
        """trial: nobody is going to charge, so nothing is kept."""
        uid = normal_uid(question.id_token)
        if uid is None:
            return _unknown(at)
        row = await self._find(FIND, question, uid, at)
        if row is None:
            return await self._unheard_of(question, uid, at, trial)
        found = await self._of_card(question, row, at)
        if row["partner_mode"] != "real_time" or found.decision.status != "Accepted":
            return found
        return await self._asked(question, row, found, trial)

    async def _unheard_of(
        self, question: AuthorizeQuestion, uid: str, at: datetime, trial: bool
    ) -> Answered:
        row = await self._find(PROSPECT, question, uid, at) if may_be_card(uid) else None
        if row is None:
            return _unknown(at)
        found = await self._of_card(question, row, at)
        if found.decision.status != "Accepted":
            return found
        found = await self._asked(question, row, found, trial)
        if found.decision.status != "Accepted" or trial:
            return found
        await self._real_time.remember(question.operator_id, row["partner_id"], uid)
        kept = await self._find(FIND, question, uid, at)
        if kept is None or kept["partner_id"] != row["partner_id"]:
            return _unknown(at)  # somebody made it another's card meanwhile
        answer = found.answer.model_copy(update={"card_id": kept["card_id"]})
        return Answered(answer, found.decision)

    async def _find(
        self, statement: str, question: AuthorizeQuestion, uid: str, at: datetime
    ) -> asyncpg.Record | None:
        forms = [uid, *emaid_forms(uid)]
        return await self._pool.fetchrow(
            statement, question.operator_id, forms, uid, at, question.station_id
        )

    async def _of_card(
        self, question: AuthorizeQuestion, row: asyncpg.Record, at: datetime
    ) -> Answered:
        judgement = await self._judged(question, row, at)
        found = {name: row[name] for name in OF_CARD}
        if not row["has_tariff"]:
            here = _place(question, row)
            found["has_tariff"] = await strategy_prices.has_price(
                self._pool, question.operator_id, row, here, at
            )
        facts = Facts(**found, judgement=judgement)
        decided = decide(facts, at)
        answer = AuthorizeAnswer(
            status=decided.status,
            why=decided.why,
            card_id=facts.card_id,
            user_id=facts.user_id,
            holder=Holder(**{name: row[name] for name in Holder.model_fields}),
            expires_at=facts.valid_until,
            parent_id_token=facts.group_id,
            master_pass=facts.master_pass,
        )
        return Answered(answer, decided)

    async def _asked(
        self, question: AuthorizeQuestion, row: asyncpg.Record, found: Answered, trial: bool
    ) -> Answered:
        """What its partner says of a card that nothing else is against."""
        said = await self._real_time.verdict(
            self._pool,
            row["partner_id"],
            question,
            row["location_id"],
            pushed=row["pushed"],
            trial=trial,
        )
        if said is None:
            return found
        decided = found.decision.then(Step("partner's endpoint", said.status, said.why))
        ends = [end for end in (found.answer.expires_at, said.valid_until) if end is not None]
        changes = {
            "status": decided.status,
            "why": decided.why,
            "expires_at": min(ends, default=None),
        }
        return Answered(found.answer.model_copy(update=changes), decided)

    async def _judged(
        self, question: AuthorizeQuestion, row: asyncpg.Record, at: datetime
    ) -> Judgement:
        rules = await self._rules(question.operator_id, row["revision"])
        local = at.astimezone(ZoneInfo(row["time_zone"]))
        return judge(rules, _holder(row), _place(question, row), local)

    async def _rules(self, operator_id: UUID, revision: int | None) -> RuleBook:
        if revision is None:
            return NO_RULES
        kept = self._compiled.get(operator_id)
        if kept is None or kept[0] < revision:
            # Newer ones than the revision says do no harm: the next card asks again.
            found = await self._pool.fetch(RULES, operator_id)
            kept = revision, RuleBook([compiled(one) for one in found])
            self._compiled[operator_id] = kept
            if len(self._compiled) > COMPILED_MAX:
                self._compiled.popitem(last=False)
        return kept[1]


def _unknown(at: datetime) -> Answered:
    decided = decide(None, at)
    return Answered(AuthorizeAnswer(status=decided.status, why=decided.why), decided)


def _place(question: AuthorizeQuestion, row: asyncpg.Record) -> Names:
    """Under what names a rule or a strategy may mean the station."""
    return names_of(question.station_id, row["location_id"], row["station_group_ids"])


def _holder(row: asyncpg.Record) -> Names:
    """Under what names a rule may mean the card."""
    one = {
        "card": row["card_id"],
        "user": row["user_id"],
        "company": row["company_id"],
        "partner": row["partner_id"],
    }
    names = {(kind, str(name)) for kind, name in one.items() if name is not None}
    groups = {("user_group", str(group)) for group in row["user_group_ids"]}
    return frozenset(names | groups | {("everybody", "")})


async def _keep(_: object) -> None:
    return


async def _prepare(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encoded, decoder=orjson.loads
    )


def _encoded(value: object) -> str:
    return orjson.dumps(value).decode()


@asynccontextmanager
async def deciding(database_url: str, real_time: RealTime) -> AsyncIterator[Decider]:
    settings = server_settings("identity") | {OPERATOR_SETTING: PLATFORM} | PLANNING
    pool = await asyncpg.create_pool(
        database_url.replace("+asyncpg", ""),
        min_size=1,
        max_size=POOL_SIZE,
        command_timeout=5,
        server_settings=settings,
        init=_prepare,
        # Nothing here changes a connection's state; the reset is another round trip.
        reset=_keep,
    )
    try:
        yield Decider(pool, real_time)
    finally:
        await pool.close()


class AuthorizationIn(Body):
    station_id: Line
    evse_id: int | None = Field(default=None, ge=0, le=9999)
    id_token: Line
    at: Moment | None = Field(default=None, description="another moment than now")


class StepOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    check: str
    status: AuthorizeStatus
    detail: str


class TriedOut(AuthorizeAnswer):
    steps: list[StepOut] = Field(description="everything that was looked at, in its order")


@router.post(
    "",
    summary="Try a card: may it charge there and then, and if not, why not",
    dependencies=[scoped("authorizations:read")],
)
async def try_card(body: AuthorizationIn, request: Request, caller: Caller) -> TriedOut:
    decider: Decider = request.app.state.decider
    question = AuthorizeQuestion(operator_id=caller.tenant(), **body.model_dump(exclude={"at"}))
    found = await decider.decide(question, body.at or now(), trial=True)
    steps = [StepOut.model_validate(step) for step in found.decision.steps]
    return TriedOut(**found.answer.model_dump(), steps=steps)
