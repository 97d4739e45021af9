"""Pure: what may be asked of a charger, in words that no version of OCPP decides.

These are the commands that versions spell differently. What only OCPP 2.x has is in mirrored.py.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from common.clock import AnyMoment
from csms_gateway.commands.charging_profile import ChargingProfile

# 36: IdTokenType.idToken (2.0.1); OCPP 1.6 takes 20, which its translation checks.
IdToken = Annotated[str, Field(min_length=1, max_length=36, pattern=r"^[^\x00]+$")]
# eMAID, ISO14443, Central, …; OCPP 1.6 has no types
IdTokenKind = Annotated[str, Field(min_length=1, max_length=20, pattern=r"^[^\x00]+$")]
EvseId = Annotated[int, Field(ge=1, le=1000)]
ConnectorId = Annotated[int, Field(ge=1, le=1000)]
Text = Annotated[str, Field(max_length=2500, pattern=r"^[^\x00]*$")]
Name = Annotated[str, Field(min_length=1, max_length=50, pattern=r"^[^\x00]+$")]
Url = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]+$")]
Pem = Annotated[str, Field(min_length=1, max_length=10_000, pattern=r"^[^\x00]+$")]


RFID = "ISO14443"  # OCPP 2.0.1, IdTokenEnumType: what a card reader reads


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Kind(_Part):
    """A command; its type names it."""

    type: str

    def missing_in(self, _: str, /) -> str | None:
        """What it asks for that a version of OCPP (v16, v201, v21) does not have, in words."""
        return None


# --- sessions ---------------------------------------------------------------------------------


class TransactionLimits(_Part):
    """Where a session ends or pauses by itself (OCPP 2.1, E16)."""

    max_cost: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=6)] | None = Field(
        default=None, description="gross, in the currency of the tariff"
    )
    max_energy_wh: int | None = Field(default=None, ge=0, le=2**31 - 1)
    max_time_s: int | None = Field(default=None, ge=0, le=2**31 - 1, description="since its start")
    max_soc_percent: int | None = Field(default=None, ge=0, le=100)

    @model_validator(mode="after")
    def _not_empty(self) -> "TransactionLimits":
        if not self.model_dump(exclude_none=True):
            raise ValueError("give at least one limit")
        return self


class RemoteStart(Kind):
    """Let a driver charge without tapping a card."""

    type: Literal["remote_start"]
    id_token: IdToken
    id_token_type: IdTokenKind = Field(
        default="Central",
        description="OCPP 2.x; DirectPayment: the token is the reference of a payment taken "
        "elsewhere, and no card",
    )
    group_id_token: IdToken | None = Field(default=None, description="OCPP 2.x")
    evse_id: EvseId | None = Field(default=None, description="null: charger's choice")
    charging_profile: ChargingProfile | None = None
    limits: TransactionLimits | None = Field(default=None, description="OCPP 2.1")

    def missing_in(self, version: str, /) -> str | None:
        if version == "v16" and self.id_token_type == "DirectPayment":  # noqa: S105 - a type
            return "OCPP 1.6 knows cards only, no payments taken elsewhere"
        return None


class RemoteStop(Kind):
    """End a running session."""

    type: Literal["remote_stop"]
    session_id: UUID


class UnlockConnector(Kind):
    """Open the lock of a stuck plug."""

    type: Literal["unlock_connector"]
    evse_id: EvseId
    connector_id: ConnectorId = 1


# --- provisioning -----------------------------------------------------------------------------


class Reset(Kind):
    """Restart the station, or in OCPP 2.x one EVSE."""

    type: Literal["reset"]
    when: Literal["immediate", "on_idle", "immediate_and_resume"] = Field(
        default="on_idle",
        description="1.6: Hard and Soft; immediate_and_resume is OCPP 2.1",
    )
    evse_id: EvseId | None = Field(default=None, description="OCPP 2.x")


class VariableName(_Part):
    """A variable of the device model; in OCPP 1.6 a configuration key."""

    variable: Name
    variable_instance: Name | None = None
    component: Name | None = Field(default=None, description="OCPP 2.x needs it; 1.6 ignores it")
    component_instance: Name | None = None
    evse_id: EvseId | None = None
    connector_id: ConnectorId | None = None
    attribute: Literal["Actual", "Target", "MinSet", "MaxSet"] = "Actual"


class VariableValue(VariableName):
    value: Text


class GetVariables(Kind):
    """Read variables; as many calls as the station's limit of items a message needs."""

    type: Literal["get_variables"]
    # OCPP 1.6: an empty list asks for every key.
    variables: Annotated[list[VariableName], Field(max_length=500)]


