"""The cryptographic operations: Encrypt, Decrypt, ReEncrypt, data keys, random bytes.

What lives here: these operations, symmetric and RSA, and how a ciphertext names its key. What does not: the cipher
(crypto.keys), the data keys that S3 asks for (data_keys).

Laws: the order is validate, resolve, authorize, state, key and ciphertext, DryRun last; nothing that DryRun
answers differs from what would have happened; a ciphertext whose key the caller did not name tells nothing of
that key to whoever may not use it; plaintext is in no log and no error.

Source: KMS API reference; messages as recorded from AWS.
"""

from __future__ import annotations

from collections.abc import Iterable

from s3al.auth.authorized import Authorized
from s3al.crypto.keys import KmsBlob
from s3al.errors import RequestError
from s3al.kms.access import hidden_key, key_check, on_account, read
from s3al.kms.envelope import checked_context, current_material, new_data_key, open_sealed, parse_blob, seal
from s3al.kms.identifiers import Asker, NamedKey, existing_key, find_named_key
from s3al.kms.key_specs import ENCRYPT_DECRYPT, SYMMETRIC, require_algorithm, require_usage
from s3al.kms.ports import OPERATIONS, Kms
from s3al.kms.private_keys import rsa_decrypt, rsa_encrypt
from s3al.kms.states import state_after
from s3al.kms.uses import done, refuse_recipient
from s3al.service.operation import Call, Check, Params, Reply
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow

_DATA_KEY_BYTES = {"AES_256": 32, "AES_128": 16}
_CONTEXTS = ("EncryptionContext", "SourceEncryptionContext", "DestinationEncryptionContext")


def _pairs(call: Call, member: str = "EncryptionContext") -> dict[str, str]:
    return call.params.get(member) or {}


def _algorithm(call: Call, member: str = "EncryptionAlgorithm") -> str:
    return call.params.get(member) or SYMMETRIC


def _validate(params: Params) -> None:
    """What can be refused before any key is looked at."""
    refuse_recipient(params)
    for member in _CONTEXTS:
        checked_context(params.get(member) or {})


def require_symmetric(key: KeyRow, operation: str) -> None:
    """Raises InvalidKeyUsageException for keys that make no data keys."""
    require_usage(key.arn, key.key_usage, operation, ENCRYPT_DECRYPT)
    require_algorithm(key.key_spec, key.key_usage, SYMMETRIC)


def _check_use(call: Call, key: KeyRow, algorithm: str, pairs: dict[str, str]) -> None:
    require_usage(key.arn, key.key_usage, call.operation, ENCRYPT_DECRYPT)
    require_algorithm(key.key_spec, key.key_usage, algorithm)
    if pairs and algorithm != SYMMETRIC:
        raise RequestError("ValidationException", "An encryption context is valid for symmetric encryption keys alone.")


# --- which key


def _named(rows: Rows, call: Call, member: str) -> NamedKey:
    return find_named_key(rows, call.params[member], Asker.of(call), aliases=True)


def _source(rows: Rows, call: Call, member: str, algorithm: str) -> tuple[NamedKey, KmsBlob | None]:
    """The key to decrypt with: the one the request names, else the one its ciphertext names. No blob in a dry run
    that ignores the ciphertext, and none of RSA, whose ciphertext is the number alone."""
    if _ignores_ciphertext(call, member):
        return _named(rows, call, member), None
    raw: bytes | None = call.params.get("CiphertextBlob")
    if raw is None:
        raise RequestError(
            "ValidationException",
            "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: "
            "Member must not be null",
        )
    if algorithm != SYMMETRIC:
        if not call.params.get(member):
            raise RequestError("ValidationException", f"{member} is required to decrypt with an asymmetric KMS key.")
        return _named(rows, call, member), None
    if call.params.get(member):
        return _named(rows, call, member), parse_blob(raw)
    blob = parse_blob(raw)
    row = existing_key(rows, blob.key_id, call.region, call.now_ms)
    if row is None:
        raise hidden_key()
    return NamedKey(row), blob


