"""Whether the principals that a resource policy names exist: what S3, KMS and IAM ask before they store one.

What lives here: the look-up. What does not: the error, whose code and words are each service's own; who a principal
reaches (auth.policy_principals).

Law: accounts, users and roles must exist; of a session its account must, as a session is named by its role's name
without the path by which a role is found. Services and identity providers are taken as they are.

Sources: IAM User Guide, "AWS JSON policy elements: Principal"; S3 User Guide, "Invalid principal in policy"; KMS API
Reference, PutKeyPolicy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from s3al.auth.policy import Policy
from s3al.store import accounts, identities
from s3al.store.database import Rows

_ACCOUNT = re.compile(r"(?:arn:aws[a-z-]*:(?:iam|sts)::)?(\d{12})(?::.*)?", re.DOTALL)


def missing_principals(rows: Rows, policy: Policy) -> Iterator[tuple[str, str]]:
    """(type, value) as written of every principal that does not exist."""
    for kind, name in policy.principal_names():
        known = name == "*" if kind == "AWS" else kind != "CanonicalUser"
        if not known and not _exists(rows, kind, name):
            yield kind, name


def _exists(rows: Rows, kind: str, name: str) -> bool:
    if kind == "CanonicalUser":
        return accounts.find_account_by_canonical_id(rows, name) is not None
    account = _ACCOUNT.fullmatch(name)
    if account is None or accounts.find_account(rows, account.group(1)) is None:
        return False
    if ":user/" in name:
        return identities.find_user_by_arn(rows, name) is not None
    return ":role/" not in name or identities.find_role_by_arn(rows, name) is not None
