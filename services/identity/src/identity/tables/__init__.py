"""Everything identity stores, a module a theme. Table.metadata knows all of it."""

from identity.tables.access import Tariff
from identity.tables.declarative import Table, Versioned
from identity.tables.operator import Operator
from identity.tables.partner import Partner
from identity.tables.people import Card, Company, CostCentre, User, UserGroup, UserGroupMember
from identity.tables.privacy import PrivacyPart, PrivacyRequest, RetentionReport
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
    "ApiKey",
    "Card",
    "Company",
    "CostCentre",
    "Login",
    "Operator",
    "Partner",
    "Passkey",
    "PasskeyChallenge",
    "PrivacyPart",
    "PrivacyRequest",
    "RecoveryCode",
    "RefreshToken",
    "RetentionReport",
    "SignIn",
    "SignInFailure",
    "SigningKey",
    "Table",
    "Tariff",
    "Totp",
    "User",
    "UserGroup",
    "UserGroupMember",
    "Versioned",
]
