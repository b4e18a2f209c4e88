"""The use of a KMS key that an S3 request brings with it.

What lives here: which key, and in which encryption context, a read or write of one object would use. What does not: the
choice of keys itself (s3.sse), decisions (decisions).

Laws: what an object is under is read from its record; what a new one would be under, from the request's condition keys,
else from its bucket's default. SSE-S3 and SSE-C use no KMS key of anybody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from s3al.errors import IntegrityError, RequestError
from s3al.explain.decisions import VIA_SERVICE, Question
from s3al.explain.ports import Explaining
from s3al.kms.identifiers import Asker, find_named_key
from s3al.kms.keys import MANAGED_S3_ALIAS
from s3al.s3.access import bucket_arn
from s3al.s3.state import BucketState
from s3al.store import catalog
from s3al.store.database import Rows

READS: Final = frozenset({"s3:getobject", "s3:getobjectversion"})
WRITES: Final = frozenset({"s3:putobject"})
_KMS_MODES = frozenset({"aws:kms", "aws:kms:dsse"})
_MODE_KEY: Final = "s3:x-amz-server-side-encryption"
_KMS_KEY: Final = "s3:x-amz-server-side-encryption-aws-kms-key-id"


def needed_key_use(rows: Rows, ports: Explaining, question: Question) -> Question | None:
    """The question to the KMS that goes with this one to S3; None where there is none."""
    action = question.action.lower()
    name, _, object_key = question.resource.removeprefix(bucket_arn("")).partition("/")
    if action not in READS | WRITES or not object_key:
        return None
    try:
        state = ports.s3.buckets.get(rows, name)
    except RequestError:
        return None
    if action in READS:
        return _of_read(rows, ports, question, state, object_key)
    return _of_write(rows, ports, question, state)


def _of_read(rows: Rows, ports: Explaining, question: Question, state: BucketState, object_key: str) -> Question | None:
    row = catalog.current_version(rows, state.row.bucket_id, object_key.encode("utf-8", "surrogateescape"))
    if row is None or row.is_delete_marker:
        return None
    try:
        envelope = ports.s3.records.open_public(row.bucket_id, row.object_key, row).envelope
    except IntegrityError:
        return None  # `s3al prove` names it
    if not envelope.kms_key_arn:
        return None
    return _use(question, "kms:Decrypt", envelope.kms_key_arn, state, envelope.context)


def _of_write(rows: Rows, ports: Explaining, question: Question, state: BucketState) -> Question | None:
    given = {name.lower(): value for name, value in question.context.items()}
    rules = (state.document("encryption") or {}).get("Rules") or [{}]
    default: Mapping[str, str] = rules[0].get("ApplyServerSideEncryptionByDefault") or {}
    mode, kms_key = given.get(_MODE_KEY, default.get("SSEAlgorithm")), given.get(_KMS_KEY)
    if mode not in _KMS_MODES:
        return None
    if _MODE_KEY not in given:
        kms_key = kms_key or default.get("KMSMasterKeyID")
    account_id = question.principal.account_id or ""
    asker = Asker(account_id, state.row.region, ports.now_ms(), question.principal.arn)
    try:
        named = find_named_key(rows, str(kms_key or MANAGED_S3_ALIAS), asker, aliases=True)
    except RequestError:
        return None
    arn = bucket_arn(state.row.name)
    return _use(question, "kms:GenerateDataKey", named.row.arn, state, {"aws:s3:arn": question.resource or arn})


def _use(question: Question, action: str, key_arn: str, state: BucketState, context: Mapping[str, str]) -> Question:
    pairs = {f"kms:EncryptionContext:{name}": value for name, value in context.items()}
    through = {VIA_SERVICE: f"s3.{state.row.region}.amazonaws.com"}
    kept = {
        name: value for name, value in question.context.items() if name.lower().startswith("aws:")
    }  # those of the request itself hold for what S3 asks too
    return replace(question, action=action, resource=key_arn, context={**kept, **pairs, **through})
