"""Who the client is, when a proxy stands in front.

What lives here: reading X-Forwarded-For and X-Forwarded-Proto. What does not: which proxies are trusted (`config`).

Laws: the headers count only if the peer itself is trusted; the client is the last address that is not a trusted proxy;
of several X-Forwarded-Proto values the last counts, for the nearest proxy wrote it and earlier ones were claimed.
An address has one spelling, and IPv4 that arrives on an IPv6 socket is IPv4, so that policies compare like with like.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache

Headers = Mapping[str, str]
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_of(
    peer: str, tls: bool, headers: Headers, trusted_proxies: Sequence[IpNetwork]
) -> tuple[str, bool]:
    """(client address, whether its connection was TLS), believing X-Forwarded-* only as far as proxies are trusted."""
    address = _canonical_address(peer)
    if not trusted_proxies or not _is_trusted(address, trusted_proxies):
        return address, tls
    secure = tls
    if "x-forwarded-proto" in headers:
        secure = headers["x-forwarded-proto"].rpartition(",")[2].strip().lower() == "https"
    for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
        try:
            candidate = _canonical_address(hop.strip())
        except ValueError:
            break
        address = candidate
        if not _is_trusted(candidate, trusted_proxies):
            break
    return address, secure


@lru_cache(maxsize=4096)
def _canonical_address(text: str) -> str:
    """One spelling an address; IPv4 that arrives on an IPv6 socket is IPv4. ValueError if it is none."""
    address = ipaddress.ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _is_trusted(address: str, networks: Sequence[IpNetwork]) -> bool:
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in networks if network.version == parsed.version)
