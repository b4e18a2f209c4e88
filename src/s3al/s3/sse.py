"""Which way of encrypting a request asks for, and the data key that follows from it.

What lives here: the request's headers and the bucket's default become a `Wish`; a wish becomes an `Envelope`
(stored) and `DataKeys` (in memory, for this request only); an envelope becomes `DataKeys` again. What does
not: sealing bytes (streams), records (records), KMS itself (kms, through the `KmsKeys` port).

Laws: every object has an envelope; there is no mode without one. Nothing is tried in turn: the envelope says
which key, and that key opens or the request fails. The KMS is asked as the requester. A customer's key is
never stored, logged or kept.

Sources: S3 User Guide, "Protecting data with server-side encryption", "Using SSE-C"; spec/key-hierarchy.md.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import orjson

from s3al.crypto.context import wrapped_key_associated_data
from s3al.crypto.keys import commitment, derive, unwrap, wrap
from s3al.errors import AccessError, IntegrityError, RequestError
from s3al.s3.ports import S3
from s3al.s3.records import Envelope
from s3al.s3.state import BucketState
from s3al.service.operation import Call, Params
from s3al.store.catalog import BucketRow
from s3al.store.database import Rows

SSE_S3 = "AES256"
SSE_KMS = "aws:kms"
DSSE_KMS = "aws:kms:dsse"
SSE_C = "SSE-C"
T = TypeVar("T")
_KEY_BYTES = 32
_WRAP_RANDOM_BYTES = 28
_INTERMEDIATE_LABEL = b"s3al intermediate key v1"


def layers_of(mode: str) -> int:
    """How many times a stream is sealed."""
    return 2 if mode == DSSE_KMS else 1


@dataclass(frozen=True, slots=True)
class CustomerKey:
    """An SSE-C key for the length of one request. md5: base64, as the client sent it and as it is echoed."""

    key: bytes = field(repr=False)
    md5: str


@dataclass(frozen=True, slots=True)
class Wish:
    """The way of encrypting that a request, or its bucket's default, asks for.

    kms_key: id, alias or ARN as written; None means the managed key aws/s3. context: the caller's own pairs.
    """

    mode: str = SSE_S3
    kms_key: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    bucket_key: bool = False
    customer: CustomerKey | None = None


@dataclass(frozen=True, slots=True)
class DataKeys:
    """The data keys of one object, innermost layer first: one, or two for DSSE-KMS (32 bytes each)."""

    layers: tuple[bytes, ...] = field(repr=False)

    @property
    def record_key(self) -> bytes:
        """The data key from which the private record's key is derived: the innermost, which the requester's
        key opens."""
        return self.layers[0]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object version is stored; every wrapped key and stream is bound to it."""

    bucket: BucketRow
    object_key: str
    object_id: bytes

    @property
    def bucket_id(self) -> bytes:
        return self.bucket.bucket_id


Sealing = tuple[Envelope, DataKeys]


def choose(params: Params, state: BucketState, *, secure: bool) -> Wish:
    """The wish of a request that writes an object. Raises the AWS error of contradictory or malformed
    headers."""
    customer = customer_key(params, secure=secure)
    requested = params.get("ServerSideEncryption")
    if customer:
        if requested:
            raise RequestError(
                "InvalidArgument",
                "Server Side Encryption with Customer provided key is incompatible with the encryption "
                "method specified",
                ArgumentName="x-amz-server-side-encryption",
                ArgumentValue=requested,
            )
        _refuse_blocked(state)
        return Wish(SSE_C, customer=customer)
    _check_kms_headers(params, requested)
    if requested is None:
        return _default_wish(params, state)
    if requested == SSE_S3:
        return Wish(SSE_S3)
    if requested not in (SSE_KMS, DSSE_KMS):
        raise RequestError(
            "InvalidArgument",
            "The encryption method specified is not supported",
            ArgumentName="x-amz-server-side-encryption",
            ArgumentValue=str(requested),
        )
    default = _default_rule(state)
    bucket_key = params.get("BucketKeyEnabled")
    if bucket_key is None:
        bucket_key = bool(default.get("BucketKeyEnabled"))
    return Wish(
        requested,
        kms_key=params.get("SSEKMSKeyId"),
        context=_caller_context(params.get("SSEKMSEncryptionContext")),
        bucket_key=bool(bucket_key) and requested == SSE_KMS,
    )


def _default_rule(state: BucketState) -> dict[str, Any]:
    rule: dict[str, Any] = (state.document("encryption") or {}).get("Rules", [{}])[0]
    return rule


