"""The operations of IAM, one file per topic: importing this package fills the table in `iam.registry`.

What lives here: users, groups, roles, access keys, policies, identity providers. What does not: STS (iam.sts), what
policies decide (auth).
"""

from __future__ import annotations

from s3al.iam.operations import access_keys, groups, holders, policies, providers, roles, users
from s3al.iam.registry import OPERATIONS

__all__ = ["OPERATIONS", "access_keys", "groups", "holders", "policies", "providers", "roles", "users"]
