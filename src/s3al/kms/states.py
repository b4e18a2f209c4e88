"""Key states: which operation a KMS key accepts, and what it becomes.

The law of this file: no other module compares key states. The table is the whole rule. State that depends on
time is a function of (row, now): a key past its deletion date is gone whether or not a job has removed it.
Nothing here reads a clock or a database.

Source: AWS KMS Developer Guide, "Key states of AWS KMS keys". For cryptographic use of a key pending deletion
that guide allows DisabledException or KMSInvalidStateException; AWS was recorded answering the second, and so
does this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from s3al.errors import RequestError
from s3al.store.keystore import KeyRow


class KeyState(Enum):
    """As DescribeKey shows it. Creating, Updating and Unavailable cannot occur: keys are made in one transaction.
    PendingImport is never stored: it follows from when the key's materials expire."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_DELETION = "PendingDeletion"
    PENDING_IMPORT = "PendingImport"
    PENDING_REPLICA_DELETION = "PendingReplicaDeletion"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An AWS error; `{arn}` in the wording is the key's."""

    code: str
    wording: str


D1 = Refusal("DisabledException", "{arn} is disabled.")
S3 = Refusal("KMSInvalidStateException", "{arn} is pending deletion.")
S4 = Refusal("KMSInvalidStateException", "{arn} is not pending deletion.")
S5 = Refusal("KMSInvalidStateException", "{arn} is pending import.")
U6 = Refusal("UnsupportedOperationException", "{arn} origin is EXTERNAL which is not valid for this operation.")

_E, _D, _P, _I, _R = KeyState  # the columns below, in this order; the names of refusals are the guide's

# Enabled, Disabled, PendingDeletion, PendingImport, PendingReplicaDeletion: the next state, or a refusal.
_ACTIVE = (_E, _D)
_USE = (_E, D1, S3, S5, S3)
_ANY = (_E, _D, _P, _I, _R)
_NOT_PENDING = (_E, _D, S3, _I, S3)
TABLE: dict[str, tuple[KeyState | Refusal, ...]] = {
    "Encrypt": _USE,
    "Decrypt": _USE,
    "ReEncrypt": _USE,
    "GenerateDataKey": _USE,
    "GenerateDataKeyWithoutPlaintext": _USE,
    "GenerateDataKeyPair": _USE,
    "GenerateDataKeyPairWithoutPlaintext": _USE,
    "Sign": _USE,
    "Verify": _USE,
    "GetPublicKey": _USE,
    "GenerateMac": _USE,
    "VerifyMac": _USE,
    "DeriveSharedSecret": _USE,
    "Encapsulate": _USE,
    "Decapsulate": _USE,
    "CreateGrant": _USE,
    "RetireGrant": _ANY,
    "RevokeGrant": _ANY,
    "ListGrants": _ANY,
    "DescribeKey": _ANY,
    "GetKeyPolicy": _ANY,
    "PutKeyPolicy": _ANY,
    "ListKeyPolicies": _ANY,
    "ListAliases": _ANY,
    "ListResourceTags": _ANY,
    "TagResource": _NOT_PENDING,
    "UntagResource": _NOT_PENDING,
    "UpdateKeyDescription": _NOT_PENDING,
    "CreateAlias": _NOT_PENDING,
    "UpdateAlias": _NOT_PENDING,  # asked of the new target; the old one may be in any state
    "DeleteAlias": _ANY,
    "EnableKey": (_E, _E, S3, S5, S3),
    "DisableKey": (_D, _D, S3, S5, S3),
    "EnableKeyRotation": (_E, D1, S3, U6, S3),
    "DisableKeyRotation": (_E, D1, S3, U6, S3),
    "RotateKeyOnDemand": (_E, D1, S3, S5, S3),
    "GetKeyRotationStatus": _ANY,
    "ListKeyRotations": _ANY,
    "GetKeyLastUsage": _ANY,
    "GetParametersForImport": _NOT_PENDING,
    "ImportKeyMaterial": _NOT_PENDING,  # what becomes of the key is told by its materials
    "DeleteImportedKeyMaterial": _ANY,
    "ReplicateKey": _USE,
    "UpdatePrimaryRegion": _USE,
    "ScheduleKeyDeletion": (_P, _P, S3, _P, S3),
    "ScheduleKeyDeletion, with replicas": (_R, _R, S3, _R, S3),
    "CancelKeyDeletion": (S4, S4, _D, S4, _D),
}


def state_at(key: KeyRow, now_ms: int) -> KeyState | None:
    """What holds at a moment; None means that the key is gone. now_ms: UTC milliseconds."""
    if key.deletion_at is not None and key.deletion_at <= now_ms:
        return None
    stored = KeyState(key.state)
    lacks_material = key.usable_until is not None and key.usable_until <= now_ms
    return KeyState.PENDING_IMPORT if lacks_material and stored in _ACTIVE else stored


def is_enabled(key: KeyRow, now_ms: int) -> bool:
    """`Enabled` of DescribeKey."""
    return state_at(key, now_ms) is KeyState.ENABLED


def shown_state(key: KeyRow, now_ms: int) -> str:
    """`KeyState` of DescribeKey, for a key that exists."""
    return (state_at(key, now_ms) or KeyState.PENDING_DELETION).value


def awaits_replicas(key: KeyRow) -> bool:
    """Whether the key is a primary whose deletion begins when its last replica is gone."""
    return KeyState(key.state) is KeyState.PENDING_REPLICA_DELETION


def may_rotate(key: KeyRow, now_ms: int) -> bool:
    """Whether material may be added to the key by itself: only to one that could be used."""
    return state_at(key, now_ms) is KeyState.ENABLED


def next_state(operation: str, state: KeyState, *, arn: str) -> KeyState:
    """State of the key after `operation`. Raises the AWS error by which the key refuses it."""
    outcome = TABLE[operation][list(KeyState).index(state)]
    if isinstance(outcome, Refusal):
        raise RequestError(outcome.code, outcome.wording.format(arn=arn))
    return outcome


def state_after(operation: str, key: KeyRow, now_ms: int) -> KeyState:
    """`next_state` of a row at a moment. Raises NotFoundException if the key is gone."""
    state = state_at(key, now_ms)
    if state is None:
        raise RequestError("NotFoundException", f"Key '{key.arn}' does not exist")
    return next_state(operation, state, arn=key.arn)