def _default_wish(params: Params, state: BucketState) -> Wish:
    rule = _default_rule(state)
    default = rule.get("ApplyServerSideEncryptionByDefault") or {}
    mode = default.get("SSEAlgorithm", SSE_S3)
    if mode == SSE_S3:
        return Wish(SSE_S3)
    requested = params.get("BucketKeyEnabled")
    bucket_key = bool(rule.get("BucketKeyEnabled")) if requested is None else bool(requested)
    return Wish(mode, kms_key=default.get("KMSMasterKeyID"), bucket_key=bucket_key and mode == SSE_KMS)


def _check_kms_headers(params: Params, requested: str | None) -> None:
    names = {
        "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
        "SSEKMSEncryptionContext": "x-amz-server-side-encryption-context",
    }
    for member, header in names.items():
        if params.get(member) and requested not in (SSE_KMS, DSSE_KMS):
            raise RequestError(
                "InvalidArgument",
                "Server Side Encryption with AWS KMS managed key requires HTTP header "
                "x-amz-server-side-encryption : aws:kms",
                ArgumentName=header,
                ArgumentValue=str(params[member]),
            )


def _caller_context(header: str | None) -> dict[str, str]:
    """x-amz-server-side-encryption-context: base64 of a JSON object of strings."""
    if not header:
        return {}
    try:
        context = orjson.loads(b64decode(header, validate=True))
    except (Base64Error, ValueError):
        context = None
    if not isinstance(context, dict) or not all(isinstance(value, str) for value in context.values()):
        raise RequestError(
            "InvalidArgument",
            "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON "
            "with the encryption context key-value pairs",
            ArgumentName="x-amz-server-side-encryption-context",
        )
    return context


def _refuse_blocked(state: BucketState) -> None:
    blocked = _default_rule(state).get("BlockedEncryptionTypes") or {}
    if SSE_C in blocked.get("EncryptionType", ()):
        raise AccessError(
            "AccessDenied",
            "Server-side encryption with customer-provided keys (SSE-C) is blocked for this bucket. "
            "To allow it, call PutBucketEncryption with BlockedEncryptionTypes NONE.",
        )


