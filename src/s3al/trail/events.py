"""Records in CloudTrail's JSON shape.

What lives here: from what the gateway and the KMS know to the bytes of a record. What does not: what is left out of
parameters (redaction), when a record is made (recorder).

Laws: a use of a key for S3 is a record of its own, of the requester, with `AWS Internal` where AWS has it; whoever
owns the key has a copy in its own trail, tied by sharedEventID. eventTime never goes back within a chain.

Sources: CloudTrail User Guide, "CloudTrail record contents", "CloudTrail userIdentity element"; KMS Developer Guide,
"Logging AWS KMS API calls with AWS CloudTrail".
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import orjson

from s3al.auth.principal import Principal
from s3al.errors import StoreError
from s3al.service.auditing import Answered, KeyUse
from s3al.trail.redaction import OBJECT_MEMBERS, recorded

Event = dict[str, Any]
VERSION: Final = "1.11"
INTERNAL: Final = "AWS Internal"
SOURCES: Final[Mapping[str, str]] = {
    "s3": "s3.amazonaws.com",
    "kms": "kms.amazonaws.com",
    "sts": "sts.amazonaws.com",
    "iam": "iam.amazonaws.com",
    "cloudtrail": "cloudtrail.amazonaws.com",
    "s3al": "s3al",
}
_MOST_BYTES = 256 << 10
_MOST_TEXT = 1024
_MOST_ARN = 2048
KEY_TYPE = "AWS::KMS::Key"

# What is recorded only where the bucket asks for it.
DATA_OPERATIONS: Final = frozenset(
    [
        "GetObject",
        "HeadObject",
        "PutObject",
        "DeleteObject",
        "DeleteObjects",
        "CopyObject",
        "GetObjectAttributes",
        "PostObject",
        "GetObjectTagging",
        "PutObjectTagging",
        "DeleteObjectTagging",
        "GetObjectAcl",
        "PutObjectAcl",
        "HeadBucket",
        "GetObjectRetention",
        "PutObjectRetention",
        "GetObjectLegalHold",
        "PutObjectLegalHold",
        "ListObjects",
        "ListObjectsV2",
        "ListObjectVersions",
        "UpdateObjectEncryption",
        "CreateMultipartUpload",
        "UploadPart",
        "UploadPartCopy",
        "CompleteMultipartUpload",
        "AbortMultipartUpload",
        "ListParts",
        "ListMultipartUploads",
    ]
)
_READING = (
    *("Get", "List", "Head", "Describe", "Lookup", "Search", "Verify", "Generate", "AssumeRole", "Simulate", "Explain"),
)
_READING_TOO = frozenset(
    [
        "Encrypt",
        "Decrypt",
        "ReEncrypt",
        "Sign",
        "DeriveSharedSecret",
        "Encapsulate",
        "Decapsulate",
        "WhoMayUseKey",
        "Can",
        "WhyDenied",
    ]
)

# Parameter -> the type of what it names, for services whose resources have no ARN in the request.
_NAMED: Final[Mapping[str, str]] = {
    "UserName": "AWS::IAM::User",
    "RoleName": "AWS::IAM::Role",
    "GroupName": "AWS::IAM::Group",
    "PolicyArn": "AWS::IAM::Policy",
    "RoleArn": "AWS::IAM::Role",
    "AccessKeyId": "AWS::IAM::AccessKey",
    "AliasName": "AWS::KMS::Alias",
}


def is_reading(operation: str) -> bool:
    """Changes nothing. Uses of keys read, as AWS has it."""
    return operation.startswith(_READING) or operation in _READING_TOO


# What a record goes without, one after the other, until it can be written.
_LEFT_OUT: Final[tuple[Mapping[str, Any], ...]] = (
    {"requestParameters": None, "responseElements": None},
    {"serviceEventDetails": None},
    {"resources": [], "userAgent": "", "tlsDetails": None, "errorMessage": ""},
)


def encoded(event: Event) -> bytes:
    """A record too large for its worth, or that JSON cannot say, is kept without its parameters, and says so: whatever
    a caller sends, there is a record of it."""
    raw = _dumped(event)
    omitted: list[str] = []
    for left_out in _LEFT_OUT:
        if raw is not None:
            return raw
        omitted += left_out
        present = {name: value for name, value in left_out.items() if name in event}
        event = event | present | {"additionalEventData": {"omitted": omitted}}
        raw = _dumped(event)
    if raw is None:
        raise StoreError("a record of the audit trail is too large")
    return raw


def _dumped(event: Event) -> bytes | None:
    """None if it is too large, nested too deeply, or holds text that has no UTF-8 form."""
    try:
        raw = orjson.dumps(event)
    except TypeError:
        return None
    return raw if len(raw) <= _MOST_BYTES else None


def iso(moment_ms: int) -> str:
    return _iso_second(moment_ms // 1000)


@lru_cache(maxsize=16)
def _iso_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_id() -> str:
    """A version 4 UUID (RFC 9562); the standard library's takes five times as long."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


