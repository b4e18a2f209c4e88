"""The PKCS#11 seal: a key that never leaves a token (an HSM, a smart card, SoftHSM).

What lives here: finding the token and its key, sealing with it. What does not: the URI that names them (addresses),
the PIN's whereabouts (secret_source).

Laws: the key in the token must be sensitive and not extractable, else it is refused; each operation opens a session
and closes it, so that a token that comes back is used again; a PIN that the token refuses is never tried twice in one
start, since tokens lock. A token without AES-GCM wraps a one-time key instead (AES key wrap), which seals here.

Source: PKCS #11 v3.0, sections 2.12 (AES-GCM), 2.14 (AES key wrap); RFC 3394; spec/key-hierarchy.md, Seals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from s3al.crypto.encoding import canonical
from s3al.crypto.keys import unwrap, wrap
from s3al.errors import ConfigError, IntegrityError, StoreError
from s3al.kms.seals.addresses import TokenAddress
from s3al.kms.seals.port import CHECK_PLACE, SEAL_KEY_BYTES, Parameters, Random

_BY_GCM, _BY_KEY_WRAP = b"\x01", b"\x02"
_IV_BYTES = 12
_TAG_BITS = 128
_WRAP_RANDOM_BYTES = 28
_WRAPPED_KEY_BYTES = SEAL_KEY_BYTES + 8

# Errors of the token that mean that what it was given does not open. SoftHSM says GeneralError for a wrong tag.
_DOES_NOT_OPEN = frozenset(
    {
        *("GeneralError", "EncryptedDataInvalid", "EncryptedDataLenRange", "WrappedKeyInvalid", "WrappedKeyLenRange"),
        *("ArgumentsBad", "DataInvalid", "DataLenRange", "FunctionFailed"),
    }
)
_WRONG_PIN = frozenset(
    {"PinIncorrect", "PinInvalid", "PinLocked", "PinExpired", "PinLenRange", "UserPinNotInitialized"}
)


@dataclass(frozen=True, slots=True)
class Pkcs11Seal:
    """pin: of the token's user. prefers_key_wrap: also where the token has AES-GCM."""

    address: TokenAddress
    pin: str = field(repr=False)
    prefers_key_wrap: bool = False

    @property
    def kind(self) -> str:
        return "pkcs11"

    @property
    def parameters(self) -> Parameters:
        return {"token": self.address.token, "object": self.address.key_label}

    def describe(self) -> str:
        return f"key {self.address.key_label} in token {self.address.token}"

    def ensure_key(self) -> None:
        """Make the key in the token if there is none of this name."""
        import pkcs11

        with self._session(writable=True) as session:
            try:
                _key(session, self.address)
            except pkcs11.exceptions.NoSuchKey:
                session.generate_key(
                    pkcs11.KeyType.AES,
                    8 * SEAL_KEY_BYTES,
                    label=self.address.key_label,
                    store=True,
                    template=_template(pkcs11.Attribute),
                )

    def seal(self, root_key: bytes, *, place: bytes, random: Random) -> bytes:
        with self._session() as session:
            key = _usable(session, self.address)
            if self._uses_gcm(session):
                iv = random(_IV_BYTES)
                return _BY_GCM + iv + bytes(key.encrypt(root_key, **_gcm(iv, place)))
            once = random(SEAL_KEY_BYTES)
            sealed = wrap(once, root_key, associated_data=place, random=random(_WRAP_RANDOM_BYTES))
            return _BY_KEY_WRAP + _wrapped_in_token(session, key, once) + sealed

    def unseal(self, sealed: bytes, *, place: bytes) -> bytes:
        kind, rest = sealed[:1], sealed[1:]
        with self._session() as session:
            key = _usable(session, self.address)
            if kind == _BY_GCM and len(rest) > _IV_BYTES + _TAG_BITS // 8:
                iv, ciphertext = rest[:_IV_BYTES], rest[_IV_BYTES:]
                return _opened(lambda: bytes(key.decrypt(ciphertext, **_gcm(iv, place))))
            if kind == _BY_KEY_WRAP and len(rest) > _WRAPPED_KEY_BYTES:
                once = _opened(lambda: _unwrapped_in_token(key, rest[:_WRAPPED_KEY_BYTES]))
                return unwrap(once, rest[_WRAPPED_KEY_BYTES:], associated_data=place)
        raise IntegrityError("what the token sealed is damaged")

    def check_value(self, store_id: bytes, *, random: Random) -> bytes:
        return self.seal(bytes(SEAL_KEY_BYTES), place=canonical(CHECK_PLACE, store_id), random=random)

    def recognises(self, check_value: bytes, store_id: bytes) -> bool:
        try:
            return self.unseal(check_value, place=canonical(CHECK_PLACE, store_id)) == bytes(SEAL_KEY_BYTES)
        except IntegrityError:
            return False

    def _uses_gcm(self, session: Any) -> bool:
        import pkcs11

        return not self.prefers_key_wrap and pkcs11.Mechanism.AES_GCM in session.token.slot.get_mechanisms()

    @contextmanager
    def _session(self, *, writable: bool = False) -> Iterator[Any]:
        """A session of the token's user. Whatever the token raises inside it becomes an error of ours."""
        pkcs11 = _library()
        where = f"the token {self.address.token}"
        try:
            token = pkcs11.lib(str(self.address.module)).get_token(token_label=self.address.token)
            with token.open(rw=writable, user_pin=self.pin) as session:
                yield session
        except pkcs11.exceptions.PKCS11Error as error:
            name = type(error).__name__
            if name in _WRONG_PIN:
                raise ConfigError(
                    f"{where} refuses the PIN ({name})", advice="see docs/seals.md for where it comes from"
                ) from None
            raise StoreError(f"{where} cannot be used: {name}", advice=f"is {self.address.module} there?") from None


