"""views for readers of the database"""

from common.sql_views import Shown, readable, show

revision = "0019"
down_revision = "0018"

ID = (Shown("id", "never changes"), Shown("operator_id", "your operator"))
VERSION = Shown("version", "grows with each change")

USER = (
    *ID,
    Shown("name", "of the person"),
    Shown("email", "null: not known"),
    Shown("external_id", "the person's id in a system of yours; null: none"),
    Shown("active", "false: none of the person's cards charges"),
    Shown("erased_at", "when the personal data was erased; null: it was not"),
    Shown(
        "group_ids",
        "the user groups the person is in: user_groups.id",
        "array(select m.group_id from user_group_member m where m.operator_id = t.operator_id "
        "and m.user_id = t.id order by 1)",
    ),
    VERSION,
)
GROUP = (*ID, Shown("name", "of the group"), VERSION)
COMPANY = (
    *ID,
    Shown("name", "of the company"),
    Shown("external_id", "its id in a system of yours; null: none"),
    Shown("email", "where invoices go; null: not known"),
    Shown("street", "of the address, with the number"),
    Shown("postal_code", "of the address"),
    Shown("city", "of the address"),
    Shown("country", "of the address, ISO 3166-1 alpha-2"),
    Shown("vat_id", "null: not known"),
    Shown("active", "false: none of its cards charges"),
    VERSION,
)
COST_CENTRE = (
    *ID,
    Shown("company_id", "companies.id"),
    Shown("code", "as the company writes it"),
    Shown("name", "of the cost centre"),
    VERSION,
)
CARD = (
    *ID,
    Shown("uid", "what a reader reads, normalised"),
    Shown("kind", "rfid, app or emaid (a contract of ISO 15118)"),
    Shown("user_id", "users.id; null: nobody's"),
    Shown("label", "what people call it"),
    Shown("active", "false: blocked"),
    Shown("blocked_reason", "null: active, or none was given"),
    Shown("own_block", "true: blocked by its holder, who may undo it"),
    Shown("valid_from", "null: always was"),
    Shown("valid_until", "null: no end"),
    Shown("group_id", "OCPP's group: cards of one group end each other's sessions"),
    Shown("master_pass", "true: ends every session of its group"),
    Shown("company_id", "companies.id"),
    Shown("company_master", "true: the company's master card, whose account is billed"),
    Shown("cost_centre_id", "cost_centres.id"),
    Shown("partner_id", "partners.id: who issued it; null: you did"),
    Shown("accounting_strategy_id", "how it is billed; null: as usual"),
    Shown("monthly_cap", "gross, in your currency; null: none"),
    Shown("replaced_by", "cards.id of the card that took its place"),
    VERSION,
)
PARTNER = (
    *ID,
    Shown("name", "of the partner"),
    Shown("active", "false: its cards are refused"),
    Shown("email", "null: not known"),
    Shown("mode", "list: its cards are those it pushes; real_time: it is asked at each tap"),
    Shown("endpoint", "where it is asked; null: it is not"),
    Shown("fallback", "if it cannot be asked: accept, refuse or list"),
    Shown("prefixes", "of unknown tokens, those that begin so are asked about"),
    VERSION,
)
VIEWS = (
    ("users", "users", "People who charge, erased ones without their personal data.", USER),
    ("user_groups", "user_group", "Sets of users.", GROUP),
    ("companies", "company", "Companies whose people charge.", COMPANY),
    ("cost_centres", "cost_centre", "Cost centres of companies.", COST_CENTRE),
    ("cards", "card", "What people charge with, blocked and replaced ones too.", CARD),
    ("partners", "partner", "Foreign issuers of cards.", PARTNER),
)


def upgrade() -> None:
    tables = {
        table: [one.name for one in shown if not one.expression] for _, table, _, shown in VIEWS
    }
    readable("identity", {**tables, "user_group_member": ("operator_id", "group_id", "user_id")})
    for view, table, about, shown in VIEWS:
        show(view, about, f"{table} t", shown)
