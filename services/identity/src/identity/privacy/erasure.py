"""Forgetting a person: what names them goes, at once here, by PersonErased elsewhere.

The user and the cards stay as rows without a name, for records and their sums refer to them. A card
gives its uid back, so that it may be somebody else's tomorrow.
"""

from typing import Final
from uuid import UUID

from sqlalchemy import Text, cast, func, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox, privacy
from common.clock import now
from common.events import PersonErased
from identity.audit import chain
from identity.privacy.gathering import cards_of
from identity.tables import Card, Login, PrivacyRequest, User

NAME: Final = "erased"
REASON: Final = "erased"

# What else here is of a person; each statement names the operator and the user.
FORGET: Final[tuple[str, ...]] = (
    "delete from user_group_member where operator_id = :operator and user_id = :user",
    "delete from people_import_row where operator_id = :operator and user_id = :user",
    """
    delete from mail where operator_id = :operator and recipient in (
        select email from users where operator_id = :operator and id = :user
        union select email from login where operator_id = :operator and user_id = :user
        union select e.email from email_change e join login l on l.id = e.login_id
        where l.operator_id = :operator and l.user_id = :user
    )""",
    """
    delete from registration where operator_id = :operator and (user_id = :user or email in (
        select email from login where operator_id = :operator and user_id = :user
    ))""",
    # With their sign-ins and links that are on their way, by cascade.
    "delete from login where operator_id = :operator and user_id = :user",
)


async def is_erased(db: AsyncSession, request: PrivacyRequest) -> bool:
    """Locks the user, so that of two erasures one finds the other done."""
    mine = select(User.erased_at).where(
        User.operator_id == request.operator_id, User.id == request.user_id
    )
    return await db.scalar(mine.with_for_update()) is not None


# What of a login is in the audit log, by its table, with the key of its rows.
OF_LOGIN: Final[tuple[tuple[str, str], ...]] = (
    ("login", "select id from login l where l.id = any(:logins)"),
    ("sign_in", "select id from sign_in where login_id = any(:logins)"),
    ("passkey", "select id from passkey where login_id = any(:logins)"),
)
Noted = list[tuple[str, UUID]]  # a table and the id of a row


async def forget_changes(
    db: AsyncSession, operator_id: UUID, user_id: UUID, gone: Noted | None = None
) -> None:
    """What the audit log kept of the person's rows from before; that they changed stays.

    gone: rows that are deleted, which nothing else tells of.
    """
    of_them = (Card.operator_id == operator_id, Card.user_id == user_id)
    their_cards = (await db.scalars(select(Card.id).where(*of_them))).all()
    keys = [("users", user_id), *(("card", card_id) for card_id in their_cards), *(gone or ())]
    for table, row_id in keys:
        await chain.forget(db, operator_id, table, {"id": str(row_id)})
    # Those that are not told yet, the erasure's own among them.
    untold = text(
        "update change_note set before = null, after = null where row_key->>'id' = any(:ids)"
    )
    await db.execute(untold, {"ids": [str(row_id) for _, row_id in keys]})


async def _of_logins(db: AsyncSession, request: PrivacyRequest) -> Noted:
    """Asked before they are deleted."""
    mine = select(Login.id).where(
        Login.operator_id == request.operator_id, Login.user_id == request.user_id
    )
    of_them = {"logins": list(await db.scalars(mine))}
    found: Noted = []
    for table, question in OF_LOGIN:
        found += [(table, row_id) for row_id in await db.scalars(text(question), of_them)]
    return found


async def erase(db: AsyncSession, request: PrivacyRequest) -> tuple[User, list[Card]]:
    """The user and the cards as they are now; the caller tells of them."""
    # In one order, so that two erasures never wait for each other crosswise.
    mine = (Card.operator_id == request.operator_id, Card.user_id == request.user_id)
    await db.execute(select(Card.id).where(*mine).order_by(Card.id).with_for_update())
    cards = await cards_of(db, request.operator_id, request.user_id)
    of_logins = await _of_logins(db, request)
    for statement in FORGET:
        values = {"operator": request.operator_id, "user": request.user_id}
        await db.execute(text(statement), values)
    ending = func.upper(func.right(cast(Card.id, Text), 12))
    nameless = update(Card).where(*mine)
    changed = await db.scalars(
        nameless.values(
            uid=literal(privacy.ERASED).concat(ending),
            label="",
            active=False,
            blocked_reason=REASON,
            own_block=False,
            group_id=None,
            master_pass=False,
            version=Card.version + 1,
        ).returning(Card)
    )
    gone = update(User).where(User.operator_id == request.operator_id, User.id == request.user_id)
    user = await db.scalar(
        gone.values(
            name=NAME,
            email=None,
            external_id=None,
            active=False,
            erased_at=now(),
            version=User.version + 1,
        ).returning(User)
    )
    assert user is not None
    await forget_changes(db, request.operator_id, request.user_id, of_logins)
    event = PersonErased(
        operator_id=request.operator_id,
        request_id=request.id,
        user_id=request.user_id,
        cards=cards,
    )
    await outbox.emit(db, event)
    return user, list(changed)