def _library() -> Any:
    try:
        import pkcs11
    except ImportError as error:
        raise ConfigError("this seal needs python-pkcs11", advice="pip install 's3al[hsm]'") from error
    return pkcs11


def _key(session: Any, address: TokenAddress) -> Any:
    import pkcs11

    return session.get_key(
        object_class=pkcs11.ObjectClass.SECRET_KEY, key_type=pkcs11.KeyType.AES, label=address.key_label
    )


def _usable(session: Any, address: TokenAddress) -> Any:
    """The key. Raises ConfigError if there is none, or one that could leave the token."""
    import pkcs11

    try:
        key = _key(session, address)
    except (pkcs11.exceptions.NoSuchKey, pkcs11.exceptions.MultipleObjectsReturned):
        raise ConfigError(
            f"the token {address.token} does not have one AES key {address.key_label}", advice="check --root-key"
        ) from None
    if key[pkcs11.Attribute.EXTRACTABLE] or not key[pkcs11.Attribute.SENSITIVE]:
        raise ConfigError(
            f"the key {address.key_label} can leave its token", advice="make one that is sensitive, not extractable"
        )
    return key


def _template(attribute: Any) -> dict[Any, bool]:
    on = (attribute.SENSITIVE, attribute.PRIVATE, attribute.ENCRYPT, attribute.DECRYPT, attribute.WRAP)
    return dict.fromkeys((*on, attribute.UNWRAP), True) | {attribute.EXTRACTABLE: False}


def _gcm(iv: bytes, place: bytes) -> dict[str, Any]:
    import pkcs11

    return {"mechanism": pkcs11.Mechanism.AES_GCM, "mechanism_param": pkcs11.GCMParams(iv, place, _TAG_BITS)}


def _wrapped_in_token(session: Any, key: Any, once: bytes) -> bytes:
    from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

    session_object = session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.VALUE: once,
            Attribute.EXTRACTABLE: True,
            Attribute.TOKEN: False,
        }
    )
    return bytes(key.wrap_key(session_object, mechanism=Mechanism.AES_KEY_WRAP))


def _unwrapped_in_token(key: Any, wrapped: bytes) -> bytes:
    from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

    readable = {Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: False, Attribute.TOKEN: False}
    session_object = key.unwrap_key(
        ObjectClass.SECRET_KEY, KeyType.AES, wrapped, mechanism=Mechanism.AES_KEY_WRAP, template=readable
    )
    return bytes(session_object[Attribute.VALUE])


def _opened(decrypt: Callable[[], bytes]) -> bytes:
    import pkcs11

    try:
        return decrypt()
    except pkcs11.exceptions.PKCS11Error as error:
        if type(error).__name__ in _DOES_NOT_OPEN:
            raise IntegrityError("what the token sealed does not open") from None
        raise
