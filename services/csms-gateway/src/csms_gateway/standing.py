"""Pure: what a station that is not accepted may say, and what it may be asked.

By what its newest BootNotification was answered (2.0.1, B01.FR.10, B02 and B03; 1.6, 4.2): only
then does it know that it is held.
"""

from typing import Any, Final, Literal

Registration = Literal["accepted", "pending", "rejected"]

BOOT: Final = "BootNotification"
TRIGGERS: Final = {"TriggerMessage", "ExtendedTriggerMessage"}  # the latter of 1.6's security
TRIGGERED_S: Final = 60.0  # a status a connector, readings: they need not all come at once
# MessageTriggerEnumType where it is not the action's name.
SIGN: Final = "SignCertificate"
# B02.FR.05; 1.6, 4.2: whoever wants sessions must accept the station first.
NOT_WHILE_PENDING: Final = {
    "RemoteStartTransaction", "RemoteStopTransaction", "RequestStartTransaction",
    "RequestStopTransaction",
}  # fmt: skip


class Standing:
    def __init__(self, registration: Registration) -> None:
        self.registration = registration
        self._triggered: dict[str, float] = {}  # action: until when

    def forbids(self, action: str) -> str | None:
        """Why we may not call the station so, or None."""
        if self.registration == "rejected":
            return "the station is rejected: nothing may be asked of it (2.0.1, B03.FR.03)"
        if self.registration == "pending" and action in NOT_WHILE_PENDING:
            return "the station is pending: accept it first (2.0.1, B02.FR.05)"
        return None

    def asked(self, action: str, payload: dict[str, Any], at_s: float) -> None:
        """We call the station; at_s is a steady clock's."""
        if self.registration == "pending" and action in TRIGGERS:
            message = payload["requestedMessage"]
            message = SIGN if message.startswith("Sign") else message
            self._triggered[message] = at_s + TRIGGERED_S

    def may_say(self, action: str, at_s: float) -> bool:
        """Also what it was asked for, while pending (B02.FR.09)."""
        if self.registration == "accepted" or action == BOOT:
            return True
        if self.registration == "rejected":
            return False
        # Reports come only when asked for, and some take minutes.
        return action == "NotifyReport" or self._triggered.get(action, 0.0) > at_s
