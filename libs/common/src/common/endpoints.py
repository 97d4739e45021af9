"""Pure: which hosts and addresses a customer may have us call."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

# Beyond what ipaddress of every Python 3.11 knows: Azure's WireServer, which looks public; IETF's
# own, with Oracle's metadata; 6to4 relays.
NOT_PUBLIC: Final = tuple(map(ip_network, ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24")))
GLOBAL_UNICAST: Final = ip_network("2000::/3")  # what IANA has given out of IPv6
# 6to4 and Teredo (in IETF's own) carry an IPv4 address that a router may deliver to, as NAT64 does;
# documentation.
NOT_PUBLIC_6: Final = tuple(map(ip_network, ("2002::/16", "2001::/23", "3fff::/20")))
NAT64: Final = ip_network("64:ff9b::/96")
# getaddrinfo reads 0x7f.1, 127.1 and 2130706433 as 127.0.0.1; no such name exists in DNS.
NAME: Final = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,252}", re.IGNORECASE)
NUMBER_AT_END: Final = re.compile(r"(^|\.)(\d+|0x[0-9a-f]*)\.?$", re.IGNORECASE)


class Refused(ValueError):
    """Not to be called."""


def check_host(host: str, allow_private: bool) -> None:
    """A name or a literal address, in ASCII, IPv6 without brackets. Raises Refused."""
    if not host:
        raise Refused("it names no host")
    try:
        literal = ip_address(host)
    except ValueError:
        literal = None
    if literal is not None:
        check_address(host, allow_private)
    elif not NAME.fullmatch(host):
        raise Refused("it names no host")
    elif NUMBER_AT_END.search(host):
        raise Refused("a host is a name or a whole IP address")
    elif "." not in host.rstrip(".") and not allow_private:
        raise Refused("it is the name of a machine of our own network")


def check_address(address: str, allow_private: bool) -> None:
    """Raises Refused. allow_private: loopback and private networks, and nothing else beyond."""
    try:
        found = ip_address(address)
    except ValueError:
        raise Refused("it has no IP address") from None
    if allow_private and _private(found):
        return
    if not _public(found):
        raise Refused("it has an address that is not public")


def _private(address: IPv4Address | IPv6Address) -> bool:
    # Not link-local, whatever is allowed: there the clouds tell their machines' secrets.
    never = address.is_link_local or address.is_multicast or address.is_unspecified
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    return address.is_private and not never and not mapped


def _public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return (
            address.is_global
            and not address.is_multicast
            and not address.is_reserved
            and not any(address in network for network in NOT_PUBLIC)
        )
    if address.scope_id is not None:
        return False
    if address in NAT64:
        return _public(IPv4Address(int(address) & 0xFFFFFFFF))
    known = address in GLOBAL_UNICAST and address.is_global
    return known and not any(address in network for network in NOT_PUBLIC_6)
