"""The authorize decision: asked by the gateway over NATS, and by staff over REST."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Caller, scoped
from common.authorize import AuthorizeAnswer, AuthorizeQuestion
from common.clock import now
from common.database import Connections, Db
from identity.access.decision import Facts, decide, emaid_forms, normal_uid
from identity.fields import Body, Line
from identity.tables import Card, Tariff, User

router = APIRouter(prefix="/v1/authorizations", tags=["authorizations"])


class AuthorizationIn(Body):
    station_id: Line
    evse_id: int | None = Field(default=None, ge=0, le=9999)
    id_token: Line


async def decision(db: AsyncSession, question: AuthorizeQuestion) -> AuthorizeAnswer:
    """One query: a driver waits for it."""
    at = now()
    facts = None
    if (uid := normal_uid(question.id_token)) is not None:
        priced = exists().where(Tariff.operator_id == question.operator_id, Tariff.valid_from <= at)
        holder = and_(User.operator_id == Card.operator_id, User.id == Card.user_id)
        query = (
            select(
                Card.id.label("card_id"),
                Card.active,
                Card.blocked_reason,
                Card.valid_from,
                Card.valid_until,
                Card.user_id,
                User.active.label("user_active"),
                priced.label("has_tariff"),
                Card.group_id,
                Card.master_pass,
            )
            .outerjoin(User, holder)
            .where(
                Card.operator_id == question.operator_id,
                Card.uid.in_([uid, *emaid_forms(uid)]),
                or_(Card.uid == uid, Card.kind == "emaid"),
            )
            # Of a contract with several cards the one that is written alike.
            .order_by((Card.uid == uid).desc(), Card.id)
            .limit(1)
        )
        row = (await db.execute(query)).one_or_none()
        facts = Facts(**row._asdict()) if row else None
    decided = decide(facts, at)
    return AuthorizeAnswer(
        status=decided.status,
        why=decided.why,
        card_id=facts.card_id if facts else None,
        user_id=facts.user_id if facts else None,
        expires_at=facts.valid_until if facts else None,
        parent_id_token=facts.group_id if facts else None,
        master_pass=facts.master_pass if facts else False,
    )


def answering(connections: Connections) -> Callable[[bytes], Awaitable[AuthorizeAnswer]]:
    """What answers requests on common.authorize.SUBJECT."""

    async def answer(body: bytes) -> AuthorizeAnswer:
        question = AuthorizeQuestion.model_validate_json(body)
        async with connections.begin(question.operator_id) as db:
            return await decision(db, question)

    return answer


@router.post(
    "",
    summary="Try a card: may it charge now, and if not, why not",
    dependencies=[scoped("authorizations:read")],
)
async def try_card(body: AuthorizationIn, db: Db, caller: Caller) -> AuthorizeAnswer:
    operator_id: UUID = caller.tenant()
    return await decision(db, AuthorizeQuestion(operator_id=operator_id, **body.model_dump()))
