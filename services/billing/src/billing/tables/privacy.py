"""Who was erased."""

from billing.tables.declarative import Table
from common.privacy import TombstoneColumns


class Tombstone(TombstoneColumns, Table):
    """Whose sessions and records are under a pseudonym."""
