"""An OpenID Connect provider on loopback: HTTPS under a CA of the test's own, keys that can be changed, tokens.

`environ` lets a process trust the CA, as an operator's machine trusts the CAs of the world.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass
class OidcProvider:
    """url: its issuer. keys: by key id; the last one signs. asked: the paths that were fetched."""

    folder: Path
    url: str = ""
    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict, repr=False)
    asked: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As condition keys and the ARN name it."""
        return self.url.removeprefix("https://")

    @property
    def environ(self) -> dict[str, str]:
        return {"SSL_CERT_FILE": str(self.folder / "ca.pem"), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

    def new_key(self, key_id: str) -> None:
        self.keys[key_id] = ec.generate_private_key(ec.SECP256R1())

    def token(self, *, key_id: str | None = None, **claims: Any) -> str:
        """claims: those that are other than a good token's for the audience `app`; None leaves one out."""
        now, key_id = int(time.time()), key_id or list(self.keys)[-1]
        made = {"iss": self.url, "sub": "ann", "aud": "app", "iat": now, "exp": now + 600} | claims
        said = {name: value for name, value in made.items() if value is not None}
        return jwt.encode(said, self.keys[key_id], "ES256", headers={"kid": key_id})

    def document(self, path: str) -> bytes | None:
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            return json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()
        if path != "/keys":
            return None
        described = jwt.algorithms.ECAlgorithm.to_jwk
        shown = [
            {**described(key.public_key(), as_dict=True), "kid": name, "use": "sig"} for name, key in self.keys.items()
        ]
        return json.dumps({"keys": shown}).encode()


@contextmanager
def oidc_provider(folder: Path) -> Iterator[OidcProvider]:
    provider = OidcProvider(folder)
    provider.new_key("one")

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = provider.document(self.path)
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.socket = _server_context(folder).wrap_socket(server.socket, server_side=True)
    provider.url = f"https://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _server_context(folder: Path) -> ssl.SSLContext:
    """With a certificate for 127.0.0.1, under the CA in `folder/ca.pem`."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA for tests")])
    ca = _certificate(ca_name, ca_name, ca_key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    host = _certificate(ca_name, x509.Name([]), key.public_key()).add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True
    )
    (folder / "ca.pem").write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "host.pem").write_bytes(host.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "host.pem")
    return context


def _certificate(issuer: x509.Name, subject: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
    )
