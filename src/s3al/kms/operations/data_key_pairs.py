"""Data key pairs: GenerateDataKeyPair and GenerateDataKeyPairWithoutPlaintext.

What lives here: these two. What does not: making key pairs (kms.private_keys), sealing (kms.envelope).

Laws: the private half is PKCS #8, sealed under a symmetric key with the encryption context; the KMS keeps neither
half; a pair is made off the event loop, and only for a caller who may have it.

Source: KMS API reference, "GenerateDataKeyPair".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.kms.access import key_check, read
from s3al.kms.envelope import checked_context, seal
from s3al.kms.identifiers import Asker, find_named_key, key_of
from s3al.kms.key_specs import SPECS
from s3al.kms.operations.cryptography import require_symmetric
from s3al.kms.ports import OPERATIONS, Kms
from s3al.kms.private_keys import generate, public_key
from s3al.kms.states import state_after
from s3al.kms.uses import done, refuse_recipient
from s3al.service.operation import Call, Check, Params, Reply
from s3al.store.database import Rows


def _pair_checks(call: Call, rows: Rows, kms: Kms) -> Iterable[Check]:
    refuse_recipient(call.params)
    pairs = checked_context(call.params.get("EncryptionContext") or {})
    named = find_named_key(rows, call.params["KeyId"], Asker.of(call), aliases=True)
    return (key_check(rows, call, f"kms:{call.operation}", named, pairs=pairs),)


@OPERATIONS.operation("GenerateDataKeyPair", _pair_checks)
@OPERATIONS.operation("GenerateDataKeyPairWithoutPlaintext", _pair_checks)
async def generate_data_key_pair(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    spec = call.params["KeyPairSpec"]
    if spec not in SPECS:
        raise RequestError("UnsupportedOperationException", f"Key pairs of spec {spec} are not supported.")
    private = await asyncio.to_thread(generate, spec, kms.random)

    def reader(rows: Rows) -> Reply:
        key = key_of(rows, call, aliases=True)
        state_after(call.operation, key, call.now_ms)
        require_symmetric(key, call.operation)
        sealed = seal(rows, kms, key, private, call.params.get("EncryptionContext") or {})
        output: Params = {
            "PrivateKeyCiphertextBlob": sealed.blob,
            "PublicKey": public_key(private),
            "KeyId": key.arn,
            "KeyPairSpec": spec,
            "KeyMaterialId": sealed.material_id.hex(),
        }
        if call.operation == "GenerateDataKeyPair":
            output["PrivateKeyPlaintext"] = private
        return done(call, kms, key, output)

    return await read(authorized, call, kms, reader)
