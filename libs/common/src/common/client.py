"""Where a request comes from: for limits, and for who did what from where."""

from contextvars import ContextVar
from ipaddress import IPv6Address, ip_address, ip_network

# Of the request in hand: the peer's, or what a trusted proxy (setting trusted_proxies) says.
address: ContextVar[str | None] = ContextVar("client_address", default=None)


def network(of: str | None) -> str:
    """What limits count together: a /24 of IPv4 or a /64 of IPv6, for one person has all of it."""
    try:
        found = ip_address((of or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return str(ip_network((found, 24 if found.version == 4 else 64), strict=False))