def _ignores_ciphertext(call: Call, member: str) -> bool:
    if not call.params.get("DryRunModifiers"):
        return False
    if not call.params.get("DryRun") or not call.params.get(member):
        raise RequestError("ValidationException", f"DryRunModifiers are valid only with DryRun and {member}.")
    return True


def _require_key(named: NamedKey, blob: KmsBlob) -> None:
    if blob.key_id != named.row.key_id:
        raise RequestError("IncorrectKeyException")


def _opened(
    rows: Rows, kms: Kms, call: Call, source: tuple[NamedKey, KmsBlob | None], *, algorithm: str, pairs: dict[str, str]
) -> tuple[bytes, Params]:
    """The plaintext, and KeyMaterialId if there is one to tell."""
    named, blob = source
    if _ignores_ciphertext(call, "SourceKeyId" if call.operation == "ReEncrypt" else "KeyId"):
        raise RequestError("DryRunOperationException")
    if blob is None:
        material = current_material(rows, kms, named.row)
        return rsa_decrypt(material, algorithm, call.params["CiphertextBlob"]), {}
    _require_key(named, blob)
    return open_sealed(rows, kms, named.row, blob, pairs), {"KeyMaterialId": blob.material_id.hex()}


def _sealed(
    rows: Rows, kms: Kms, key: KeyRow, plaintext: bytes, *, algorithm: str, pairs: dict[str, str]
) -> tuple[bytes, Params]:
    """The ciphertext, and KeyMaterialId if there is one to tell."""
    if algorithm != SYMMETRIC:
        return rsa_encrypt(key.key_spec, current_material(rows, kms, key), algorithm, plaintext), {}
    sealed = seal(rows, kms, key, plaintext, pairs)
    return sealed.blob, {"KeyMaterialId": sealed.material_id.hex()}


# --- the operations


def _encrypt_checks(call: Call, rows: Rows, kms: Kms) -> Iterable[Check]:
    _validate(call.params)
    return (key_check(rows, call, "kms:Encrypt", _named(rows, call, "KeyId"), pairs=_pairs(call)),)


