"""A plan kept in the database until it is carried out."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import ARRAY, Integer, Text, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.ids import uuid7
from identity.people.import_state import Change, Outcome
from identity.tables import PeopleImport

BATCH: Final = 1000  # rows a statement; other requests go on between two

Stored = tuple[UUID, int | None, str, UUID | None, str]


KEEP: Final = text(
    "insert into people_import_row (id, import_id, operator_id, line, outcome, user_id, content) "
    "select r.id, :import_id, :operator, r.line, r.outcome, r.user_id, cast(r.content as jsonb) "
    "from unnest(:ids, :lines, :outcomes, :users, :contents) "
    "as r(id, line, outcome, user_id, content)"
).bindparams(
    bindparam("ids", type_=ARRAY(Uuid)),
    bindparam("lines", type_=ARRAY(Integer)),
    bindparam("outcomes", type_=ARRAY(Text)),
    bindparam("users", type_=ARRAY(Uuid)),
    bindparam("contents", type_=ARRAY(Text)),
)


def stored(outcomes: Sequence[Outcome]) -> list[Stored]:
    """What keep takes, of what is to be seen or done; in the order of the outcomes."""
    return [
        (uuid7(), one.line, one.result, one.user_id, _content(one))
        for one in outcomes
        if one.result != "unchanged"
    ]


def _content(outcome: Outcome) -> str:
    faults = [{"column": f.column, "value": f.value, "why": f.why} for f in outcome.faults]
    content = {
        "external_id": outcome.external_id,
        "uid": outcome.uid,
        "user": outcome.user and _change(outcome.user),
        "card": outcome.card and _change(outcome.card),
        "faults": faults,
    }
    return orjson.dumps(content, default=str).decode()


def _change(change: Change) -> dict[str, Any]:
    fields = {
        name: {"before": before, "after": after} for name, (before, after) in change.fields.items()
    }
    return {
        "action": change.action,
        "id": change.id,
        "version": change.version,
        "row": change.row,
        "groups": change.groups,
        "fields": fields,
    }


async def keep(db: AsyncSession, made: PeopleImport, rows: Sequence[Stored]) -> None:
    db.add(made)
    await db.flush()
    for batch in _batches(rows):
        ids, lines, outcomes, users, contents = [
            list(column) for column in zip(*batch, strict=True)
        ]
        await db.execute(
            KEEP,
            {
                "import_id": made.id, "operator": made.operator_id, "ids": ids, "lines": lines,
                "outcomes": outcomes, "users": users, "contents": contents,
            },
        )  # fmt: skip


def _batches(rows: Sequence[Stored]) -> Iterator[list[Stored]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch
