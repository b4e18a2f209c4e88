"""Imported material: GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial.

What lives here: the three operations. What does not: tokens and ids (kms.imports), the rotation to a material that
waits (rotation), expiry, which is a function of row and moment (states).

Laws: what was imported once is imported again byte for byte or not at all; one material at a time waits for its
rotation; a deleted material is gone from its row with the transaction that says so; a key that was disabled stays
so when its material comes back.

Sources: KMS API reference; KMS Developer Guide, "Importing key material"; wording as recorded from AWS.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.kms.access import on_key, read
from s3al.kms.identifiers import key_of
from s3al.kms.imports import (
    ImportToken,
    check_wrapping,
    checked_material,
    material_id_of,
    pending_material,
    usable_until,
    waits,
)
from s3al.kms.key_specs import SYMMETRIC
from s3al.kms.keys import when
from s3al.kms.ports import OPERATIONS, Kms
from s3al.kms.states import state_after
from s3al.service.operation import Call, Params, Reply
from s3al.store import keystore
from s3al.store.catalog import bump
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow, MaterialRow

MAX_VALID_MS = 365 * 24 * 60 * 60 * 1000
EXPIRES = "KEY_MATERIAL_EXPIRES"
NEW = "NEW_KEY_MATERIAL"


def _external_key(rows: Rows, call: Call) -> KeyRow:
    """The key, if its state and origin let material be imported."""
    key = key_of(rows, call)
    if key.origin != "EXTERNAL":
        raise RequestError(
            "UnsupportedOperationException",
            f"{key.arn} origin is {key.origin} which is not valid for this operation.",
        )
    state_after(call.operation, key, call.now_ms)
    return key


@OPERATIONS.operation("GetParametersForImport", on_key("kms:GetParametersForImport"))
async def get_parameters_for_import(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    algorithm, spec = call.params["WrappingAlgorithm"], call.params["WrappingKeySpec"]
    check_wrapping(algorithm, spec)
    await read(authorized, call, kms, lambda rows: _external_key(rows, call))  # before a key is drawn in vain
    token = await asyncio.to_thread(ImportToken.issue, algorithm, spec, now_ms=call.now_ms, random=kms.random)

    def reader(rows: Rows) -> Reply:
        key = _external_key(rows, call)
        output = {
            "KeyId": key.arn,
            "ImportToken": token.seal(kms.materials.import_secret(rows, key.key_id), key, kms.random),
            "PublicKey": token.public_key(),
            "ParametersValidTo": when(token.valid_to),
        }
        return Reply(output)

    return await read(authorized, call, kms, reader)


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a request says of the material beside its bytes. valid_to: UTC ms, None if it does not expire.
    is_new: None where the request does not say."""

    valid_to: int | None
    is_new: bool | None
    material_id: str
    description: str | None

    @classmethod
    def of(cls, params: Params, now_ms: int) -> _Terms:
        """Raises ValidationException."""
        expires = (params.get("ExpirationModel") or EXPIRES) == EXPIRES
        moment: datetime | None = params.get("ValidTo")
        if expires and moment is None:
            raise RequestError(
                "ValidationException", "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"
            )
        if not expires and moment is not None:
            raise RequestError(
                "ValidationException", "A validTo date must not be set if the key material does not expire"
            )
        valid_to = None if moment is None else int(moment.timestamp() * 1000)
        if valid_to is not None and not now_ms < valid_to <= now_ms + MAX_VALID_MS:
            raise RequestError("ValidationException", "The validTo date must be at most 365 days in the future")
        kind, named = params.get("ImportType"), params.get("KeyMaterialId") or ""
        if kind == NEW and named:
            raise RequestError("ValidationException", "KeyMaterialId is not valid with ImportType NEW_KEY_MATERIAL")
        return cls(valid_to, None if kind is None else kind == NEW, named, params.get("KeyMaterialDescription"))

    def check_suits(self, key: KeyRow) -> None:
        """Only symmetric keys have several materials, of which one would have to be named."""
        if key.key_spec != SYMMETRIC and (self.is_new is not None or self.material_id or self.description):
            raise RequestError(
                "ValidationException",
                "ImportType, KeyMaterialId and KeyMaterialDescription are valid for symmetric encryption keys alone",
            )


@OPERATIONS.operation("ImportKeyMaterial", on_key("kms:ImportKeyMaterial"))
async def import_key_material(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    terms = _Terms.of(call.params, call.now_ms)

    def reader(rows: Rows) -> tuple[KeyRow, bytes]:
        key = _external_key(rows, call)
        terms.check_suits(key)
        return key, kms.materials.import_secret(rows, key.key_id)

    found, secret = await read(authorized, call, kms, reader)
    # Off the event loop and before the transaction: unwrapping and checking a large RSA key takes its time.
    material = await asyncio.to_thread(_unwrapped, call, found, secret)
    material_id = material_id_of(secret, material)

    def write(rows: Rows) -> Reply:
        key = _external_key(rows, call)
        row = kms.materials.wrapped(rows, key.key_id, material_id, material, now_ms=call.now_ms)
        _store(rows, key, terms, replace(row, valid_to=terms.valid_to, description=terms.description or ""))
        _settle(rows, key)
        output = {"KeyId": key.arn}
        if key.key_spec == SYMMETRIC:
            output["KeyMaterialId"] = material_id.hex()
        return Reply(output)

    return await call.commit(kms.db, authorized, write)


def _unwrapped(call: Call, key: KeyRow, secret: bytes) -> bytes:
    token = ImportToken.open(call.params["ImportToken"], secret, key, now_ms=call.now_ms)
    return checked_material(key, token.unwrap(call.params["EncryptedKeyMaterial"]))


def _store(rows: Rows, key: KeyRow, terms: _Terms, row: MaterialRow) -> None:
    """As a new material, or in the place of what it was before."""
    known = {bytes(found.material_id): found for found in keystore.list_materials(rows, key.key_id)}
    found = known.get(bytes(row.material_id))
    is_new = not known if terms.is_new is None else terms.is_new
    if terms.material_id and terms.material_id != row.material_id.hex():
        raise RequestError("IncorrectKeyMaterialException")
    if found is not None:
        if terms.is_new:
            raise RequestError(
                "IncorrectKeyMaterialException", "The key material is already associated with this KMS key."
            )
        kept = row.description if terms.description is not None else found.description
        keystore.refill_material(rows, replace(row, description=kept))
    elif not is_new or (known and key.key_spec != SYMMETRIC):
        raise RequestError("IncorrectKeyMaterialException")
    elif not known:
        keystore.add_material(rows, row, replaces=None)
    elif pending_material(rows, key) is not None:
        raise RequestError(
            "KMSInvalidStateException", f"A key material pending rotation already exists for the key: {key.arn}."
        )
    else:
        keystore.hold_material(rows, row)


def _settle(rows: Rows, key: KeyRow) -> None:
    """Write down from when on the key lacks material."""
    changed = keystore.find_key(rows, key.key_id, key.region)
    assert changed is not None
    keystore.set_usable_until(rows, key.key_id, usable_until(rows, changed))
    bump(rows)


@OPERATIONS.operation("DeleteImportedKeyMaterial", on_key("kms:DeleteImportedKeyMaterial"))
async def delete_imported_key_material(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    named = call.params.get("KeyMaterialId")

    def write(rows: Rows) -> Reply:
        key = _external_key(rows, call)
        if named and key.key_spec != SYMMETRIC:
            raise RequestError("ValidationException", "KeyMaterialId is valid for symmetric encryption keys alone")
        wanted = bytes.fromhex(named) if named else key.current_material
        found = next((row for row in keystore.list_materials(rows, key.key_id) if row.material_id == wanted), None)
        if named and found is None:
            raise RequestError("NotFoundException", f"Key material '{named}' does not exist on key '{key.arn}'")
        if found is not None and waits(rows, key, found):
            keystore.remove_material(rows, found)
        elif found is not None:
            keystore.empty_material(rows, found)
        kms.materials.forget()
        kms.destroying((), call.now_ms)
        _settle(rows, key)
        output = {"KeyId": key.arn}
        if found is not None and key.key_spec == SYMMETRIC:
            output["KeyMaterialId"] = bytes(found.material_id).hex()
        return Reply(output)

    return await call.commit(kms.db, authorized, write)