# --- who


def identity(principal: Principal) -> Event:
    """userIdentity. No secret is known of a principal."""
    if principal.kind == "anonymous":
        return {"type": "AWSAccount", "principalId": "", "accountId": "anonymous"}
    if principal.kind == "service":
        return {"type": "AWSService", "invokedBy": principal.arn}
    found: Event = {
        "type": _TYPES.get(principal.kind, "Unknown"),
        "principalId": principal.user_id,
        "arn": principal.arn,
        "accountId": principal.account_id,
        "accessKeyId": principal.access_key_id or "",
    }
    if principal.kind == "user":
        found["userName"] = principal.arn.rpartition("/")[2]
    if principal.session is not None:
        found["sessionContext"] = _session(principal)
    return found


_TYPES: Final[Mapping[str, str]] = {
    "root": "Root",
    "user": "IAMUser",
    "assumed-role": "AssumedRole",
    "federated": "FederatedUser",
}


def _session(principal: Principal) -> Event:
    assert principal.session is not None
    attributes = {"creationDate": iso(principal.session.issued_at_ms), "mfaAuthenticated": "false"}
    context: Event = {"attributes": attributes}
    if principal.issuer_arn:
        context["sessionIssuer"] = {
            "type": "Role" if ":role/" in principal.issuer_arn else "IAMUser",
            "principalId": principal.user_id.partition(":")[0],
            "arn": principal.issuer_arn,
            "accountId": principal.account_id,
            "userName": principal.issuer_arn.rpartition("/")[2],
        }
    if principal.session.provider:
        context["webIdFederationData"] = {"federatedProvider": principal.session.provider, "attributes": {}}
    if principal.session.source_identity:
        context["sourceIdentity"] = principal.session.source_identity
    return context


def user_name(event: Event) -> str:
    """What LookupEvents calls Username: the user, or the name of the session."""
    who = event.get("userIdentity") or {}
    if who.get("type") == "Root":
        return "root"
    return str(who.get("userName") or str(who.get("arn", "")).rpartition("/")[2])


# --- what


def of_request(answered: Answered, keys: list[str], now_ms: int, region: str) -> Event:
    """The record of a call. keys: ARNs of KMS keys that it was about."""
    call, operation = answered.call, answered.operation
    is_data = answered.service == "s3" and operation in DATA_OPERATIONS
    params = call.params if call else None
    output = answered.output or {}
    reading = is_reading(operation)
    event = {
        **_event(SOURCES.get(answered.service, answered.service), operation, now_ms),
        "userIdentity": identity(answered.principal),
        "awsRegion": call.region if call else region,
        "sourceIPAddress": answered.source_ip,
        "userAgent": answered.user_agent[:_MOST_TEXT],
        "requestParameters": recorded(params, only=OBJECT_MEMBERS if is_data else None),
        "responseElements": None if reading or is_data else recorded(output),
        "requestID": answered.request_id,
        "readOnly": reading,
        "resources": _resources(answered, keys),
        "managementEvent": not is_data,
        "eventCategory": "Data" if is_data else "Management",
        "recipientAccountId": _recipient(answered),
    }
    if answered.error_code:
        event["errorCode"] = answered.error_code
        event["errorMessage"] = (answered.error_message or "")[:_MOST_TEXT]
    elif output.get("KeyMaterialId"):
        event["additionalEventData"] = {"keyMaterialId": output["KeyMaterialId"]}
    if call and call.secure:
        event["tlsDetails"] = {"clientProvidedHostHeader": call.headers.get("host", "")[:_MOST_TEXT]}
    return event


def of_key_use(answered: Answered, use: KeyUse, now_ms: int) -> Event:
    """The record of a key's use for S3."""
    is_decrypt = use.operation == "Decrypt"
    event = {
        **_event(SOURCES["kms"], use.operation, now_ms),
        "userIdentity": identity(answered.principal) | {"invokedBy": INTERNAL},
        "awsRegion": use.region,
        "sourceIPAddress": INTERNAL,
        "userAgent": INTERNAL,
        "requestParameters": {
            "keyId": use.key_arn or use.key_name,
            "encryptionContext": use.context,
            "encryptionAlgorithm" if is_decrypt else "keySpec": "SYMMETRIC_DEFAULT" if is_decrypt else "AES_256",
        },
        "responseElements": None,
        "requestID": answered.request_id,
        "readOnly": True,
        "resources": [_key_resource(use.key_arn)] if use.key_arn else [],
        "managementEvent": True,
        "eventCategory": "Management",
        "recipientAccountId": answered.principal.account_id or "",
    }
    if use.refused:
        event["errorCode"] = use.refused.code
        event["errorMessage"] = (use.refused.message or use.refused.code)[:_MOST_TEXT]
    elif use.material_id:
        event["additionalEventData"] = {"keyMaterialId": use.material_id}
    return event


