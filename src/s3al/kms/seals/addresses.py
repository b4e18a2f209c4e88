"""How an option names a seal: `keyfile:PATH`, `passphrase:`, `pkcs11:...`, `kms:ARN`.

What lives here: parsing them, pure. What does not: opening what they name (opening).

Laws: an address holds nothing secret, since it stands in argv: a PIN in it is refused; what is not understood is
refused, never ignored.

    keyfile:PATH                        a file; left out, the default file of the store in the configuration folder
    passphrase:[NAME]                   NAME tells two passphrases apart
    pkcs11:token=T;object=K?module-path=LIB[&pin-source=file:PATH]
    kms:KEY-ARN[@ENDPOINT]

Source: RFC 7512 (the PKCS #11 URI scheme).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from s3al.errors import ConfigError

KINDS = ("keyfile", "passphrase", "pkcs11", "kms")
_NAME = re.compile(r"[a-z0-9]{0,16}\Z")
_KEY_ARN = re.compile(r"arn:[a-z0-9-]+:kms:([a-z0-9-]+):\d{12}:key/[A-Za-z0-9-]+\Z")
_ENDPOINT = re.compile(r"https?://[^\s@/?#]+/?\Z")


@dataclass(frozen=True, slots=True)
class KeyfileAddress:
    path: Path


@dataclass(frozen=True, slots=True)
class PassphraseAddress:
    """name: empty for the one that a store has usually."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class TokenAddress:
    """key_label: of an AES key in the token. pin_file: None means environment, credential or terminal."""

    token: str
    key_label: str
    module: Path
    pin_file: Path | None = None


@dataclass(frozen=True, slots=True)
class RemoteKeyAddress:
    """endpoint: empty for AWS's own."""

    key_arn: str
    region: str
    endpoint: str = ""


Address = KeyfileAddress | PassphraseAddress | TokenAddress | RemoteKeyAddress


def parse_address(option: str | None, *, store_id: bytes, config_home: Path) -> Address:
    """Every command resolves `--root-key` through this function. config_home: `$XDG_CONFIG_HOME`.

    Raises ConfigError for what names no seal.
    """
    if option is None:
        return KeyfileAddress(config_home / "s3al" / f"{store_id.hex()}.rootkey")
    kind, colon, rest = option.partition(":")
    if kind == "keyfile" and rest:
        return KeyfileAddress(Path(rest))
    if kind == "passphrase" and colon and _NAME.match(rest):
        return PassphraseAddress(rest)
    if kind == "pkcs11" and rest:
        return _token(rest)
    if kind == "kms" and rest:
        return _remote_key(rest)
    raise ConfigError(
        f"unknown seal {kind!r}", advice="use keyfile:PATH, passphrase:, pkcs11:... or kms:ARN; see docs/seals.md"
    )


def kind_of(address: Address) -> str:
    names = {KeyfileAddress: 0, PassphraseAddress: 1, TokenAddress: 2, RemoteKeyAddress: 3}
    return KINDS[names[type(address)]]


def _token(text: str) -> TokenAddress:
    path, _, query = text.partition("?")
    given: dict[str, str] = {}
    for part in (*path.split(";"), *query.split("&")):
        name, equals, value = part.partition("=")
        if part and (not equals or name in given):
            raise ConfigError(f"--root-key pkcs11: {name!r} is not understood")
        given[name] = unquote(value)
    given.pop("", None)
    if "pin-value" in given:
        raise ConfigError(
            "a PIN is never given in an argument, where others can read it",
            advice="use pin-source=file:PATH, or S3AL_PIN",
        )
    unknown = set(given) - {"token", "object", "module-path", "pin-source"}
    missing = {"token", "object", "module-path"} - {name for name, value in given.items() if value}
    if unknown or missing:
        named = ", ".join(sorted(unknown or missing))
        raise ConfigError(
            f"--root-key pkcs11: {'not understood' if unknown else 'needs'} {named}",
            advice="pkcs11:token=T;object=K?module-path=LIBRARY[&pin-source=file:PATH]",
        )
    source = given.get("pin-source", "").removeprefix("file:")
    return TokenAddress(given["token"], given["object"], Path(given["module-path"]), Path(source) if source else None)


def _remote_key(text: str) -> RemoteKeyAddress:
    key_arn, _, endpoint = text.partition("@")
    found = _KEY_ARN.match(key_arn)
    if not found:
        raise ConfigError(f"--root-key kms: {key_arn!r} is not the ARN of a key", advice="an alias may be moved")
    if endpoint and not _ENDPOINT.match(endpoint):
        raise ConfigError(f"--root-key kms: {endpoint!r} is not an endpoint", advice="as in @https://kms.example:9000")
    return RemoteKeyAddress(key_arn, found[1], endpoint.rstrip("/"))
