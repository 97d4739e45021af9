"""A tariff that is not valid yet is taken back: a mistake in it need never be charged."""

from typing import Final
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables, tariffs
from common.auth import scoped
from common.clock import now
from common.database import Db
from common.problems import NotFound, Problem

router = APIRouter(prefix="/v1/tariffs", tags=["tariffs"])

VERSIONS: Final = "select id from tariff where series_id = :series"
NAMES_IT: Final = text(
    f"""
    select 'the agreement ' || name from agreement where tariff_id in ({VERSIONS})
    union all
    select 'the strategy ' || name from accounting_strategy
    where exists (
        select from jsonb_array_elements(tariffs) one
        where cast(one ->> 'tariff_id' as uuid) in ({VERSIONS})
    )
    limit 1
    """  # noqa: S608 - constants of ours
)


class TariffIsValid(Problem):
    status = 409
    title = "The tariff is valid already"


class TariffNeeded(Problem):
    status = 409
    title = "A strategy or an agreement has its price from this tariff"


@router.delete(
    "/{tariff_id}",
    status_code=204,
    summary="Withdraw a tariff that is not valid yet",
    dependencies=[scoped("tariffs:write")],
)
async def withdraw_tariff(tariff_id: UUID, db: Db) -> None:
    """The version before it goes on. It stays readable, and a session that a station with a fast
    clock began in its time keeps it. Withdrawn again it stays as it is.
    """
    tariff = await db.get(tables.Tariff, tariff_id)
    if tariff is None:
        raise NotFound("there is no such tariff")
    await tariffs.lock(db, tariff.operator_id)
    withdrawn = await db.scalar(
        update(tables.Tariff)
        .where(tables.Tariff.id == tariff_id, tables.Tariff.withdrawn_at.is_(None))
        .where(tables.Tariff.valid_from > now())
        .values(withdrawn_at=now())
        .returning(tables.Tariff)
        .execution_options(populate_existing=True)
    )
    if withdrawn is None:
        await db.refresh(tariff)
        if tariff.withdrawn_at is None:
            raise TariffIsValid("set another one: it ends this one")
        return
    # After the update: who has locked the version to name it has done so by now.
    operator_id, begins = withdrawn.operator_id, withdrawn.valid_from
    if await tariffs.find_of_series(db, operator_id, tariff_id, begins) is None:
        await _check_needed(db, withdrawn)
    await tariffs.tell(db, withdrawn)


async def _check_needed(db: AsyncSession, tariff: tables.Tariff) -> None:
    """Of the first of its series: without it whoever names the series has no price from its
    moment on. Raises TariffNeeded.
    """
    if (name := await db.scalar(NAMES_IT, {"series": tariff.series_id})) is not None:
        raise TariffNeeded(f"{name} names it: change that first, or set a version before this one")
