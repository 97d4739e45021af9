"""Every router of payments."""

from typing import Final

from billing.payments import (
    bank_entries,
    bank_statements,
    bonuses,
    chargebacks,
    notices,
    own_topups,
    providers,
    refunds,
    topups,
    transfers,
)

ROUTERS: Final = (
    providers.router,
    topups.router,
    own_topups.router,
    refunds.router,
    chargebacks.router,
    notices.router,
    bonuses.router,
    transfers.router,
    bank_statements.router,
    bank_entries.router,
)
