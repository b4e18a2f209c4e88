"""How many of each an account may have, and how long policies may be: the quotas of IAM.

What lives here: the table, and the refusal. What does not: counting (the operations).

Laws: nothing else of this room names a quota's number; sizes count characters without white space between elements.

Sources: IAM User Guide, "IAM and AWS STS quotas" (those that AWS lets one raise have their default); IAM API Reference,
GetAccountSummary.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from s3al.errors import RequestError

# By the name that AWS's refusal says.
QUOTAS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "UsersPerAccount": 5000,
        "GroupsPerAccount": 300,
        "RolesPerAccount": 1000,
        "PoliciesPerAccount": 1500,
        "OpenIdConnectProvidersPerAccount": 100,
        "GroupsPerUser": 10,
        "AccessKeysPerUser": 2,
        "PoliciesPerUser": 10,
        "PoliciesPerGroup": 10,
        "PoliciesPerRole": 10,
        "VersionsPerPolicy": 5,
        "ClientIdsPerOpenIdConnectProvider": 100,
        "TagsPerResource": 50,
        "PolicySize": 6144,
        "ACLSizePerRole": 2048,
        "UserPolicySize": 2048,
        "GroupPolicySize": 5120,
        "RolePolicySize": 10240,
    }
)

# GetAccountSummary's name -> the quota's.
SUMMARY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "UsersQuota": "UsersPerAccount",
        "GroupsQuota": "GroupsPerAccount",
        "RolesQuota": "RolesPerAccount",
        "PoliciesQuota": "PoliciesPerAccount",
        "GroupsPerUserQuota": "GroupsPerUser",
        "AccessKeysPerUserQuota": "AccessKeysPerUser",
        "AttachedPoliciesPerUserQuota": "PoliciesPerUser",
        "AttachedPoliciesPerGroupQuota": "PoliciesPerGroup",
        "AttachedPoliciesPerRoleQuota": "PoliciesPerRole",
        "VersionsPerPolicyQuota": "VersionsPerPolicy",
        "PolicySizeQuota": "PolicySize",
        "AssumeRolePolicySizeQuota": "ACLSizePerRole",
        "UserPolicySizeQuota": "UserPolicySize",
        "GroupPolicySizeQuota": "GroupPolicySize",
        "RolePolicySizeQuota": "RolePolicySize",
    }
)

# Where AWS's sentence is another. {most}, {holder}: filled in.
_INLINE: Final = "Maximum policy size of {most} bytes exceeded for {holder}"
_SENTENCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "VersionsPerPolicy": "A managed policy can have up to {most} versions. Before you create a new version, you "
        "must delete an existing version.",
        "UserPolicySize": _INLINE,
        "GroupPolicySize": _INLINE,
        "RolePolicySize": _INLINE,
    }
)


def require(quota: str, count: int, *, holder: str = "") -> None:
    """Raises LimitExceeded if `count`, as it would be, is more than the quota. holder: whose, where the sentence
    says so."""
    most = QUOTAS[quota]
    if count > most:
        sentence = _SENTENCES.get(quota, f"Cannot exceed quota for {quota}: {{most}}")
        raise RequestError("LimitExceeded", sentence.format(most=most, holder=holder))
