"""What identity tells."""

from uuid import UUID

from pydantic import Field

from common.events.event import Event, Part
from common.money import Currency, Exact


class OperatorChanged(Event):
    """An operator was made or changed."""

    subject = "csms.operator.changed.v1"

    version: int
    name: str
    time_zone: str = Field(description="IANA name; days, months and tariffs use it")
    currency: Currency
    personal_data_days: int | None = Field(
        default=None,
        description="after which what names people in their sessions is removed; None: never",
    )
    active: bool = Field(default=True, description="if not, nobody signs in and no card charges")
    legal_name: str | None = None
    street: str | None = None
    postal_code: str | None = None
    city: str | None = None
    country: str | None = Field(default=None, description="ISO 3166-1 alpha-2")
    vat_id: str | None = None
    tax_number: str | None = None
    register_entry: str | None = None
    email: str | None = None
    phone: str | None = Field(default=None, description="E.164")
    website: str | None = None
    iban: str | None = Field(default=None, description="without blanks")
    bic: str | None = None
    account_holder: str | None = None
    languages: tuple[str, ...] = Field(default=(), description="BCP 47; the first is the default")


class UserState(Part):
    user_id: UUID
    version: int
    name: str
    active: bool
    group_ids: tuple[UUID, ...] = Field(default=(), description="the user groups they are in")


class UserChanged(Event, UserState):
    """A person who charges was made or changed."""

    subject = "csms.user.changed.v1"


class UsersImported(Event):
    """Many people were made or changed at once."""

    subject = "csms.user.imported.v1"

    users: tuple[UserState, ...]


class CardState(Part):
    card_id: UUID
    version: int
    uid: str = Field(description="upper case")
    user_id: UUID | None
    label: str
    active: bool
    group_id: str | None = Field(
        default=None, description="cards of one group end each other's sessions; upper case"
    )
    master_pass: bool = Field(default=False, description="ends any session and begins none")
    company_id: UUID | None = None
    company_master: bool = Field(
        default=False, description="the company's own card; its account alone is billed"
    )
    cost_centre_id: UUID | None = None
    partner_id: UUID | None = Field(default=None, description="who issued it, if a partner did")
    accounting_strategy_id: UUID | None = None
    monthly_cap: Exact | None = Field(
        default=None, description="gross, in the operator's currency; by the month of the end"
    )


class CardChanged(Event, CardState):
    """A card was made, given, blocked or changed."""

    subject = "csms.card.changed.v1"


class CardsImported(Event):
    """Many cards were made or changed at once."""

    subject = "csms.card.imported.v1"

    cards: tuple[CardState, ...]


class UserGroupChanged(Event):
    """A user group was made, named or deleted. Who is in it is told with each user."""

    subject = "csms.user_group.changed.v1"

    group_id: UUID
    version: int
    name: str
    deleted: bool = False


class CompanyChanged(Event):
    """A company was made or changed."""

    subject = "csms.company.changed.v1"

    company_id: UUID
    version: int
    name: str
    active: bool
    vat_id: str | None = Field(default=None, description="for a reverse charge of the VAT")


class CostCentreChanged(Event):
    """A company's cost centre was made or changed."""

    subject = "csms.cost_centre.changed.v1"

    cost_centre_id: UUID
    company_id: UUID
    version: int
    code: str
    name: str


class PartnerChanged(Event):
    """A foreign issuer of cards was made or changed."""

    subject = "csms.partner.changed.v1"

    partner_id: UUID
    version: int
    name: str
    active: bool
