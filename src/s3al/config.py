"""What `s3al serve` is told: flags and environment, checked once and frozen.

What lives here: `ServeConfig`, the parsing of its values, and where configuration files lie.
What does not: acting on them (`app`, `server`); limits of the protocol (`s3.limits`) and of the HTTP layer (`server`).

Laws: nothing else reads the environment; a value that is wrong is a ConfigError that names the flag;
outside loopback TLS is required unless the operator insists; keys and configuration never lie in the data folder.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from s3al.errors import ConfigError

DEFAULT_DATA = Path("s3al-data")
DEFAULT_LISTEN = "127.0.0.1:9000"
DEFAULT_REGION = "us-east-1"
MAX_WORKERS = 64
# Above this many the writers' lock and the page cache decide, not the processors; more can be asked for.
MAX_DEFAULT_WORKERS = 8

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_DNS_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")
_ACCESS_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{3,128}\Z")
_MIN_SECRET_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate chain and its private key, both PEM, given by the operator."""

    certificate: Path
    key: Path


TlsChoice = Literal["off", "auto"] | TlsFiles


@dataclass(frozen=True, slots=True)
class RootCredentials:
    """The operator's root access key, when the environment fixes it."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """Everything `s3al serve` depends on.

    data: folder of the store. host: an address or a name that resolves to one; port: 0 picks a free one.
    root_key: a seal such as `keyfile:PATH`; None means the default keyfile under `config_home`.
    domain: base name of virtual-host addressing. trusted_proxies: peers whose X-Forwarded-* count.
    config_home: `$XDG_CONFIG_HOME/s3al`. root_credentials: from the environment; None means random or as stored.
    """

    data: Path = DEFAULT_DATA
    host: str = "127.0.0.1"
    port: int = 9000
    workers: int = 1
    tls: TlsChoice = "off"
    insecure_http: bool = False
    root_key: str | None = None
    domain: str | None = None
    trusted_proxies: tuple[IpNetwork, ...] = ()
    log_names: bool = False
    region: str = DEFAULT_REGION
    config_home: Path = Path("~/.config/s3al")
    root_credentials: RootCredentials | None = None

    def __post_init__(self) -> None:
        if self.tls == "off" and not self.insecure_http and not is_loopback(self.host):
            raise ConfigError(
                f"refusing to serve plain HTTP on {self.host}, which is not a loopback address",
                advice="use --tls auto or --tls CERT:KEY, or --insecure-http to accept that all is sent in the clear",
            )
        if not 1 <= self.workers <= MAX_WORKERS:
            raise ConfigError(f"--workers must be between 1 and {MAX_WORKERS}, not {self.workers}")
        if _is_within(self.config_home, self.data):
            raise ConfigError(
                f"the configuration folder {self.config_home} lies inside the data folder {self.data}",
                advice="keys beside the data protect nothing: choose another --data, or set XDG_CONFIG_HOME",
            )

    @property
    def endpoint(self) -> str:
        """The URL a client on this machine uses."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        scheme = "http" if self.tls == "off" else "https"
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"

    @property
    def tls_folder(self) -> Path:
        """Where `--tls auto` keeps its CA and certificate."""
        return self.config_home / "tls"


def config_home(environ: Mapping[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/s3al`; as the XDG specification says, a relative value is ignored."""
    home = environ.get("XDG_CONFIG_HOME", "")
    if home.startswith("/"):
        return Path(home) / "s3al"
    return Path(environ.get("HOME") or os.path.expanduser("~")) / ".config" / "s3al"


def root_credentials(environ: Mapping[str, str]) -> RootCredentials | None:
    """From S3AL_ROOT_ACCESS_KEY_ID and S3AL_ROOT_SECRET_ACCESS_KEY; both or neither."""
    key_id = environ.get("S3AL_ROOT_ACCESS_KEY_ID", "")
    secret = environ.get("S3AL_ROOT_SECRET_ACCESS_KEY", "")
    if not key_id and not secret:
        return None
    if not (key_id and secret):
        raise ConfigError("S3AL_ROOT_ACCESS_KEY_ID and S3AL_ROOT_SECRET_ACCESS_KEY must be set together")
    if not _ACCESS_KEY_ID.match(key_id):
        raise ConfigError("S3AL_ROOT_ACCESS_KEY_ID must be 3 to 128 letters, digits or _ . -")
    if len(secret) < _MIN_SECRET_CHARACTERS or not secret.isascii() or not secret.isprintable():
        raise ConfigError(
            f"S3AL_ROOT_SECRET_ACCESS_KEY must be at least {_MIN_SECRET_CHARACTERS} printable ASCII characters"
        )
    return RootCredentials(key_id, secret)


def parse_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT` or `[IPV6]:PORT` as (host without brackets, port)."""
    host, colon, port_text = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_ip(host, 6):
            raise ConfigError(f"--listen {text}: {host} is not an IPv6 address")
    elif ":" in host:
        raise ConfigError(f"--listen {text}: an IPv6 address needs brackets, as in [::1]:9000")
    if not colon or not host:
        raise ConfigError(f"--listen {text}: expected HOST:PORT, as in {DEFAULT_LISTEN}")
    if not (port_text.isascii() and port_text.isdigit()) or int(port_text) > 65535:
        raise ConfigError(f"--listen {text}: {port_text or 'nothing'} is not a port")
    return host, int(port_text)


def parse_tls(text: str) -> TlsChoice:
    """`off`, `auto`, or `CERT:KEY`."""
    if text in ("off", "auto"):
        return "off" if text == "off" else "auto"
    certificate, colon, key = text.partition(":")
    if not (colon and certificate and key):
        raise ConfigError(f"--tls {text}: expected off, auto, or CERT:KEY (two paths)")
    return TlsFiles(Path(certificate), Path(key))


def parse_domain(text: str | None) -> str | None:
    if text is None:
        return None
    name = text.lower().rstrip(".")
    if not _DNS_NAME.match(name) or _is_ip(name, 4):
        raise ConfigError(f"--domain {text}: not a DNS name")
    return name


def parse_networks(texts: Sequence[str]) -> tuple[IpNetwork, ...]:
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as exc:
        raise ConfigError(f"--trusted-proxy: {exc}") from exc


def default_workers() -> int:
    """One for each processor this process may use, within reason."""
    return min(len(os.sched_getaffinity(0)), MAX_DEFAULT_WORKERS)


def is_loopback(host: str) -> bool:
    """Whether every address that `host` stands for is a loopback address; an unknown name is not."""
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return False
    return bool(addresses) and all(ipaddress.ip_address(address).is_loopback for address in addresses)


def _is_ip(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def _is_within(inner: Path, outer: Path) -> bool:
    return inner.expanduser().resolve().is_relative_to(outer.expanduser().resolve())