class SetVariables(Kind):
    """Set variables; as many calls as the station's limit of items a message needs."""

    type: Literal["set_variables"]
    variables: Annotated[list[VariableValue], Field(min_length=1, max_length=500)]


class TriggerMessage(Kind):
    """Ask for a message now. OCPP's name of it: BootNotification, MeterValues, …"""

    type: Literal["trigger_message"]
    message: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,50}$")]
    evse_id: EvseId | None = None
    connector_id: ConnectorId | None = Field(default=None, description="OCPP 2.x")


class ChangeAvailability(Kind):
    type: Literal["change_availability"]
    operative: bool
    evse_id: EvseId | None = Field(default=None, description="null: the whole station")
    connector_id: ConnectorId | None = Field(default=None, description="OCPP 2.x")


class ClearCache(Kind):
    """Forget which cards were accepted before."""

    type: Literal["clear_cache"]


class DataTransfer(Kind):
    """A vendor's own message."""

    type: Literal["data_transfer"]
    vendor_id: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]
    message_id: Name | None = None
    data: Any = Field(default=None, description="OCPP 1.6 takes text only")


# --- local list and reservation ---------------------------------------------------------------


class ListedToken(_Part):
    id_token: IdToken
    id_token_type: IdTokenKind = RFID
    expires_at: AnyMoment | None = None
    group_id_token: IdToken | None = None


class LocalListEntry(ListedToken):
    status: Literal["Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"] | None = Field(
        default="Accepted", description="null in a differential update: take it off the list"
    )

    @model_serializer(mode="wrap")
    def _null_is_said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Commands are stored without nulls, but here one says something."""
        found: dict[str, Any] = handler(self)
        return found if self.status else found | {"status": None}


class SendLocalList(Kind):
    """Who may charge while the station cannot ask."""

    type: Literal["send_local_list"]
    update: Literal["full", "differential"] | None = Field(
        default=None, description="null: full; of the wanted list the shorter way"
    )
    version: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="null: one above the last sent"
    )
    entries: Annotated[list[LocalListEntry], Field(max_length=10_000)] | None = Field(
        default=None, description="null: the list kept under /v1/local-lists"
    )

    @model_validator(mode="after")
    def _a_wanted_list_has_its_own_number(self) -> "SendLocalList":
        if self.entries is None and self.version is not None:
            raise ValueError("the version is of the entries given here")
        return self


class GetLocalListVersion(Kind):
    type: Literal["get_local_list_version"]


class ReserveNow(Kind):
    """Keep an EVSE for a driver until a time."""

    type: Literal["reserve_now"]
    id_token: IdToken
    id_token_type: IdTokenKind = RFID
    group_id_token: IdToken | None = None
    expires_at: AnyMoment
    evse_id: EvseId | None = Field(default=None, description="null: any")
    connector_type: Name | None = Field(default=None, description="OCPP 2.x: cType2, cCCS2, …")
    reservation_id: int | None = Field(
        default=None, ge=0, le=2**31 - 1, description="null: the next free one"
    )


class CancelReservation(Kind):
    type: Literal["cancel_reservation"]
    reservation_id: int = Field(ge=0, le=2**31 - 1)


# --- smart charging ---------------------------------------------------------------------------


class SetChargingProfile(Kind):
    """Limit power. The profile itself, or the name of one kept under /v1/charging-profiles."""

    type: Literal["set_charging_profile"]
    evse_id: int = Field(default=0, ge=0, le=1000, description="0: the whole station")
    profile: ChargingProfile | None = None
    profile_name: Name | None = None
    session_id: UUID | None = Field(
        default=None, description="limit this session; the profile is sent as its tx profile"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "SetChargingProfile":
        if (self.profile is None) == (self.profile_name is None):
            raise ValueError("give either profile or profile_name")
        return self


class ClearChargingProfile(Kind):
    """By id, or by whichever criteria are given."""

    type: Literal["clear_charging_profile"]
    profile_id: int | None = Field(default=None, ge=0, le=2**31 - 1)
    evse_id: int | None = Field(default=None, ge=0, le=1000)
    purpose: Literal["station_max", "station_external", "tx_default", "tx"] | None = None
    stack_level: int | None = Field(default=None, ge=0)


class GetCompositeSchedule(Kind):
    """What the charger makes of all its profiles."""

    type: Literal["get_composite_schedule"]
    evse_id: int = Field(default=0, ge=0, le=1000)
    duration_s: int = Field(ge=1, le=366 * 86_400)
    unit: Literal["W", "A"] | None = None


# --- firmware, logs, certificates -------------------------------------------------------------


class UpdateFirmware(Kind):
    """With certificate and signature it is the signed update of 1.6's security extension."""

    type: Literal["update_firmware"]
    location: Url
    retrieve_at: AnyMoment | None = Field(default=None, description="null: now")
    install_at: AnyMoment | None = None
    signing_certificate: Pem | None = None
    signature: Annotated[str, Field(min_length=1, max_length=800)] | None = None
    retries: int | None = Field(default=None, ge=0)
    retry_interval_s: int | None = Field(default=None, ge=0)


