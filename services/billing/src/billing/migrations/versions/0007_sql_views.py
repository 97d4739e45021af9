"""views for readers of the database"""

from common.sql_views import Shown, readable, show

revision = "0007"
down_revision = "0006"

ID = (Shown("id", "never changes"), Shown("operator_id", "your operator"))
WHERE = (
    Shown("transaction_id", "OCPP's, as the charger knows it"),
    Shown("station_id", "stations.id"),
    Shown("evse_id", "evses.evse_id"),
    Shown("connector_id", "connectors.connector_id"),
    Shown("id_token", "what was held to the reader; a pseudonym once it is kept no longer"),
    Shown("card_id", "cards.id; null: not known"),
    Shown("user_id", "users.id; null: not known"),
    Shown("partner_id", "partners.id: who had issued the card when it began; null: no partner"),
    Shown("company_id", "companies.id: whose card it was when it began; null: no company's"),
    Shown("agreement_id", "whose price it has; null: the operator's own"),
    Shown("token_status", "what was decided about the token: Accepted, Blocked, Invalid, …"),
)
# An incident is a reason to look at a session before it is invoiced.
DOUBTED = "exists (select from incident i where i.operator_id = t.operator_id and i.session_id = "

SESSION = (
    *ID,
    Shown("state", "running or ended"),
    *WHERE,
    Shown("started_at", "by the charger's clock"),
    Shown("ended_at", "null: it runs"),
    Shown("meter_start_wh", "the register in Wh; null: not told"),
    Shown("meter_stop_wh", "the register in Wh; null: it runs, or not told"),
    Shown("energy_wh", "Wh; null: it runs (REST tells it so far), or waits for a correction"),
    Shown("stop_reason", "why it ended, as OCPP says"),
    Shown("tariff_id", "tariffs.id, locked at the start; null: none was valid"),
    Shown("record_id", "records.id; null: not closed", "r.id"),
    Shown(
        "review",
        "pending: somebody must look at it before it is invoiced; none",
        f"case when {DOUBTED} t.id) or t.state = 'ended' and t.energy_wh is null "
        "then 'pending' else 'none' end",
    ),
)
RECORD = (
    *ID,
    Shown("session_id", "sessions.id"),
    *WHERE,
    Shown("started_at", "by the charger's clock"),
    Shown("ended_at", "by the charger's clock"),
    Shown("time_zone", "IANA name; days and months of the price"),
    Shown("meter_start_wh", "the register in Wh; null: not told"),
    Shown("meter_stop_wh", "the register in Wh; null: not told"),
    Shown("energy_wh", "Wh"),
    Shown("stop_reason", "why it ended, as OCPP says"),
    Shown("tariff_id", "tariffs.id"),
    Shown("currency", "of every amount of the record, ISO 4217"),
    Shown("tax_included", "true: the tariff's prices are gross"),
    Shown("vat_percent", "19: 19 %"),
    Shown("lines", "how the price came about, as in the REST API; decimals as strings"),
    Shown("total_net", "amount; in the REST API with its currency"),
    Shown("vat", "amount; in the REST API with its currency"),
    Shown("total_gross", "amount; in the REST API with its currency"),
    Shown("closed_at", "when it was priced"),
    Shown(
        "review",
        "pending: somebody must look at it before it is invoiced; none",
        f"case when {DOUBTED} t.session_id) then 'pending' else 'none' end",
    ),
)
TARIFF = (
    *ID,
    Shown("name", "what people call it"),
    Shown("currency", "of its prices, ISO 4217"),
    Shown("tax_included", "true: the prices are gross"),
    Shown("vat_percent", "19: 19 %"),
    Shown("energy_price", "per kWh"),
    Shown("time_price", "per minute"),
    Shown("start_fee", "once a session"),
    Shown("valid_from", "until the next one's"),
    Shown("agreed_only", "true: of agreements with partners; not one of the row of the others"),
    Shown("created_at", "when it was set"),
)
VIEWS = (
    (
        "sessions",
        "session",
        "session t left join record r on r.operator_id = t.operator_id and r.session_id = t.id",
        "Cars charging, and those that did.",
        SESSION,
    ),
    ("records", "record", "record t", "Business records: sessions closed and priced.", RECORD),
    ("tariffs", "tariff", "tariff t", "What charging costs, one tariff after the other.", TARIFF),
)


def upgrade() -> None:
    tables = {
        table: [one.name for one in shown if not one.expression] for _, table, _, _, shown in VIEWS
    }
    readable("billing", {**tables, "incident": ("operator_id", "session_id")})
    for view, _, source, about, shown in VIEWS:
        show(view, about, source, shown)
