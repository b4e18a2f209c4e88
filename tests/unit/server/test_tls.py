"""The local CA, its certificate, and what makes them new."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from s3al.errors import ConfigError
from s3al.server.tls import CA_LIFETIME, RENEW_BEFORE, SERVER_LIFETIME, automatic_pair, given_pair
from support.processes import eventually
from support.raw_http import request

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _make(folder, *, domain=None, host="127.0.0.1", now=NOW):
    return automatic_pair(folder, domain=domain, listen_host=host, now=now)


def _certificate(path):
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def test_the_server_certificate_names_every_way_to_reach_it(tmp_path):
    pair = _make(tmp_path / "tls", domain="s3.example", host="192.0.2.7")
    names = _certificate(pair.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    dns = names.get_values_for_type(x509.DNSName)
    assert {"localhost", "s3.example", "*.s3.example"} <= set(dns)
    assert {str(ip) for ip in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1", "192.0.2.7"}


def test_keys_are_p256_and_readable_by_their_owner_alone(tmp_path):
    folder = tmp_path / "tls"
    _make(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("ca.key", "server.key"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    for name in ("ca.pem", "server.pem"):
        key = _certificate(folder / name).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)


def test_the_ca_may_sign_end_certificates_only_and_the_server_none(tmp_path):
    folder = tmp_path / "tls"
    _make(folder)
    for name, expected in (("ca.pem", (True, 0)), ("server.pem", (False, None))):
        constraints = _certificate(folder / name).extensions.get_extension_for_class(x509.BasicConstraints).value
        assert (constraints.ca, constraints.path_length) == expected


RENEWALS = [
    # what happens, second call's arguments, CA kept, certificate kept
    ("nothing changed", {}, True, True),
    ("a day before renewal is due", {"now": NOW + SERVER_LIFETIME - RENEW_BEFORE - timedelta(days=1)}, True, True),
    ("renewal is due", {"now": NOW + SERVER_LIFETIME - RENEW_BEFORE}, True, False),
    ("a name was added", {"domain": "s3.example"}, True, False),
    ("the CA would end before its certificate", {"now": NOW + CA_LIFETIME - SERVER_LIFETIME}, False, False),
]


@pytest.mark.parametrize(("what", "change", "keeps_ca", "keeps_certificate"), RENEWALS, ids=[r[0] for r in RENEWALS])
def test_renewal(tmp_path, what, change, keeps_ca, keeps_certificate):
    pair = _make(tmp_path)
    ca, certificate = pair.ca.read_bytes(), pair.certificate.read_bytes()
    _make(tmp_path, **change)
    assert (pair.ca.read_bytes() == ca) is keeps_ca
    assert (pair.certificate.read_bytes() == certificate) is keeps_certificate


def test_a_certificate_of_another_ca_is_replaced(tmp_path):
    mine = _make(tmp_path / "mine")
    other = _make(tmp_path / "other")
    mine.certificate.write_bytes(other.certificate.read_bytes())
    _make(tmp_path / "mine")
    assert mine.certificate.read_bytes() != other.certificate.read_bytes()


def test_files_that_are_not_certificates_are_told_and_kept(tmp_path):
    pair = _make(tmp_path)
    pair.ca.write_text("rubbish")
    with pytest.raises(ConfigError, match="cannot be read"):
        _make(tmp_path)
    assert pair.ca.read_text() == "rubbish"


def test_a_given_pair_must_exist_and_match(tmp_path):
    one, two = _make(tmp_path / "one"), _make(tmp_path / "two")
    assert given_pair(one.certificate, one.key).ca is None
    for certificate, key in ((one.certificate, two.key), (one.key, one.key), (tmp_path / "none", one.key)):
        with pytest.raises(ConfigError):
            given_pair(certificate, key)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_clients_that_trust_the_ca_are_served(start_stand_in, tmp_path, version):
    server = start_stand_in(1, "--tls", str(tmp_path / "tls"))
    context = ssl.create_default_context(cafile=str(tmp_path / "tls" / "ca.pem"))
    context.minimum_version = context.maximum_version = version
    with server.connection(tls=context) as connection:
        connection.send(request("GET", "/show"))
        assert b'"secure": true' in connection.receive().body


def test_clients_that_do_not_trust_the_ca_refuse_it(start_stand_in, tmp_path):
    server = start_stand_in(1, "--tls", str(tmp_path / "tls"))
    with pytest.raises(ssl.SSLCertVerificationError):
        server.connection(tls=ssl.create_default_context())


def test_tls_1_1_is_refused(start_stand_in, tmp_path):
    server = start_stand_in(1, "--tls", str(tmp_path / "tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.connection(tls=context)


def test_sighup_makes_workers_read_a_new_certificate(start_stand_in, tmp_path):
    folder = tmp_path / "tls"
    server = start_stand_in(1, "--tls", str(folder))
    before = ssl.get_server_certificate(("127.0.0.1", server.port))
    (folder / "server.pem").unlink()
    new = _make(folder, now=datetime.now(UTC))
    (worker,) = server.workers()
    server.process.send_signal(1)
    eventually("the worker has given way", lambda: worker not in server.workers())
    after = ssl.get_server_certificate(("127.0.0.1", server.port))
    assert after != before
    assert after in new.certificate.read_text()
