"""The keys of users, as S3 uses them: data keys and Bucket Keys, for the requester and never as the server.

What lives here: `DataKeys`, the port that S3 calls inside its own snapshot or transaction. What does not: which
key a bucket or a request asks for and what is wrapped under what (s3), the KMS operations themselves
(cryptography).

Laws: every use asks the key's policy for the requester, with kms:ViaService, and the key's state, also when a
Bucket Key is cached; what is cached is valid for one change counter; each use and each refusal is said to the trail;
ids and aliases mean the requester's account, ARNs are taken as written, in the bucket's region; errors of the key leave
as S3 words them; stored ciphertext that does not open is an IntegrityError, since no caller chose it. Not bound in a
KMS ciphertext: the bucket's id; S3 binds that one step down.

Sources: S3 User Guide, "Using server-side encryption with AWS KMS keys", "S3 Bucket Keys".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from s3al.auth.decision import ConditionKeys
from s3al.crypto.encoding import canonical, canonical_map
from s3al.crypto.keys import KmsBlob, parse_kms_blob
from s3al.errors import AccessError, IntegrityError, RequestError
from s3al.kms.access import Context, Question, decide, encryption_context, key_context
from s3al.kms.envelope import DataKey, checked_context, new_data_key, open_sealed
from s3al.kms.errors import answered_by_s3
from s3al.kms.identifiers import Asker, NamedKey, find_named_key
from s3al.kms.key_specs import ENCRYPT_DECRYPT, SYMMETRIC, require_algorithm, require_usage
from s3al.kms.keys import MANAGED_S3_ALIAS, ensure_managed_key, find_managed_key
from s3al.kms.ports import Kms
from s3al.kms.states import state_after
from s3al.service.auditing import KeyUse
from s3al.service.operation import Call
from s3al.service.request_context import global_context
from s3al.store.buckets import BucketRow
from s3al.store.catalog import change_counter
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow

_CACHED_BUCKET_KEYS = 4096


class DataKeys:
    """One per worker. All methods are for the principal of `call`, which may be any request that S3 serves."""

    def __init__(self, kms: Kms) -> None:
        self._kms = kms
        self._stamp = -1
        self._sealing: dict[bytes, DataKey] = {}
        self._opened: dict[bytes, bytes] = {}

    def __repr__(self) -> str:
        return f"DataKeys(bucket_keys={len(self._sealing)})"

    # --- the managed key aws/s3

    def needs_managed_key(self, rows: Rows, call: Call, *, bucket: BucketRow, kms_key: str | None) -> bool:
        """Whether `create_managed_key` must run, in a write transaction, before a data key can be had."""
        account_id = call.principal.account_id
        if account_id is None or kms_key not in (None, MANAGED_S3_ALIAS):
            return False
        return find_managed_key(rows, account_id, bucket.region) is None

    def create_managed_key(self, rows: Rows, call: Call, *, bucket: BucketRow) -> None:
        """Create aws/s3 of the requester's account in the bucket's region, unless it is there by now."""
        if call.principal.account_id is None:
            raise AccessError("AccessDenied")
        ensure_managed_key(
            rows, self._kms, account_id=call.principal.account_id, region=bucket.region, now_ms=call.now_ms
        )

    # --- data keys

    def generate(
        self, rows: Rows, call: Call, *, bucket: BucketRow, kms_key: str | None, context: Mapping[str, str]
    ) -> DataKey:
        """A new data key. kms_key: id, ARN, alias or alias ARN as written; None means aws/s3.

        context: the whole encryption context, with aws:s3:arn. Raises S3's errors.
        """
        with answered_by_s3():
            key = self._usable(rows, call, bucket, kms_key, operation="GenerateDataKey", context=context)
            data_key = new_data_key(rows, self._kms, key, context)
        self._used(call, key, "GenerateDataKey", key.current_material, context)
        return data_key

    def open(
        self, rows: Rows, call: Call, *, bucket: BucketRow, key_arn: str, blob: bytes, context: Mapping[str, str]
    ) -> bytes:
        """The data key that `blob` holds. key_arn: as stored beside it."""
        with answered_by_s3():
            key = self._usable(rows, call, bucket, key_arn, operation="Decrypt", context=context)
        parsed = parse_kms_blob(blob)
        plaintext = self._open(rows, key, parsed, context)
        self._used(call, key, "Decrypt", parsed.material_id, context)
        return plaintext

    def authorize_use(
        self, rows: Rows, call: Call, *, bucket: BucketRow, kms_key: str | None, context: Mapping[str, str]
    ) -> str:
        """Whether the requester may make data keys under a key now; returns the key's ARN. Uses nothing."""
        with answered_by_s3():
            return self._usable(rows, call, bucket, kms_key, operation="GenerateDataKey", context=context).arn

    # --- Bucket Keys

    def bucket_key(
        self, rows: Rows, call: Call, *, bucket: BucketRow, kms_key: str | None, context: Mapping[str, str]
    ) -> DataKey:
        """The Bucket Key under which to wrap data keys of new objects; the KMS is asked again only when none is cached.

        One for each bucket id, key ARN, material and context. context: that of the KMS call, with the bucket's ARN.
        """
        with answered_by_s3():
            key = self._usable(rows, call, bucket, kms_key, operation="GenerateDataKey", context=context)
            self._follow(rows)
            name = canonical(
                bucket.bucket_id, key.arn.encode(), bytes(key.current_material or b""), canonical_map(context)
            )
            found = self._sealing.get(name)
            if found is not None:
                return found
            data_key = new_data_key(rows, self._kms, key, context)
        self._used(call, key, "GenerateDataKey", key.current_material, context)
        self._sealing[name] = data_key
        self._opened[self._opened_name(bucket, key, data_key.blob, context)] = data_key.plaintext
        return data_key

    def open_bucket_key(
        self, rows: Rows, call: Call, *, bucket: BucketRow, key_arn: str, blob: bytes, context: Mapping[str, str]
    ) -> bytes:
        """The Bucket Key that `blob`, stored with an object, holds."""
        with answered_by_s3():
            key = self._usable(rows, call, bucket, key_arn, operation="Decrypt", context=context)
        self._follow(rows)
        name = self._opened_name(bucket, key, blob, context)
        found = self._opened.get(name)
        if found is None:
            parsed = parse_kms_blob(blob)
            found = self._opened[name] = self._open(rows, key, parsed, context)
            self._used(call, key, "Decrypt", parsed.material_id, context)
        return found

    # --- what every use goes through

    def _usable(
        self,
        rows: Rows,
        call: Call,
        bucket: BucketRow,
        kms_key: str | None,
        *,
        operation: str,
        context: Mapping[str, str],
    ) -> KeyRow:
        """The key, if the requester may use it now for `operation`. Raises the KMS's errors; the trail learns of them.
        A request that nobody signed never reaches the KMS, and is no use."""
        if call.principal.account_id is None:
            raise AccessError("AccessDenied")
        name, found = kms_key or MANAGED_S3_ALIAS, None
        try:
            checked_context(context)
            asker = replace(Asker.of(call), region=bucket.region)
            named = find_named_key(rows, name, asker, aliases=True)
            found = named.row
            about = ConditionKeys(lambda: through_s3(rows, call, bucket.region, named, context))
            decide(rows, Question(call.principal, f"kms:{operation}", found, about), self._kms)
            state_after(operation, found, call.now_ms)
            require_usage(found.arn, found.key_usage, operation, ENCRYPT_DECRYPT)
            require_algorithm(found.key_spec, found.key_usage, SYMMETRIC)
        except RequestError as refused:
            arn = found.arn if found else None
            self._kms.recorder.used(call, KeyUse(operation, bucket.region, name, arn, context, refused))
            raise
        return found

    def _open(self, rows: Rows, key: KeyRow, blob: KmsBlob, context: Mapping[str, str]) -> bytes:
        try:
            return open_sealed(rows, self._kms, key, blob, context)
        except RequestError as error:
            raise IntegrityError("a stored KMS ciphertext does not open under the key that its record names") from error

    def _used(
        self, call: Call, key: KeyRow, operation: str, material_id: bytes | None, context: Mapping[str, str]
    ) -> None:
        use = KeyUse(operation, key.region, key.arn, key.arn, context, None, bytes(material_id or b"").hex())
        self._kms.recorder.used(call, use)
        self._kms.count(operation)
        self._kms.usage.remember(key, operation, now_ms=call.now_ms, request_id=call.request_id)

    def _opened_name(self, bucket: BucketRow, key: KeyRow, blob: bytes, context: Mapping[str, str]) -> bytes:
        return canonical(bucket.bucket_id, key.arn.encode(), blob, canonical_map(context))

    def _follow(self, rows: Rows) -> None:
        stamp = change_counter(rows)
        if stamp != self._stamp or max(len(self._sealing), len(self._opened)) >= _CACHED_BUCKET_KEYS:
            self._sealing, self._opened, self._stamp = {}, {}, stamp


def through_s3(rows: Rows, call: Call, region: str, named: NamedKey, context: Mapping[str, str]) -> Context:
    """The condition keys of a use of a key for S3. region: the bucket's. context: the encryption context."""
    through = {"kms:ViaService": f"s3.{region}.amazonaws.com", "aws:ViaAWSService": "true"}
    about = {"aws:RequestedRegion": region, "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
    return global_context(call) | key_context(rows, named) | encryption_context(context) | through | about
