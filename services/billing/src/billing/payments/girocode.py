"""Pure: the QR code by which a banking app fills in a transfer (EPC069-12, GiroCode)."""

import io
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import segno

NAME_MAX: Final = 70
LEAST: Final = Decimal("0.01")
MOST: Final = Decimal("999999999.99")
UTF_8: Final = "1"
BORDER: Final = 4  # modules; ISO/IEC 18004 asks for as many
SCALE: Final = 8  # pixels a module


@dataclass(frozen=True, slots=True)
class Transfer:
    """amount: in euros; None: the customer types it. reference: of ISO 11649."""

    name: str
    iban: str
    bic: str | None
    amount: Decimal | None
    reference: str


def code(transfer: Transfer) -> segno.QRCode:
    """Version 002, the reference as a structured one. Raises ValueError for an amount that no
    transfer has.
    """
    amount = transfer.amount
    if amount is not None and not LEAST <= amount <= MOST:
        raise ValueError(f"no transfer has an amount of {amount:f}")
    lines = (
        "BCD", "002", UTF_8, "SCT", transfer.bic or "", transfer.name[:NAME_MAX], transfer.iban,
        "" if amount is None else f"EUR{amount:.2f}", "", transfer.reference,
    )  # fmt: skip
    # Of this error correction, says the guideline; banks do not all read another.
    return segno.make_qr("\n".join(lines).encode(), error="m", boost_error=False)


def svg(transfer: Transfer) -> bytes:
    return _saved(transfer, "svg")


def png(transfer: Transfer) -> bytes:
    return _saved(transfer, "png")


def _saved(transfer: Transfer, kind: str) -> bytes:
    file = io.BytesIO()
    code(transfer).save(file, kind=kind, scale=SCALE, border=BORDER, light="#fff")
    return file.getvalue()
