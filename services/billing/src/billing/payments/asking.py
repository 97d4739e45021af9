"""The payment provider is asked: to begin a payment, what became of it, and for refunds.

One way for all of it, so that what a crash has interrupted is gone on with by the next question.
A notice of the provider, a request of staff and the clock only make us ask sooner. No transaction
is open while the provider is asked.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.payments import answers
from billing.payments.provider import (
    NewPayment,
    NewRefund,
    Payment,
    Provider,
    ProviderFailed,
    ProviderRefused,
)
from billing.payments.providers import Providers
from billing.payments.schedule import APART, next_ask
from billing.settings import Settings
from common.clock import now
from common.database import PLATFORM, Connections
from common.outbound import Outbound
from common.service import Parts
from common.tasks import Tasks

POLL_S: Final = 0.5
AT_ONCE: Final = 10
TAKEN: Final = timedelta(minutes=1)  # longer than all the calls of one question take
# Providers know a payment that is made again for an hour (Mollie); then it would be a second one.
BEGUN_WITHIN: Final = timedelta(minutes=50)

ASKED = Counter("csms_payment_questions_total", "Questions to payment providers", ["outcome"])

# A claim; a notice that comes meanwhile sets an earlier time, which stays.
TAKE: Final = text(
    """
    update topup set next_ask_at = :until, asked_at = :at where id = any(array(
        select id from topup where next_ask_at <= :at
        order by next_ask_at limit :most for update skip locked
    ))
    returning id, operator_id
    """
)
SOONER: Final = text(
    """
    update topup set next_ask_at = least(
        next_ask_at, greatest(cast(:at as timestamptz), asked_at + cast(:apart as interval))
    )
    where id = :id and way = 'provider'
    """
)


async def ask_sooner(db: AsyncSession, topup_id: UUID) -> None:
    """As soon as may be: a question of the same payment has a second's distance to the next."""
    await db.execute(SOONER, {"id": topup_id, "at": now(), "apart": APART})


class Asker:
    def __init__(
        self,
        connections: Connections,
        providers: Providers,
        notices_url: str | None,
    ) -> None:
        self.providers = providers
        self._connections = connections
        self._notices_url = notices_url

    async def ask(self, operator_id: UUID, topup_id: UUID) -> None:
        """Raises ProviderFailed, which is kept at the top-up as well."""
        async with self._connections.begin(operator_id) as db:
            row = await db.get_one(tables.Topup, topup_id)
        taken = row.next_ask_at
        try:
            await self._ask(row)
        except ProviderFailed as error:
            ASKED.labels("failed").inc()
            async with self._connections.begin(operator_id) as db:
                row = await _locked(db, topup_id)
                row.problem = error.why[:300]
                if isinstance(error, ProviderRefused) and row.provider_payment_id is None:
                    row.state = "failed"
                await _schedule(db, row, taken)
            raise
        ASKED.labels("answered").inc()

    async def _ask(self, row: tables.Topup) -> None:
        taken = row.next_ask_at
        async with self._connections.begin(row.operator_id) as db:
            speaks = await self.providers.of(db, row.operator_id)
        told = await self._told(speaks, row)
        async with self._connections.begin(row.operator_id) as db:
            row = await _locked(db, row.id)
            if told is not None:
                await answers.apply(db, row, told)
            elif row.state == "open":
                row.state = "failed"
            refunds = await answers.refunds_of(db, row.id) if row.state == "paid" else ()
            waiting = [r for r in refunds if r.state == "asked" and r.provider_refund_id is None]
            await _schedule(db, row, taken)
        for refund in waiting:
            await self._refund(speaks, row, refund)

    async def _told(self, speaks: Provider, row: tables.Topup) -> Payment | None:
        """None: it was not begun and will not be."""
        if row.provider_payment_id is not None:
            return await speaks.look(row.provider_payment_id)
        if row.state != "open" or now() - row.made_at > BEGUN_WITHIN:
            return None
        notices = self._notices_url
        new = NewPayment(
            topup_id=row.id,
            amount=row.amount,
            currency=row.currency,
            description=row.reason or "",
            redirect_url=row.redirect_url or "",
            notice_url=f"{notices.rstrip('/')}/v1/payment-notices/{row.id}" if notices else None,
        )
        return await speaks.create(new)

    async def _refund(self, speaks: Provider, topup: tables.Topup, refund: tables.Refund) -> None:
        """The payment was looked at just now: the provider has no such refund yet."""
        assert topup.provider_payment_id is not None
        new = NewRefund(refund.id, refund.amount, refund.currency, refund.reason)
        why, told = None, None
        try:
            told = await speaks.refund(topup.provider_payment_id, new)
        except ProviderRefused as error:
            why = error.why[:300]
        async with self._connections.begin(topup.operator_id) as db:
            row = await _locked(db, topup.id)
            if told is not None:
                await answers.of_refund(db, row, told)
            elif (kept := await db.get_one(tables.Refund, refund.id)).state == "asked":
                await answers.fail(db, row, kept, why or "")

    @asynccontextmanager
    async def asking(self, tasks: Tasks) -> AsyncIterator[None]:
        """Asks what is to be asked as long as it is entered."""
        loop = tasks.forever(partial(self._forever, tasks), "payments")
        yield
        loop.cancel()

    async def _forever(self, tasks: Tasks) -> None:
        while True:
            if await self.ask_due(tasks) < AT_ONCE:
                await asyncio.sleep(POLL_S)

    async def ask_due(self, tasks: Tasks) -> int:
        """How many there were."""
        at = now()
        async with self._connections.begin(PLATFORM) as db:
            values = {"at": at, "until": at + TAKEN, "most": AT_ONCE}
            due = (await db.execute(TAKE, values)).all()
        asking = [tasks.spawn(self._one(row.operator_id, row.id)) for row in due]
        if asking:
            await asyncio.wait(asking)
        return len(due)

    async def _one(self, operator_id: UUID, topup_id: UUID) -> None:
        try:
            await self.ask(operator_id, topup_id)
        except ProviderFailed:
            return  # kept with the top-up


async def _schedule(db: AsyncSession, row: tables.Topup, taken: datetime | None) -> None:
    """taken: when it was to be asked next as this question began; another time now is of somebody
    who wants it sooner.
    """
    if row.next_ask_at == taken:
        refunds = await answers.refunds_of(db, row.id)
        refunding = any(one.state == "asked" for one in refunds)
        row.next_ask_at = next_ask(row.state, row.made_at, now(), refunding=refunding)


async def _locked(db: AsyncSession, topup_id: UUID) -> tables.Topup:
    query = select(tables.Topup).where(tables.Topup.id == topup_id).with_for_update()
    return (await db.scalars(query)).one()


@asynccontextmanager
async def running(parts: Parts, settings: Settings) -> AsyncIterator[Asker]:
    async with Outbound() as calls:
        sealer = settings.sealer("billing")
        allow = settings.allow_private_endpoints
        providers = Providers(calls, sealer, allow_private=allow)
        asker = Asker(parts.connections, providers, settings.payment_notices_url)
        async with asker.asking(parts.tasks):
            yield asker
