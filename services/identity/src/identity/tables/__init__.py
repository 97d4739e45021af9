"""Everything identity stores, a module a theme. Table.metadata knows all of it."""

from identity.tables.access import (
    AccessRevision,
    AccessRule,
    AccountingStrategy,
    AccountStanding,
    Agreement,
    CardMonth,
    Station,
    StationGroup,
    StationGroupMember,
    StrategyAssignment,
    Tariff,
)
from identity.tables.audit import AuditEntry, AuditPersonal
from identity.tables.declarative import Table, Versioned
from identity.tables.imports import PeopleImport, PeopleImportRow
from identity.tables.links import EmailChange, Invitation, PasswordReset, Registration
from identity.tables.mail import Mail
from identity.tables.operator import Operator, OperatorLogo
from identity.tables.partner import Partner, PartnerList, PartnerListCard, PartnerListPart
from identity.tables.people import Card, Company, CostCentre, User, UserGroup, UserGroupMember
from identity.tables.privacy import PrivacyPart, PrivacyRequest, RetentionReport
from identity.tables.providers import OidcBegun, OidcProvider, OidcSubject
from identity.tables.second_factors import Passkey, PasskeyChallenge, RecoveryCode, Totp
from identity.tables.staff import (
    ApiKey,
    Login,
    RefreshToken,
    SignIn,
    SignInFailure,
    SigningKey,
)

__all__ = [
    "AccessRevision",
    "AccessRule",
    "AccountStanding",
    "AccountingStrategy",
    "Agreement",
    "ApiKey",
    "AuditEntry",
    "AuditPersonal",
    "Card",
    "CardMonth",
    "Company",
    "CostCentre",
    "EmailChange",
    "Invitation",
    "Login",
    "Mail",
    "OidcBegun",
    "OidcProvider",
    "OidcSubject",
    "Operator",
    "OperatorLogo",
    "Partner",
    "PartnerList",
    "PartnerListCard",
    "PartnerListPart",
    "Passkey",
    "PasskeyChallenge",
    "PasswordReset",
    "PeopleImport",
    "PeopleImportRow",
    "PrivacyPart",
    "PrivacyRequest",
    "RecoveryCode",
    "RefreshToken",
    "Registration",
    "RetentionReport",
    "SignIn",
    "SignInFailure",
    "SigningKey",
    "Station",
    "StationGroup",
    "StationGroupMember",
    "StrategyAssignment",
    "Table",
    "Tariff",
    "Totp",
    "User",
    "UserGroup",
    "UserGroupMember",
    "Versioned",
]
