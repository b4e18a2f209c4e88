"""Flags and environment: what is accepted, and how refusals read."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3al.config import (
    RootCredentials,
    ServeConfig,
    TlsFiles,
    config_home,
    parse_domain,
    parse_listen,
    parse_networks,
    parse_tls,
    root_credentials,
)
from s3al.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:9000", ("127.0.0.1", 9000)),
        ("[::1]:9000", ("::1", 9000)),
        ("[::]:0", ("::", 0)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_listen_takes_host_and_port(text, parsed):
    assert parse_listen(text) == parsed


@pytest.mark.parametrize(
    "text", ["", "9000", ":9000", "127.0.0.1", "127.0.0.1:", "::1:9000", "[127.0.0.1]:1", "h:65536", "h:-1", "h:\u0661"]
)
def test_listen_refuses_what_is_neither(text):
    with pytest.raises(ConfigError, match="--listen"):
        parse_listen(text)


@pytest.mark.parametrize(
    ("text", "parsed"), [("off", "off"), ("auto", "auto"), ("c.pem:k.pem", TlsFiles(Path("c.pem"), Path("k.pem")))]
)
def test_tls_takes_off_auto_or_two_paths(text, parsed):
    assert parse_tls(text) == parsed


@pytest.mark.parametrize("text", ["", "on", "c.pem:", ":k.pem"])
def test_tls_refuses_all_else(text):
    with pytest.raises(ConfigError, match="--tls"):
        parse_tls(text)


@pytest.mark.parametrize(("text", "parsed"), [(None, None), ("S3.Example.", "s3.example"), ("localhost", "localhost")])
def test_domain_is_a_lower_case_name(text, parsed):
    assert parse_domain(text) == parsed


@pytest.mark.parametrize("text", ["", "a..b", "-a.b", "10.0.0.1", "a b", "*.a", "a" * 64])
def test_domain_refuses_what_is_no_name(text):
    with pytest.raises(ConfigError, match="--domain"):
        parse_domain(text)


def test_trusted_proxies_are_networks():
    assert [str(network) for network in parse_networks(["10.0.0.0/8", "::1"])] == ["10.0.0.0/8", "::1/128"]
    with pytest.raises(ConfigError, match="--trusted-proxy"):
        parse_networks(["10.0.0.1/8"])


SERVED = [
    # host, TLS, insecure, accepted
    ("127.0.0.1", "off", False, True),
    ("127.9.9.9", "off", False, True),
    ("::1", "off", False, True),
    ("0.0.0.0", "off", False, False),
    ("::", "off", False, False),
    ("192.0.2.1", "off", False, False),
    ("192.0.2.1", "auto", False, True),
    ("192.0.2.1", "off", True, True),
    ("no-such-host.invalid", "off", False, False),
]


@pytest.mark.parametrize(("host", "tls", "insecure", "accepted"), SERVED)
def test_plain_http_is_for_loopback_unless_insisted(host, tls, insecure, accepted):
    if accepted:
        assert ServeConfig(host=host, tls=tls, insecure_http=insecure).host == host
    else:
        with pytest.raises(ConfigError, match="plain HTTP") as caught:
            ServeConfig(host=host, tls=tls, insecure_http=insecure)
        assert "--insecure-http" in caught.value.advice


@pytest.mark.parametrize(
    ("host", "tls", "endpoint"),
    [
        ("127.0.0.1", "off", "http://127.0.0.1:9000"),
        ("::1", "auto", "https://[::1]:9000"),
        ("0.0.0.0", "auto", "https://127.0.0.1:9000"),
        ("::", "auto", "https://[::1]:9000"),
    ],
)
def test_the_endpoint_is_a_url_for_this_machine(host, tls, endpoint):
    assert ServeConfig(host=host, tls=tls).endpoint == endpoint


@pytest.mark.parametrize("workers", [0, -1, 65])
def test_the_number_of_workers_is_bounded(workers):
    with pytest.raises(ConfigError, match="--workers"):
        ServeConfig(workers=workers)


def test_keys_may_not_lie_in_the_data_folder(tmp_path):
    with pytest.raises(ConfigError, match="inside the data folder"):
        ServeConfig(data=tmp_path, config_home=tmp_path / "config" / "s3al")


@pytest.mark.parametrize(
    ("environ", "home"),
    [
        ({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/s3al"),
        ({"HOME": "/h"}, "/h/.config/s3al"),
        ({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}, "/h/.config/s3al"),
    ],
)
def test_configuration_lies_where_xdg_says(environ, home):
    assert config_home(environ) == Path(home)


def test_root_credentials_come_from_the_environment_and_are_not_shown():
    assert root_credentials({}) is None
    given = root_credentials({"S3AL_ROOT_ACCESS_KEY_ID": "admin", "S3AL_ROOT_SECRET_ACCESS_KEY": "12345678"})
    assert given == RootCredentials("admin", "12345678")
    assert "12345678" not in repr(given)


@pytest.mark.parametrize(
    ("key_id", "secret"),
    [("admin", ""), ("", "12345678"), ("a/b", "12345678"), ("admin", "short"), ("admin", "1234567\n")],
)
def test_root_credentials_that_cannot_work_are_refused(key_id, secret):
    with pytest.raises(ConfigError) as caught:
        root_credentials({"S3AL_ROOT_ACCESS_KEY_ID": key_id, "S3AL_ROOT_SECRET_ACCESS_KEY": secret})
    assert secret not in str(caught.value) or not secret
