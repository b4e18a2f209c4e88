"""Keys with a public half: Sign, Verify, GetPublicKey, DeriveSharedSecret, Encapsulate, Decapsulate; and HMAC keys:
GenerateMac, VerifyMac.

What lives here: these operations. What does not: RSA encryption (cryptography), the algorithms themselves
(kms.private_keys), which of them suits which key (kms.key_specs).

Laws: the order is authorize, state, usage, algorithm, cryptography, DryRun last; a signature or MAC that does not
verify is an error and never an answer of false.

Source: KMS API reference; messages as recorded from AWS.
"""

from __future__ import annotations

import hmac

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.kms import private_keys
from s3al.kms.access import on_key, read
from s3al.kms.envelope import current_material
from s3al.kms.identifiers import key_of
from s3al.kms.key_specs import (
    ALGORITHM_MEMBERS,
    ENCAPSULATE_DECAPSULATE,
    GENERATE_VERIFY_MAC,
    KEY_AGREEMENT,
    SIGN_VERIFY,
    algorithms,
    has_public_key,
    require_algorithm,
    require_usage,
)
from s3al.kms.ports import OPERATIONS, Kms
from s3al.kms.states import state_after
from s3al.kms.uses import done, refuse_recipient
from s3al.service.operation import Call, Reply
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow


def _usable(rows: Rows, call: Call, usage: str, algorithm: str) -> KeyRow:
    """The key that the request names, if state, usage and algorithm let it do this."""
    key = key_of(rows, call, aliases=True)
    state_after(call.operation, key, call.now_ms)
    require_usage(key.arn, key.key_usage, call.operation, usage)
    require_algorithm(key.key_spec, key.key_usage, algorithm)
    return key


@OPERATIONS.operation("Sign", on_key("kms:Sign", aliases=True))
async def sign(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    params = call.params
    algorithm, message_type = params["SigningAlgorithm"], params.get("MessageType") or "RAW"

    def reader(rows: Rows) -> Reply:
        key = _usable(rows, call, SIGN_VERIFY, algorithm)
        material = current_material(rows, kms, key)
        signature = private_keys.sign(material, algorithm, message_type, params["Message"])
        return done(call, kms, key, {"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": algorithm})

    return await read(authorized, call, kms, reader)


@OPERATIONS.operation("Verify", on_key("kms:Verify", aliases=True))
async def verify(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    params = call.params
    algorithm, message_type = params["SigningAlgorithm"], params.get("MessageType") or "RAW"

    def reader(rows: Rows) -> Reply:
        key = _usable(rows, call, SIGN_VERIFY, algorithm)
        material = current_material(rows, kms, key)
        private_keys.verify(material, algorithm, message_type, params["Message"], signature=params["Signature"])
        return done(call, kms, key, {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm})

    return await read(authorized, call, kms, reader)


@OPERATIONS.operation("GetPublicKey", on_key("kms:GetPublicKey", aliases=True))
async def get_public_key(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def reader(rows: Rows) -> Reply:
        key = key_of(rows, call, aliases=True)
        state_after(call.operation, key, call.now_ms)
        if not has_public_key(key.key_spec):
            raise RequestError(
                "UnsupportedOperationException", f"{key.arn} key spec is {key.key_spec}, which has no public key."
            )
        output = {
            "KeyId": key.arn,
            "PublicKey": private_keys.public_key(current_material(rows, kms, key)),
            "KeySpec": key.key_spec,
            "CustomerMasterKeySpec": key.key_spec,
            "KeyUsage": key.key_usage,
            ALGORITHM_MEMBERS[key.key_usage]: list(algorithms(key.key_spec, key.key_usage)),
        }
        return Reply(output)

    return await read(authorized, call, kms, reader)


@OPERATIONS.operation("DeriveSharedSecret", on_key("kms:DeriveSharedSecret", aliases=True))
async def derive_shared_secret(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    refuse_recipient(call.params)
    algorithm = call.params["KeyAgreementAlgorithm"]

    def reader(rows: Rows) -> Reply:
        key = _usable(rows, call, KEY_AGREEMENT, algorithm)
        material = current_material(rows, kms, key)
        output = {
            "KeyId": key.arn,
            "SharedSecret": private_keys.shared_secret(key.key_spec, material, call.params["PublicKey"]),
            "KeyAgreementAlgorithm": algorithm,
            "KeyOrigin": key.origin,
        }
        return done(call, kms, key, output)

    return await read(authorized, call, kms, reader)


@OPERATIONS.operation("Encapsulate", on_key("kms:Encapsulate", aliases=True))
async def encapsulate(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    algorithm = call.params["EncapsulationAlgorithm"]

    def reader(rows: Rows) -> Reply:
        key = _usable(rows, call, ENCAPSULATE_DECAPSULATE, algorithm)
        secret, ciphertext = private_keys.encapsulate(current_material(rows, kms, key))
        output = {
            "KeyId": key.arn,
            "SharedSecret": secret,
            "SharedSecretCiphertextBlob": ciphertext,
            "EncapsulationAlgorithm": algorithm,
        }
        return done(call, kms, key, output)

    return await read(authorized, call, kms, reader)


@OPERATIONS.operation("Decapsulate", on_key("kms:Decapsulate", aliases=True))
async def decapsulate(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    algorithm = call.params["EncapsulationAlgorithm"]

    def reader(rows: Rows) -> Reply:
        key = _usable(rows, call, ENCAPSULATE_DECAPSULATE, algorithm)
        material = current_material(rows, kms, key)
        secret = private_keys.decapsulate(material, call.params["SharedSecretCiphertextBlob"])
        output = {"KeyId": key.arn, "SharedSecret": secret, "EncapsulationAlgorithm": algorithm}
        return done(call, kms, key, output)

    return await read(authorized, call, kms, reader)


@OPERATIONS.operation("GenerateMac", on_key("kms:GenerateMac", aliases=True))
async def generate_mac(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    algorithm = call.params["MacAlgorithm"]

    def reader(rows: Rows) -> Reply:
        key = _usable(rows, call, GENERATE_VERIFY_MAC, algorithm)
        made = private_keys.mac(current_material(rows, kms, key), algorithm, call.params["Message"])
        return done(call, kms, key, {"KeyId": key.arn, "Mac": made, "MacAlgorithm": algorithm})

    return await read(authorized, call, kms, reader)


@OPERATIONS.operation("VerifyMac", on_key("kms:VerifyMac", aliases=True))
async def verify_mac(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    algorithm = call.params["MacAlgorithm"]

    def reader(rows: Rows) -> Reply:
        key = _usable(rows, call, GENERATE_VERIFY_MAC, algorithm)
        made = private_keys.mac(current_material(rows, kms, key), algorithm, call.params["Message"])
        if not hmac.compare_digest(made, call.params["Mac"]):
            raise RequestError("KMSInvalidMacException")
        return done(call, kms, key, {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": algorithm})

    return await read(authorized, call, kms, reader)