def of_key_event(event_name: str, key_arn: str, now_ms: int, details: Mapping[str, Any]) -> Event:
    """What happened to a key by no request: rotation, deletion."""
    region, account_id = _place(key_arn)
    event = _event(SOURCES["kms"], event_name, now_ms)
    return event | {
        "eventType": "AwsServiceEvent",
        "userIdentity": {"accountId": account_id, "invokedBy": INTERNAL},
        "awsRegion": region,
        "sourceIPAddress": INTERNAL,
        "userAgent": INTERNAL,
        "requestParameters": None,
        "responseElements": None,
        "requestID": new_id(),
        "readOnly": False,
        "resources": [_key_resource(key_arn)],
        "managementEvent": True,
        "eventCategory": "Management",
        "recipientAccountId": account_id,
        "serviceEventDetails": {"keyId": key_arn.rpartition("/")[2], **details},
    }


def of_policy_change(event: Event) -> Event:
    """A key's policy was replaced: an event of its own kind beside the call's."""
    params = event["requestParameters"] or {}
    return event | {
        "eventID": new_id(),
        "eventName": "KeyPolicyChanged",
        "eventType": "AwsServiceEvent",
        "requestParameters": None,
        "responseElements": None,
        "serviceEventDetails": {
            "keyId": params.get("keyId"),
            "policy": params.get("policy"),
            "bypassPolicyLockoutSafetyCheck": bool(params.get("bypassPolicyLockoutSafetyCheck")),
            "callEventID": event["eventID"],
        },
    }


def for_owners(event: Event) -> Sequence[Event]:
    """The record, and a copy for each other account that owns what it is about."""
    recipient = event["recipientAccountId"]
    owners = {one["accountId"] for one in event["resources"]} - {recipient, "", None}
    if not owners:
        return (event,)
    event = event | {"sharedEventID": new_id()}
    copies = [event | {"eventID": new_id(), "recipientAccountId": owner} for owner in sorted(owners)]
    return (event, *copies)


def _event(source: str, name: str, now_ms: int) -> Event:
    return {
        "eventVersion": VERSION,
        "eventTime": iso(now_ms),
        "eventSource": source,
        "eventName": name,
        "eventID": new_id(),
        "eventType": "AwsApiCall",
    }


def _place(arn: str) -> tuple[str, str]:
    """Region and account id of an ARN."""
    parts = arn.split(":", 5)
    return (parts[3], parts[4]) if len(parts) == 6 else ("", "")


@lru_cache(maxsize=1024)
def _key_resource(arn: str) -> Event:
    """One for all records of a key: not to be changed."""
    return {"ARN": arn, "accountId": _place(arn)[1], "type": KEY_TYPE}


def _resources(answered: Answered, keys: list[str]) -> list[Event]:
    found = [_key_resource(arn) for arn in dict.fromkeys(keys)]
    params = answered.call.params if answered.call else {}
    account_id = answered.principal.account_id or ""
    made = (answered.output or {}).get("KeyMetadata") or {}
    if made.get("Arn") and made["Arn"] not in keys:
        found.append(_key_resource(made["Arn"]))
    if answered.service == "s3" and isinstance(params.get("Bucket"), str):
        bucket = f"arn:aws:s3:::{params['Bucket']}"
        owner = _bucket_owner(answered) or account_id
        found.append({"ARN": bucket, "accountId": owner, "type": "AWS::S3::Bucket"})
        if answered.operation in DATA_OPERATIONS and isinstance(params.get("Key"), str):
            found.append({"ARN": f"{bucket}/{params['Key']}", "accountId": owner, "type": "AWS::S3::Object"})
    for member, kind in _NAMED.items():
        if isinstance(params.get(member), str):
            found.append({"ARN": params[member][:_MOST_ARN], "accountId": account_id, "type": kind})
    return found


def _recipient(answered: Answered) -> str:
    if answered.principal.account_id:
        return answered.principal.account_id
    params = answered.call.params if answered.call else {}
    return _bucket_owner(answered) or _place(str(params.get("RoleArn", "")))[1]


def _bucket_owner(answered: Answered) -> str:
    return answered.call.bucket_owner if answered.call else ""