def customer_key(params: Params, *, secure: bool, source: bool = False) -> CustomerKey | None:
    """The SSE-C key of a request (or of its copy source), checked as AWS checks it."""
    prefix = "CopySource" if source else ""
    header = "x-amz-copy-source-server-side-encryption-customer" if source else "x-amz-server-side-encryption-customer"
    algorithm, encoded, md5 = (params.get(f"{prefix}SSECustomer{part}") for part in ("Algorithm", "Key", "KeyMD5"))
    if algorithm is None and encoded is None and md5 is None:
        return None
    if not secure:
        raise RequestError(
            "InvalidRequest",
            "Requests specifying Server Side Encryption with Customer provided keys must be made over "
            "a secure connection.",
        )
    _require_customer_headers(header, algorithm, encoded, md5)
    if algorithm != SSE_S3:
        raise RequestError(
            "InvalidEncryptionAlgorithmError", ArgumentName=f"{header}-algorithm", ArgumentValue=str(algorithm)
        )
    try:
        key = b64decode(str(encoded), validate=True)
    except (Base64Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise RequestError(
            "InvalidArgument",
            "The secret key was invalid for the specified algorithm.",
            ArgumentName=f"{header}-key",
            ArgumentValue="null",
        )
    digest = b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode()
    if not hmac.compare_digest(digest.encode(), str(md5).encode()):
        raise RequestError(
            "InvalidArgument",
            "The calculated MD5 hash of the key did not match the hash that was provided.",
            ArgumentName=f"{header}-key-MD5",
            ArgumentValue="null",
        )
    return CustomerKey(key, digest)


def _require_customer_headers(header: str, algorithm: object, encoded: object, md5: object) -> None:
    missing = (
        (
            algorithm,
            "-algorithm",
            (
                "Requests specifying Server Side Encryption with Customer provided keys must provide a "
                "valid encryption algorithm."
            ),
        ),
        (
            encoded,
            "-key",
            (
                "Requests specifying Server Side Encryption with Customer provided keys must provide an "
                "appropriate secret key."
            ),
        ),
        (
            md5,
            "-key-MD5",
            (
                "Requests specifying Server Side Encryption with Customer provided keys must provide the "
                "client calculated MD5 of the secret key."
            ),
        ),
    )
    for value, suffix, message in missing:
        if not value:
            raise RequestError("InvalidArgument", message, ArgumentName=header + suffix, ArgumentValue="null")


class ManagedKeyMissing(Exception):  # noqa: N818  not an error: `prepared` makes the key and goes on
    """The account has no aws/s3 key yet in the bucket's region."""

    def __init__(self, bucket: BucketRow) -> None:
        super().__init__()
        self.bucket = bucket


async def prepared(s3: S3, call: Call, prepare: Callable[[Rows], T]) -> T:
    """Run what chooses and begins the encryption of a write, on one snapshot; aws/s3 is made at its first use."""
    try:
        return await s3.db.read(prepare)
    except ManagedKeyMissing as missing:
        bucket = missing.bucket
    await s3.db.write(lambda rows: s3.kms.create_managed_key(rows, call, bucket=bucket))
    return await s3.db.read(prepare)


def begin(rows: Rows, s3: S3, call: Call, place: Place, wish: Wish) -> Sealing:
    """New data keys for a new object, protected as the wish says. Raises the KMS's refusal as S3 words it."""
    if wish.mode == SSE_S3:
        return _begin_service(s3, place)
    if wish.mode == SSE_C and wish.customer:
        return _begin_customer(s3, place, wish.customer)
    if s3.kms.needs_managed_key(rows, call, bucket=place.bucket, kms_key=wish.kms_key):
        raise ManagedKeyMissing(place.bucket)
    context = _whole_context(place, wish)
    if wish.bucket_key:
        return _begin_bucket_key(rows, s3, call, place, (wish.kms_key, context))
    generated = s3.kms.generate(rows, call, bucket=place.bucket, kms_key=wish.kms_key, context=context)
    data_key = generated.plaintext
    envelope = Envelope(
        wish.mode,
        generated.blob,
        commitment(data_key, place.object_id),
        kms_key_arn=generated.key_arn,
        context=context,
    )
    if wish.mode == DSSE_KMS:
        return _add_outer_layer(s3, place, envelope, data_key)
    return envelope, DataKeys((data_key,))


def _whole_context(place: Place, wish: Wish) -> dict[str, str]:
    """The caller's pairs and aws:s3:arn: the object's ARN, or the bucket's under a Bucket Key."""
    arn = f"arn:aws:s3:::{place.bucket.name}"
    return {"aws:s3:arn": arn if wish.bucket_key else f"{arn}/{place.object_key}", **wish.context}


def _begin_service(s3: S3, place: Place) -> Sealing:
    data_key = s3.random(_KEY_BYTES)
    material_id, wrapped = _wrap_under_service(s3, place, data_key)
    envelope = Envelope(SSE_S3, wrapped, commitment(data_key, place.object_id), material_id=material_id)
    return envelope, DataKeys((data_key,))


def _begin_bucket_key(
    rows: Rows, s3: S3, call: Call, place: Place, key_and_context: tuple[str | None, dict[str, str]]
) -> Sealing:
    kms_key, context = key_and_context
    bucket_key = s3.kms.bucket_key(rows, call, bucket=place.bucket, kms_key=kms_key, context=context)
    data_key = s3.random(_KEY_BYTES)
    envelope = Envelope(
        SSE_KMS,
        _wrap(s3, place, derive(bucket_key.plaintext, _INTERMEDIATE_LABEL), data_key),
        commitment(data_key, place.object_id),
        kms_key_arn=bucket_key.key_arn,
        context=context,
        intermediate=bucket_key.blob,
        bucket_key_enabled=True,
    )
    return envelope, DataKeys((data_key,))


def _add_outer_layer(s3: S3, place: Place, inner: Envelope, data_key: bytes) -> Sealing:
    """DSSE-KMS: a second data key, drawn independently and protected by the service key alone."""
    outer_key = s3.random(_KEY_BYTES)
    material_id, outer = _wrap_under_service(s3, place, outer_key)
    envelope = replace(
        inner, material_id=material_id, outer=outer, outer_commitment=commitment(outer_key, place.object_id)
    )
    return envelope, DataKeys((data_key, outer_key))


def _begin_customer(s3: S3, place: Place, customer: CustomerKey) -> Sealing:
    data_key, salt = s3.random(_KEY_BYTES), s3.random(_KEY_BYTES)
    wrapped = _wrap(s3, place, _customer_wrapping_key(customer, salt), data_key)
    envelope = Envelope(SSE_C, wrapped, commitment(data_key, place.object_id), salt=salt)
    return envelope, DataKeys((data_key,))


def _wrap_under_service(s3: S3, place: Place, data_key: bytes) -> tuple[bytes, bytes]:
    material_id = s3.records.current_material()
    return material_id, _wrap(s3, place, s3.records.data_key_wrapping_key(place.bucket_id, material_id), data_key)


def _wrap(s3: S3, place: Place, wrapping_key: bytes, data_key: bytes) -> bytes:
    where = wrapped_key_associated_data(s3.store_id, place.bucket_id, place.object_id)
    return wrap(wrapping_key, data_key, associated_data=where, random=s3.random(_WRAP_RANDOM_BYTES))


def _unwrap(s3: S3, place: Place, wrapping_key: bytes, wrapped: bytes) -> bytes:
    where = wrapped_key_associated_data(s3.store_id, place.bucket_id, place.object_id)
    return unwrap(wrapping_key, wrapped, associated_data=where)


def _customer_wrapping_key(customer: CustomerKey, salt: bytes) -> bytes:
    return derive(customer.key, b"s3al customer key v1", salt)


def open_keys(
    rows: Rows, s3: S3, call: Call, place: Place, envelope: Envelope, *, customer: CustomerKey | None
) -> DataKeys:
    """The data keys of a stored object, for a request that may use them.

    Raises InvalidRequest when a customer key is missing or superfluous, AccessDenied when it is wrong or the KMS key
    refuses, IntegrityError when what is stored does not open.
    """
    require_customer(envelope.mode, customer)
    if envelope.mode == SSE_S3:
        data_key = _open_service(s3, place, envelope.material_id, envelope.wrapped)
    elif envelope.mode == SSE_C and customer:
        data_key = _open_customer(s3, place, envelope, customer)
    elif envelope.mode in (SSE_KMS, DSSE_KMS):
        data_key = _open_kms(rows, s3, call, place, envelope)
    else:
        raise IntegrityError("a record names a way of encrypting that does not exist")
    _check_commitment(place, envelope.commitment, data_key)
    if envelope.mode != DSSE_KMS:
        return DataKeys((data_key,))
    outer_key = _open_service(s3, place, envelope.material_id, envelope.outer)
    _check_commitment(place, envelope.outer_commitment, outer_key)
    return DataKeys((data_key, outer_key))


def require_customer(mode: str, customer: CustomerKey | None) -> None:
    if mode == SSE_C and customer is None:
        raise RequestError(
            "InvalidRequest",
            "The object was stored using a form of Server Side Encryption. "
            "The correct parameters must be provided to retrieve the object.",
        )
    if mode != SSE_C and customer is not None:
        raise RequestError("InvalidRequest", "The encryption parameters are not applicable to this object.")


def _open_service(s3: S3, place: Place, material_id: bytes, wrapped: bytes) -> bytes:
    return _unwrap(s3, place, s3.records.data_key_wrapping_key(place.bucket_id, material_id), wrapped)


def _open_kms(rows: Rows, s3: S3, call: Call, place: Place, envelope: Envelope) -> bytes:
    bucket, key_arn, context = place.bucket, envelope.kms_key_arn, envelope.context
    if not envelope.intermediate:
        return s3.kms.open(rows, call, bucket=bucket, key_arn=key_arn, blob=envelope.wrapped, context=context)
    opener = s3.kms.open_bucket_key if envelope.bucket_key_enabled else s3.kms.open
    opened = opener(rows, call, bucket=bucket, key_arn=key_arn, blob=envelope.intermediate, context=context)
    return _unwrap(s3, place, derive(opened, _INTERMEDIATE_LABEL), envelope.wrapped)


def _open_customer(s3: S3, place: Place, envelope: Envelope, customer: CustomerKey) -> bytes:
    try:
        return _unwrap(s3, place, _customer_wrapping_key(customer, envelope.salt), envelope.wrapped)
    except IntegrityError:
        # A wrong key and an altered record look alike here, and the wrong key is what happens; AWS says 403.
        raise AccessError("AccessDenied") from None


def _check_commitment(place: Place, expected: bytes, data_key: bytes) -> None:
    if not hmac.compare_digest(commitment(data_key, place.object_id), expected):
        raise IntegrityError("a data key is not the one its record commits to")


def rewrapped(rows: Rows, s3: S3, call: Call, place: Place, *, wish: Wish, data_key: bytes) -> Envelope:
    """The envelope of an existing data key under the KMS key of `wish`: no data moves.

    The KMS makes a fresh key (or the Bucket Key is used), which wraps the data key in its place.
    """
    context = _whole_context(place, wish)
    make = s3.kms.bucket_key if wish.bucket_key else s3.kms.generate
    made = make(rows, call, bucket=place.bucket, kms_key=wish.kms_key, context=context)
    return Envelope(
        SSE_KMS,
        _wrap(s3, place, derive(made.plaintext, _INTERMEDIATE_LABEL), data_key),
        commitment(data_key, place.object_id),
        kms_key_arn=made.key_arn,
        context=context,
        intermediate=made.blob,
        bucket_key_enabled=wish.bucket_key,
    )


def describe(envelope: Envelope, customer: CustomerKey | None = None) -> Params:
    """The output members by which an answer names the encryption of an object."""
    if envelope.mode == SSE_C:
        described: Params = {"SSECustomerAlgorithm": SSE_S3}
        if customer:
            described["SSECustomerKeyMD5"] = customer.md5
        return described
    described = {"ServerSideEncryption": envelope.mode}
    if envelope.kms_key_arn:
        described["SSEKMSKeyId"] = envelope.kms_key_arn
    if envelope.bucket_key_enabled:
        described["BucketKeyEnabled"] = True
    return described
