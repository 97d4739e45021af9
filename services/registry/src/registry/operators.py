"""What registry needs of an operator: its name, time zone and language, for those it tells."""

from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.events import OperatorChanged

# Until identity has told the operator's.
DEFAULT_TIME_ZONE: Final = "Europe/Berlin"
DEFAULT_LANGUAGE: Final = "en"

KEEP: Final = text(
    "insert into operator as was (operator_id, version, name, time_zone, language) "
    "values (:operator_id, :version, :name, :time_zone, :language) "
    "on conflict (operator_id) do update set version = excluded.version, name = excluded.name, "
    "time_zone = excluded.time_zone, language = excluded.language "
    "where was.version < excluded.version"
)


async def keep_operator(db: AsyncSession, event: OperatorChanged) -> None:
    """Raises ZoneInfoNotFoundError: better the zone before than one that nothing can use."""
    ZoneInfo(event.time_zone)
    told = event.model_dump(include={"operator_id", "version", "name", "time_zone"})
    language = event.languages[0] if event.languages else DEFAULT_LANGUAGE
    await db.execute(KEEP, told | {"language": language})
