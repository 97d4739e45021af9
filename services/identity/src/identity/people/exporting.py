"""Users and cards as files. That of the cards has the columns an import takes."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import Select, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from common import exports
from common.auth import Caller
from common.exports import Format, Separator
from identity.people import cards, users
from identity.tables import Card, Company, CostCentre, User, UserGroup, UserGroupMember

router = APIRouter(prefix="/v1")


@router.get(
    "/users/export",
    tags=["users"],
    summary="The users as a file",
    response_class=StreamingResponse,
    responses=exports.RESPONSES,
    dependencies=[users.reads],
)
async def export_users(
    request: Request,
    caller: Caller,
    chosen: users.Chosen,
    format: Format = "csv",  # noqa: A002 - as the parameter is called
    separator: Separator = ";",
) -> StreamingResponse:
    """The filters are those of the list. In a spreadsheet 1,048,575 rows at most."""
    query = select(
        User.id,
        User.external_id,
        User.name,
        User.email,
        User.active,
        _groups().label("groups"),
        select(func.count())
        .where(Card.operator_id == User.operator_id, Card.user_id == User.id)
        .scalar_subquery()
        .label("cards"),
    )
    query = query.where(*chosen).order_by(User.id)
    return await exports.answer(
        request, caller, query, name="users", format=format, separator=separator
    )


@router.get(
    "/cards/export",
    tags=["cards"],
    summary="The cards as a file",
    response_class=StreamingResponse,
    responses=exports.RESPONSES,
    dependencies=[cards.reads, users.reads],
)
async def export_cards(
    request: Request,
    caller: Caller,
    chosen: cards.Chosen,
    format: Format = "csv",  # noqa: A002 - as the parameter is called
    separator: Separator = ";",
) -> StreamingResponse:
    """The filters are those of the list. In a spreadsheet 1,048,575 rows at most."""
    query = _cards_with_users().where(*chosen).order_by(Card.id)
    return await exports.answer(
        request, caller, query, name="cards", format=format, separator=separator
    )


def _cards_with_users() -> Select[Any]:
    """A row a card; what is of its user, and of the company, where it has one."""
    query = select(
        User.external_id,
        User.name,
        User.email,
        User.active,
        _groups().label("groups"),
        Card.uid,
        Card.kind.label("card_kind"),
        Card.label,
        Card.valid_from,
        Card.valid_until,
        Company.external_id.label("company"),
        CostCentre.code.label("cost_centre"),
        Card.monthly_cap,
        Card.blocked_reason,
    )
    return (
        query.select_from(Card)
        .outerjoin(User, User.id == Card.user_id)
        .outerjoin(Company, Company.id == Card.company_id)
        .outerjoin(CostCentre, CostCentre.id == Card.cost_centre_id)
    )


def _groups() -> Any:
    between = aggregate_order_by(literal(exports.LIST), UserGroup.name)
    names = func.string_agg(UserGroup.name, between)
    return (
        select(names)
        .join(UserGroupMember, UserGroupMember.group_id == UserGroup.id)
        .where(UserGroupMember.user_id == User.id, UserGroupMember.operator_id == User.operator_id)
        .scalar_subquery()
    )
