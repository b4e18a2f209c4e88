"""A key policy that holds three roles apart: who administers a KMS key, who uses it, who looks on.

What lives here: `separated`. What does not: making keys (commands.keys), evaluating policies (auth).

Laws: administrators manage the key and can neither use it nor widen their own rights: no grants, no change of the
policy unless asked for, and cryptographic use denied outright, so that no identity policy gives it back; users use
the key and manage nothing; auditors look. The account's root alone, without delegation to the account, may repair the
policy: a key whose policy nobody can change is lost.

Source: KMS Developer Guide, "Key policies", "Least-privilege permissions"; Service Authorization Reference, KMS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

USE: Final = (
    "kms:Decapsulate",
    "kms:Decrypt",
    "kms:DeriveSharedSecret",
    "kms:Encapsulate",
    "kms:Encrypt",
    "kms:GenerateDataKey*",
    "kms:GenerateMac",
    "kms:ReEncrypt*",
    "kms:Sign",
    "kms:Verify*",
)
LOOK: Final = (
    "kms:DescribeKey",
    "kms:GetKeyLastUsage",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:GetPublicKey",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
)
MANAGE: Final = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DeleteImportedKeyMaterial",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)


def separated(
    account_id: str,
    *,
    administrators: Sequence[str] = (),
    users: Sequence[str] = (),
    auditors: Sequence[str] = (),
    administrators_change_policy: bool = False,
) -> dict[str, Any]:
    """A policy document. Principals are ARNs; one who is in two roles has the rights of both, except that an
    administrator never uses the key."""
    root = f"arn:aws:iam::{account_id}:root"
    statements = [_allow("RootRepairsThePolicy", [root], [*LOOK, "kms:PutKeyPolicy"])]
    statements[0]["Condition"] = {"ArnEquals": {"aws:PrincipalArn": root}}
    if administrators:
        changing = ["kms:PutKeyPolicy"] if administrators_change_policy else []
        statements.append(_allow("AdministratorsManage", administrators, [*MANAGE, *LOOK, *changing]))
        denied = _allow("AdministratorsNeitherUseNorShare", administrators, [*USE, "kms:CreateGrant"])
        statements.append(denied | {"Effect": "Deny"})
    if users:
        statements.append(_allow("UsersUse", users, [*USE, "kms:DescribeKey"]))
    if auditors:
        statements.append(_allow("AuditorsLook", auditors, LOOK))
    return {"Version": "2012-10-17", "Id": "s3al-separated-roles", "Statement": statements}


def _allow(sid: str, principals: Iterable[str], actions: Iterable[str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": list(principals)},
        "Action": list(actions),
        "Resource": "*",
    }
