"""Everything about a person as one archive: identity's own part, and what other services answer."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_jsonable_python
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox, privacy
from common.clock import now
from common.events import (
    ErasureReported,
    PersonalDataCollected,
    PersonalDataRequested,
    PersonsCard,
)
from identity.tables import Card, PrivacyPart, PrivacyRequest

SERVICE: Final = "identity"
# Who answers a request: the services that keep sessions of people.
ANSWERING: Final = frozenset({"csms-gateway", "billing"})

# What identity keeps of a person, a file each; hashes of passwords and tokens are not told.
FILES: Final[Mapping[str, str]] = {
    "user": """
        select id, name, email, external_id, active, version
        from users where operator_id = :operator and id = :user""",
    "cards": """
        select id, uid, kind, label, active, blocked_reason, valid_from, valid_until, group_id,
            company_id, cost_centre_id, monthly_cap
        from card where operator_id = :operator and user_id = :user order by id""",
    "logins": """
        select id, email, role, active, language, last_sign_in_at
        from login where operator_id = :operator and user_id = :user""",
    "sign_ins": """
        select s.how, s.made_at, s.last_used_at, s.ip, s.user_agent, s.revoked_at, s.revoked_why
        from sign_in s join login l on l.id = s.login_id
        where l.operator_id = :operator and l.user_id = :user order by s.made_at""",
    "mails": """
        select m.recipient, m.subject, m.text, m.made_at, m.sent_at from mail m
        where m.operator_id = :operator and m.recipient in (
            select email from users where operator_id = :operator and id = :user
            union select email from login where operator_id = :operator and user_id = :user
            union select e.email from email_change e join login l on l.id = e.login_id
            where l.operator_id = :operator and l.user_id = :user
        ) order by m.made_at""",
    "registrations": """
        select email, name, language, ip, made_at, used_at as confirmed_at from registration
        where operator_id = :operator and (user_id = :user or email in (
            select email from login where operator_id = :operator and user_id = :user
        )) order by made_at""",
    "email_changes": """
        select e.email, e.made_at, e.used_at as confirmed_at
        from email_change e join login l on l.id = e.login_id
        where l.operator_id = :operator and l.user_id = :user""",
    "imports": """
        select line, outcome, content from people_import_row
        where operator_id = :operator and user_id = :user order by id""",
    "user_groups": """
        select g.id, g.name from user_group g join user_group_member m on m.group_id = g.id
        where m.operator_id = :operator and m.user_id = :user order by g.id""",
}


async def cards_of(db: AsyncSession, operator_id: UUID, user_id: UUID) -> tuple[PersonsCard, ...]:
    mine = select(Card.id, Card.uid).where(Card.operator_id == operator_id, Card.user_id == user_id)
    found = (await db.execute(mine.order_by(Card.id))).all()
    return tuple(PersonsCard(card_id=card_id, uid=uid) for card_id, uid in found)


async def begin_export(db: AsyncSession, request: PrivacyRequest) -> None:
    values = {"operator": request.operator_id, "user": request.user_id}
    files = await privacy.read_files(db, FILES, values)
    for number, (name, rows) in enumerate(files.items()):
        part = PrivacyPart(
            request_id=request.id,
            operator_id=request.operator_id,
            service=SERVICE,
            part=number,
            parts=len(files),
            file=name,
            rows=to_jsonable_python([dict(row) for row in rows]),
        )
        db.add(part)
    event = PersonalDataRequested(
        operator_id=request.operator_id,
        request_id=request.id,
        user_id=request.user_id,
        cards=await cards_of(db, request.operator_id, request.user_id),
    )
    await outbox.emit(db, event)


async def keep_part(db: AsyncSession, event: PersonalDataCollected) -> None:
    await _keep(
        db, event, part=event.part, parts=event.parts, file=event.file, rows=list(event.rows)
    )


async def keep_report(db: AsyncSession, event: ErasureReported) -> None:
    await _keep(db, event, part=0, parts=1, file="erased", rows=[dict(event.changed)])


async def _keep(
    db: AsyncSession, event: PersonalDataCollected | ErasureReported, **values: Any
) -> None:
    wanted = select(PrivacyRequest).where(
        PrivacyRequest.id == event.request_id, PrivacyRequest.operator_id == event.operator_id
    )
    # Locked, so that of two last parts the second sees the first.
    request = await db.scalar(wanted.with_for_update())
    if request is None or request.state != "under_way":
        return
    row = insert(PrivacyPart).values(
        request_id=request.id, operator_id=request.operator_id, service=event.service, **values
    )
    await db.execute(row.on_conflict_do_nothing())
    if await _complete(db, request):
        done = update(PrivacyRequest).where(PrivacyRequest.id == request.id)
        await db.execute(done.values(state="done", done_at=now()))


async def _complete(db: AsyncSession, request: PrivacyRequest) -> bool:
    counted = select(PrivacyPart.service, func.count(), func.max(PrivacyPart.parts)).where(
        PrivacyPart.request_id == request.id
    )
    found = (await db.execute(counted.group_by(PrivacyPart.service))).all()
    whole = {service for service, count, parts in found if count == parts}
    return whole >= ANSWERING


ABOUT: Final = """\
Everything this operator's charging system keeps of you, as JSON, a folder a service.

identity      who you are here, your cards
csms-gateway  your sessions as the stations reported them, and their messages that carry your card
billing       your sessions and the priced records, which the law has the operator keep

Moments are in UTC, energy in Wh, amounts are decimals with a point.
"""


def archive(parts: Sequence[PrivacyPart]) -> bytes:
    """A ZIP file. Pure, and slow for large ones: call it beside the event loop."""
    files: dict[str, list[Any]] = {}
    for part in sorted(parts, key=lambda one: (one.service, one.part)):
        files.setdefault(f"{part.service}/{part.file}.json", []).extend(part.rows)
    whole = BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("README.txt", ABOUT)
        for name, rows in files.items():
            made.writestr(name, json.dumps(rows, ensure_ascii=False, indent=1))
    return whole.getvalue()