@OPERATIONS.operation("Encrypt", _encrypt_checks)
async def encrypt(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def reader(rows: Rows) -> Reply:
        key = _named(rows, call, "KeyId").row
        algorithm, pairs = _algorithm(call), _pairs(call)
        state_after(call.operation, key, call.now_ms)
        _check_use(call, key, algorithm, pairs)
        ciphertext, _ = _sealed(rows, kms, key, call.params["Plaintext"], algorithm=algorithm, pairs=pairs)
        return done(call, kms, key, {"CiphertextBlob": ciphertext, "KeyId": key.arn, "EncryptionAlgorithm": algorithm})

    return await read(authorized, call, kms, reader)


def _decrypt_checks(call: Call, rows: Rows, kms: Kms) -> Iterable[Check]:
    _validate(call.params)
    named, _ = _source(rows, call, "KeyId", _algorithm(call))
    return (key_check(rows, call, "kms:Decrypt", named, pairs=_pairs(call)),)


@OPERATIONS.operation("Decrypt", _decrypt_checks)
async def decrypt(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def reader(rows: Rows) -> Reply:
        algorithm, pairs = _algorithm(call), _pairs(call)
        source = _source(rows, call, "KeyId", algorithm)
        key = source[0].row
        state_after(call.operation, key, call.now_ms)
        _check_use(call, key, algorithm, pairs)
        plaintext, material = _opened(rows, kms, call, source, algorithm=algorithm, pairs=pairs)
        output = {"KeyId": key.arn, "Plaintext": plaintext, "EncryptionAlgorithm": algorithm, **material}
        return done(call, kms, key, output)

    return await read(authorized, call, kms, reader)


def _re_encrypt_checks(call: Call, rows: Rows, kms: Kms) -> Iterable[Check]:
    _validate(call.params)
    source, _ = _source(rows, call, "SourceKeyId", _algorithm(call, "SourceEncryptionAlgorithm"))
    destination = _named(rows, call, "DestinationKeyId")
    same = {"kms:ReEncryptOnSameKey": "true" if source.row.key_id == destination.row.key_id else "false"}
    for action, named, member in (
        ("kms:ReEncryptFrom", source, "SourceEncryptionContext"),
        ("kms:ReEncryptTo", destination, "DestinationEncryptionContext"),
    ):
        check = key_check(rows, call, action, named, pairs=_pairs(call, member))
        yield Check(check.action, check.resource, {**check.context, **same})


@OPERATIONS.operation("ReEncrypt", _re_encrypt_checks)
async def re_encrypt(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def reader(rows: Rows) -> Reply:
        opens, seals = (_algorithm(call, f"{side}EncryptionAlgorithm") for side in ("Source", "Destination"))
        known, pairs = (_pairs(call, f"{side}EncryptionContext") for side in ("Source", "Destination"))
        source = _source(rows, call, "SourceKeyId", opens)
        key, destination = source[0].row, _named(rows, call, "DestinationKeyId").row
        for row, algorithm, context in ((key, opens, known), (destination, seals, pairs)):
            state_after(call.operation, row, call.now_ms)
            _check_use(call, row, algorithm, context)
        plaintext, old = _opened(rows, kms, call, source, algorithm=opens, pairs=known)
        ciphertext, new = _sealed(rows, kms, destination, plaintext, algorithm=seals, pairs=pairs)
        output = {
            "CiphertextBlob": ciphertext,
            "SourceKeyId": key.arn,
            "KeyId": destination.arn,
            "SourceEncryptionAlgorithm": opens,
            "DestinationEncryptionAlgorithm": seals,
            **{f"Source{name}": value for name, value in old.items()},
            **{f"Destination{name}": value for name, value in new.items()},
        }
        reply = done(call, kms, key, output)
        kms.usage.remember(destination, call.operation, now_ms=call.now_ms, request_id=call.request_id)
        return reply

    return await read(authorized, call, kms, reader)


def _data_key_bytes(params: Params) -> int:
    """Exactly one of KeySpec and NumberOfBytes says how long the data key is."""
    spec, number = params.get("KeySpec"), params.get("NumberOfBytes")
    if (spec is None) == (number is None):
        raise RequestError("ValidationException", "Please specify either number of bytes or key spec.")
    return int(number) if number is not None else _DATA_KEY_BYTES[str(spec)]


def _data_key_checks(call: Call, rows: Rows, kms: Kms) -> Iterable[Check]:
    _validate(call.params)
    _data_key_bytes(call.params)
    return (key_check(rows, call, f"kms:{call.operation}", _named(rows, call, "KeyId"), pairs=_pairs(call)),)


@OPERATIONS.operation("GenerateDataKey", _data_key_checks)
@OPERATIONS.operation("GenerateDataKeyWithoutPlaintext", _data_key_checks)
async def generate_data_key(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def reader(rows: Rows) -> Reply:
        key = _named(rows, call, "KeyId").row
        state_after(call.operation, key, call.now_ms)
        require_symmetric(key, call.operation)
        data_key = new_data_key(rows, kms, key, _pairs(call), _data_key_bytes(call.params))
        output = {"CiphertextBlob": data_key.blob, "KeyId": key.arn, "KeyMaterialId": data_key.material_id.hex()}
        if call.operation == "GenerateDataKey":
            output["Plaintext"] = data_key.plaintext
        return done(call, kms, key, output)

    return await read(authorized, call, kms, reader)


@OPERATIONS.operation("GenerateRandom", on_account("kms:GenerateRandom"))
async def generate_random(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    _validate(call.params)
    if call.params.get("CustomKeyStoreId"):
        raise RequestError("UnsupportedOperationException", "Custom key stores are not supported.")
    number = call.params.get("NumberOfBytes")
    if number is None:
        raise RequestError("ValidationException", "NumberOfBytes is required.")
    return done(call, kms, None, {"Plaintext": kms.random(number)})
