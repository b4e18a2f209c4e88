"""Who the client is behind proxies."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.server.proxies import client_of

TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))

CASES = [
    # what, peer, TLS to us, X-Forwarded-For, X-Forwarded-Proto, client, secure
    ("no proxy", "203.0.113.9", False, None, None, "203.0.113.9", False),
    ("claims of a stranger", "203.0.113.9", False, "1.1.1.1", "https", "203.0.113.9", False),
    ("one proxy", "10.0.0.1", False, "203.0.113.9", "https", "203.0.113.9", True),
    ("two proxies", "10.0.0.1", False, "203.0.113.9, 10.0.0.2", "https", "203.0.113.9", True),
    ("a forged first hop", "10.0.0.1", False, "1.1.1.1, 203.0.113.9", "https", "203.0.113.9", True),
    ("an inner client", "10.0.0.1", False, "10.0.0.7, 10.0.0.2", "https", "10.0.0.7", True),
    ("rubbish in the chain", "10.0.0.1", False, "1.1.1.1, rubbish", "https", "10.0.0.1", True),
    ("a proxy that says nothing", "10.0.0.1", True, None, None, "10.0.0.1", True),
    ("TLS only to us", "10.0.0.1", True, "203.0.113.9", "http", "203.0.113.9", False),
    ("a forged first protocol", "10.0.0.1", False, "203.0.113.9", "https, http", "203.0.113.9", False),
    ("IPv4 on an IPv6 socket", "::ffff:10.0.0.1", False, "203.0.113.9", "https", "203.0.113.9", True),
    ("an IPv6 proxy", "fd00::1", False, "2001:DB8::9", "https", "2001:db8::9", True),
    ("an empty list", "10.0.0.1", False, "", "https", "10.0.0.1", True),
]


@pytest.mark.parametrize(("what", "peer", "tls", "for_", "proto", "client", "secure"), CASES, ids=[c[0] for c in CASES])
def test_the_client_is_the_last_untrusted_address(what, peer, tls, for_, proto, client, secure):
    headers = {}
    if for_ is not None:
        headers["x-forwarded-for"] = for_
    if proto is not None:
        headers["x-forwarded-proto"] = proto
    assert client_of(peer, tls, headers, TRUSTED) == (client, secure)


@given(st.text(), st.text())
def test_no_header_breaks_it_and_the_result_is_an_address(forwarded_for, proto):
    headers = {"x-forwarded-for": forwarded_for, "x-forwarded-proto": proto}
    client, _ = client_of("10.0.0.1", False, headers, TRUSTED)
    assert str(ipaddress.ip_address(client)) == client
