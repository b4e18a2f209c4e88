"""The operations of IAM, one file per topic: importing this package fills the table in `iam.registry`.

What lives here: users, groups, roles, access keys, policies, identity providers, and questions about all of them. What
does not: STS (iam.sts), what policies decide (auth).
"""

from __future__ import annotations

from s3al.iam.operations import (
    absent,
    access_keys,
    account,
    groups,
    holders,
    named,
    policies,
    providers,
    roles,
    simulation,
    tags,
    users,
)
from s3al.iam.registry import OPERATIONS

__all__ = [
    "OPERATIONS",
    "absent",
    "access_keys",
    "account",
    "groups",
    "holders",
    "named",
    "policies",
    "providers",
    "roles",
    "simulation",
    "tags",
    "users",
]
