"""`--tls auto`: a local CA and a server certificate, made and renewed without asking.

What lives here: what the two certificates say, when they are renewed, where they lie, and the check of an operator's
own pair. What does not: the handshake (Granian, rustls).

Laws: keys are EC P-256, in files of mode 0600 within a folder of mode 0700 under the configuration folder, never in the
data folder. A CA that is still good is kept, because people have put it into their trust stores. The CA may sign only
end certificates (path length 0). Every file is replaced by write, fsync, rename.

Source: RFC 5280; CA/Browser Forum baseline requirements for lifetimes clients accept.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from s3al.errors import ConfigError

CA_LIFETIME = timedelta(days=3650)
SERVER_LIFETIME = timedelta(days=397)  # clients of browsers' kind refuse more
RENEW_BEFORE = timedelta(days=30)
_BACKDATED = timedelta(minutes=5)  # clocks of clients differ


@dataclass(frozen=True, slots=True)
class TlsPair:
    """Paths that the server reads; ca is None for an operator's own pair."""

    certificate: Path
    key: Path
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class _Signer:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def automatic_pair(folder: Path, *, domain: str | None, listen_host: str, now: datetime) -> TlsPair:
    """The pair in `folder`, made or renewed as needed for these names.

    Raises ConfigError if the folder cannot be written or what it holds cannot be read.
    """
    pair = TlsPair(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        signer = _authority(folder, now)
        names = server_names(domain, listen_host)
        if not _is_good(pair, signer, names, now):
            _issue(pair, signer, names, now)
    except OSError as exc:
        raise ConfigError(f"cannot keep TLS keys in {folder}: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigError(
            f"the TLS files in {folder} cannot be read", advice="move the folder away to have new ones made"
        ) from exc
    return pair


def given_pair(certificate: Path, key: Path) -> TlsPair:
    """An operator's own pair, proven readable and matching. Raises ConfigError."""
    for path in (certificate, key):
        if not path.is_file():
            raise ConfigError(f"--tls: there is no file {path}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError, ValueError) as exc:
        raise ConfigError(
            f"--tls: {certificate} and {key} are not a certificate and its unencrypted private key in PEM"
        ) from exc
    return TlsPair(certificate, key)


def server_names(domain: str | None, listen_host: str) -> list[x509.GeneralName]:
    """The names a client may use: loopback, this host, the address listened on, the domain and its buckets."""
    names = ["localhost", socket.gethostname().lower()]
    addresses = ["127.0.0.1", "::1"]
    try:
        address = ipaddress.ip_address(listen_host)
        if not address.is_unspecified:
            addresses.append(str(address))
    except ValueError:
        names.append(listen_host.lower())
    if domain:
        names += [domain, f"*.{domain}"]
    usable = [name for name in dict.fromkeys(names) if _is_dns_name(name)]
    return [
        *(x509.DNSName(name) for name in usable),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in dict.fromkeys(addresses)),
    ]


def _authority(folder: Path, now: datetime) -> _Signer:
    certificate_path, key_path = folder / "ca.pem", folder / "ca.key"
    if certificate_path.exists() and key_path.exists():
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("the CA key is not an EC key")
        if now + SERVER_LIFETIME < certificate.not_valid_after_utc:
            return _Signer(certificate, key)
    key = ec.generate_private_key(ec.SECP256R1())
    # The host in the name lets a person tell the CAs of several machines apart in a trust store.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"s3al local CA ({socket.gethostname()})"[:64])])
    certificate = (
        _builder(name, name, key.public_key(), now, CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _replace(key_path, _private_pem(key))
    _replace(certificate_path, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return _Signer(certificate, key)


def _is_good(pair: TlsPair, signer: _Signer, names: Sequence[x509.GeneralName], now: datetime) -> bool:
    if not (pair.certificate.exists() and pair.key.exists()):
        return False
    certificate = x509.load_pem_x509_certificates(pair.certificate.read_bytes())[0]
    if now + RENEW_BEFORE >= certificate.not_valid_after_utc or certificate.issuer != signer.certificate.subject:
        return False
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    try:
        certificate.verify_directly_issued_by(signer.certificate)
    except Exception:  # noqa: BLE001 - whatever fails, the certificate is not this CA's, and a new one is made
        return False
    return set(names) <= set(alternative)


def _issue(pair: TlsPair, signer: _Signer, names: Sequence[x509.GeneralName], now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "s3al server")])
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    certificate = (
        _builder(subject, signer.certificate.subject, key.public_key(), now, SERVER_LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority_key, critical=False)
        .sign(signer.key, hashes.SHA256())
    )
    chain = certificate.public_bytes(serialization.Encoding.PEM)
    chain += signer.certificate.public_bytes(serialization.Encoding.PEM)
    _replace(pair.key, _private_pem(key))
    _replace(pair.certificate, chain, mode=0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _BACKDATED)
        .not_valid_after(now.astimezone(UTC) + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _replace(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write beside, fsync, rename, fsync the folder: a reader sees the old file or the new one."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _is_dns_name(name: str) -> bool:
    labels = name.removeprefix("*.").split(".")
    return len(name) <= 253 and all(
        label and len(label) <= 63 and label.isascii() and label.replace("-", "").replace("_", "").isalnum()
        for label in labels
    )
