"""OCPP 1.6: its messages and its commands."""

from fleet.v16.messages import V16

__all__ = ["V16"]
