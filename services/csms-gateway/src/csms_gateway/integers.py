"""Pure: how large numbers may be that chargers give."""

from typing import Final

INTEGER_END: Final = 2**31  # OCPP's integers are of 32 bits, and so are the database's
