"""OCPP 2.0.1 and 2.1, which differ little for a charger: messages, commands, device model."""

from fleet.v2.messages import V2

__all__ = ["V2"]
