"""From an option to an open seal, and what a seal protects.

What lives here: which kind an address leads to, how a seal of a store is opened and a new one made. What does not:
the kinds, the document's roots (root).

Laws: a seal is recognised by its check value before anything is opened with it; if it is not, but opens a root of the
store all the same, the document is damaged and not the key wrong.

Source: spec/key-hierarchy.md, Seals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from s3al.errors import ConfigError
from s3al.kms.seals import keyfile
from s3al.kms.seals.addresses import (
    Address,
    KeyfileAddress,
    PassphraseAddress,
    RemoteKeyAddress,
    TokenAddress,
    kind_of,
    parse_address,
)
from s3al.kms.seals.keyfile import KeyfileSeal, check_outside
from s3al.kms.seals.passphrase import PassphraseSeal
from s3al.kms.seals.pkcs11 import Pkcs11Seal
from s3al.kms.seals.port import Parameters, Random, Seal
from s3al.kms.seals.remote_kms import RemoteKmsSeal, client_of
from s3al.kms.seals.secret_source import SecretSource, secret_source


@dataclass(frozen=True, slots=True)
class SealPlace:
    """Of the seal that a server was started with. kind: as in store.json. beside_data: whether its keyfile lies on the
    filesystem of the data folder; None where that is not known or the seal is no file."""

    kind: str
    beside_data: bool | None


@dataclass(frozen=True, slots=True)
class SealChoice:
    """Where the seal is; nothing of it is secret. option: as in `--root-key`, None for the default keyfile below
    `config_home` (XDG_CONFIG_HOME)."""

    option: str | None
    config_home: Path

    @property
    def may_ask(self) -> bool:
        """Whether opening it may ask a person, who takes any time."""
        return (self.option or "").startswith(("passphrase:", "pkcs11:"))

    def address(self, store_id: bytes) -> Address:
        return parse_address(self.option, store_id=store_id, config_home=self.config_home)

    def path(self, store_id: bytes) -> Path:
        """Of the keyfile. Raises ConfigError if the seal is another."""
        address = self.address(store_id)
        if not isinstance(address, KeyfileAddress):
            raise ConfigError("the seal is not a keyfile")
        return address.path

    def place(self, store_id: bytes, data_folder: Path) -> SealPlace:
        """Where the seal is now, against the data."""
        address = self.address(store_id)
        beside = keyfile.beside(address.path, data_folder) if isinstance(address, KeyfileAddress) else None
        return SealPlace(kind_of(address), beside)

    def protection(self, store_id: bytes, data_folder: Path) -> list[str]:
        """What this seal protects, in lines for the operator at each start."""
        address = self.address(store_id)
        if isinstance(address, KeyfileAddress):
            return keyfile.protection(address.path, data_folder)
        what = {
            PassphraseAddress: "the passphrase",
            TokenAddress: f"the token {getattr(address, 'token', '')} and its PIN",
            RemoteKeyAddress: f"the use of {getattr(address, 'key_arn', '')}",
        }[type(address)]
        lines = [f"the data folder alone, without {what}, shows neither bytes nor names"]
        if isinstance(address, PassphraseAddress):
            lines.append("whoever takes the data folder can try passphrases: only a long one withstands that")
        return lines


def open_seal(
    choice: SealChoice, stored: Iterable[tuple[str, Parameters]], *, store_id: bytes, data_folder: Path
) -> Iterator[Seal]:
    """The seal that `choice` names, once for each record of its kind (`stored`: kind and parameters) that may be its
    own; which it is, `recognises` tells. The secret is asked for once."""
    address = choice.address(store_id)
    if isinstance(address, KeyfileAddress):
        check_outside(address.path, data_folder)
        yield KeyfileSeal.open(address.path)
        return
    if isinstance(address, PassphraseAddress):
        passphrase = secret_source().passphrase(address.name)
        for kind, parameters in stored:
            if kind == "passphrase":
                yield PassphraseSeal.open(passphrase, parameters)
        return
    yield _distant(address, store_id, secret_source())


def new_seal(choice: SealChoice, *, store_id: bytes, data_folder: Path, random: Random) -> Seal:
    """A seal that the store does not have yet. A keyfile, or a key in a token, is made if there is none."""
    address = choice.address(store_id)
    if isinstance(address, KeyfileAddress):
        check_outside(address.path, data_folder)
        path = address.path
        return KeyfileSeal.open(path) if path.exists() else KeyfileSeal.create(path, random)
    if isinstance(address, PassphraseAddress):
        return PassphraseSeal.create(secret_source().passphrase(address.name, is_new=True), random=random)
    seal = _distant(address, store_id, secret_source())
    if isinstance(seal, Pkcs11Seal):
        seal.ensure_key()
    return seal


def _distant(address: TokenAddress | RemoteKeyAddress, store_id: bytes, secrets: SecretSource) -> Seal:
    if isinstance(address, TokenAddress):
        return Pkcs11Seal(address, secrets.pin(address.pin_file))
    return RemoteKmsSeal(address, store_id, client_of(address))


def wrong_secret(choice: SealChoice, store_id: bytes, kinds: Iterable[str]) -> ConfigError:
    """What to say when no record of the store is this seal's. kinds: of the seals that the store has."""
    kind, has = kind_of(choice.address(store_id)), sorted(set(kinds))
    if kind not in has:
        return ConfigError(
            f"this store has no {kind} seal, but {' and '.join(has)}", advice="name one of them with --root-key"
        )
    if kind == "passphrase":
        return ConfigError("this is not the passphrase of this store", advice="nothing is damaged: try again")
    return ConfigError(
        f"the {kind} seal holds a key, but not one of this store's",
        advice=f"name the seal of store {store_id.hex()} with --root-key",
    )