class GetLog(Kind):
    """Have a log uploaded. 1.6 without the security extension knows diagnostics only."""

    type: Literal["get_log"]
    log: Literal["diagnostics", "security", "data_collector"] = "diagnostics"
    location: Url = Field(description="where the charger uploads it to")
    oldest_at: AnyMoment | None = None
    latest_at: AnyMoment | None = None
    retries: int | None = Field(default=None, ge=0)
    retry_interval_s: int | None = Field(default=None, ge=0)


CertificateUse = Literal[
    "csms_root", "manufacturer_root", "v2g_root", "mo_root", "v2g_chain", "oem_root"
]


class InstallCertificate(Kind):
    """Give the charger a root to trust."""

    type: Literal["install_certificate"]
    use: Literal["csms_root", "manufacturer_root", "v2g_root", "mo_root", "oem_root"]
    certificate: Pem


class DeleteCertificate(Kind):
    type: Literal["delete_certificate"]
    hash_algorithm: Literal["SHA256", "SHA384", "SHA512"]
    issuer_name_hash: Annotated[str, Field(min_length=1, max_length=128)]
    issuer_key_hash: Annotated[str, Field(min_length=1, max_length=128)]
    serial_number: Annotated[str, Field(min_length=1, max_length=40)]

    def hash_data(self) -> dict[str, str]:
        """CertificateHashDataType, the same in every version of OCPP."""
        return {
            "hashAlgorithm": self.hash_algorithm,
            "issuerNameHash": self.issuer_name_hash,
            "issuerKeyHash": self.issuer_key_hash,
            "serialNumber": self.serial_number,
        }


class GetInstalledCertificateIds(Kind):
    type: Literal["get_installed_certificate_ids"]
    # OCPP 1.6 takes exactly one use a call, so it becomes a call for each.
    uses: Annotated[list[CertificateUse], Field(max_length=6)] = []


class CertificateSigned(Kind):
    """Hand over a certificate that we have signed; sent by itself when a charger asked for one."""

    type: Literal["certificate_signed"]
    chain: Pem
    use: Literal["station", "v2g", "v2g20"] | None = Field(
        default=None, description="OCPP 2.x; v2g20 is 2.1"
    )
    request_id: int | None = Field(
        default=None, ge=0, le=2**31 - 1, description="OCPP 2.1: of its SignCertificate"
    )

    def missing_in(self, version: str, /) -> str | None:
        if version == "v16" and self.use not in {None, "station"}:
            return "OCPP 1.6 knows the charge point's certificate only"
        if version == "v201" and self.use == "v2g20":
            return "OCPP 2.0.1 has no certificates for v2g20"
        return None


class RotatePassword(Kind):
    """Give the station a new random password. Nobody sees it; the old one works until the station
    has used the new one.
    """

    type: Literal["rotate_password"]


NEUTRAL: tuple[type[Kind], ...] = (
    RemoteStart, RemoteStop, UnlockConnector, Reset, GetVariables, SetVariables, TriggerMessage,
    ChangeAvailability, ClearCache, DataTransfer, SendLocalList, GetLocalListVersion, ReserveNow,
    CancelReservation, SetChargingProfile, ClearChargingProfile, GetCompositeSchedule,
    UpdateFirmware, GetLog, InstallCertificate, DeleteCertificate, GetInstalledCertificateIds,
    CertificateSigned, RotatePassword,
)  # fmt: skip
