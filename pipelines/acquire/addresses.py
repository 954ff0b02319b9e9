"""Which numeric network addresses are public; a list from somebody else must not reach into the builder's network."""

import ipaddress
from typing import TypeAlias

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: how an IPv6-only network reaches IPv4
_KINDS = (
    ("unspecified", "is_unspecified"),
    ("loopback", "is_loopback"),
    ("link-local", "is_link_local"),
    ("multicast", "is_multicast"),
    ("private", "is_private"),
    ("reserved", "is_reserved"),
)


def refusal(address: str) -> str | None:
    """Why the numeric address (IPv4, or IPv6 with or without a zone) is not public: one word; None when it is public.

    An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4) is judged by that one. Public means that the IANA
    registries call it globally reachable (`ipaddress`), so that shared (100.64/10), benchmark and documentation ranges
    are refused too. Raises `ValueError` for what is not an address.
    """
    found = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    for word, attribute in _KINDS:
        if getattr(found, attribute):
            return word
    return None if found.is_global else "special-purpose"


def _unwrapped(address: _Address) -> _Address:
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address
