"""The policy documents that have a say in one question: their stored text, where they may be put, and how.

What lives here: `Place`, one document with the way to replace it. What does not: which change to make (remedies).

Law: a document is given whole, with everything that it says beside the change, so that whoever puts it loses nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from s3al.auth.policy import Policy, PolicyKind
from s3al.errors import RequestError
from s3al.explain.decisions import find_key
from s3al.explain.ports import Explaining
from s3al.iam.entities import counted_size
from s3al.kms.access import MAX_POLICY_BYTES
from s3al.s3.access import bucket_arn
from s3al.s3.limits import POLICY_MAX_BYTES
from s3al.store import identities
from s3al.store.database import Rows

_MANAGED_MAX_BYTES: Final = 6144  # IAM quotas, "IAM and STS character limits", white space not counted
_INLINE_MAX_BYTES: Final = {"user": 2048, "group": 5120, "role": 10240, "trust": 2048}
_MANAGED = re.compile(r"arn:aws:iam::[^:]*:policy/")
_EMPTY: Final = '{"Version":"2012-10-17","Statement":[]}'
_NEW_NAME: Final = "allowed-by-explanation"


@dataclass(frozen=True, slots=True)
class Place:
    """One document. name: as decisions call it. text: None where there is none yet. account: whose it is.

    command: the words of the AWS CLI that put a document, read from policy.json. fixed: why nobody can change it, "" if
    its account can. bucket_name: of a bucket policy.
    """

    kind: PolicyKind
    name: str
    account: str | None
    text: str | None
    command: str
    max_bytes: int
    fixed: str = ""
    bucket_name: str | None = None

    def document(self) -> dict[str, Any]:
        """As JSON, its statements as a list."""
        found: dict[str, Any] = json.loads(self.text or _EMPTY)
        statements = found["Statement"]
        found["Statement"] = statements if isinstance(statements, list) else [statements]
        return found

    def parsed(self, document: dict[str, Any]) -> Policy:
        """Raises RequestError for a document that the service would refuse; one that says nothing yet is none."""
        if not document["Statement"]:
            return Policy(self.kind, self.name, document.get("Version", ""), ())
        return Policy.parse(
            json.dumps(document),
            kind=self.kind,
            max_bytes=self.max_bytes,
            bucket_name=self.bucket_name,
            name=self.name,
        )


def resource_place(rows: Rows, ports: Explaining, service: str, resource: str, account: str | None) -> Place | None:
    """The resource's own policy; None where resources of this kind have none. account: the resource's."""
    if service == "s3" and resource.startswith(bucket_arn("")) and resource != bucket_arn("*"):
        name = resource.removeprefix(bucket_arn("")).partition("/")[0]
        try:
            state = ports.s3.buckets.get(rows, name)
        except RequestError:
            return None  # it is about to be made
        stored = state.settings.get("policy")
        text = None if stored is None else stored.decode()
        command = f"aws s3api put-bucket-policy --bucket {name} --policy file://policy.json"
        return Place(PolicyKind.BUCKET, "bucket-policy", account, text, command, POLICY_MAX_BYTES, bucket_name=name)
    if service == "kms" and ":key/" in resource:
        key = find_key(rows, resource, ports.now_ms())
        if key is None:
            return None
        command = f"aws kms put-key-policy --key-id {key.arn} --policy-name default --policy file://policy.json"
        fixed = "" if key.manager == "CUSTOMER" else "the policy of a key that AWS would manage cannot be changed"
        return Place(PolicyKind.KEY, "key-policy", account, key.policy, command, MAX_POLICY_BYTES, fixed)
    role = identities.find_role_by_arn(rows, resource) if service == "sts" else None
    if role is None:
        return None
    command = f"aws iam update-assume-role-policy --role-name {role.name} --policy-document file://policy.json"
    return Place(PolicyKind.TRUST, "trust-policy", account, role.trust_policy, command, _INLINE_MAX_BYTES["trust"])


def identity_places(rows: Rows, holder: str, account: str | None) -> Iterator[Place]:
    """The identity policies of a user or role, its boundary, and last an inline policy that it does not have yet.
    holder: the ARN of the user or role."""
    taken, used = set(), 0
    for document in identities.identity_policies(rows, holder):
        taken.add(document.name)
        used += counted_size(document.text) if document.name.startswith(f"{holder}/") else 0
        yield _stored(PolicyKind.IDENTITY, document.name, account, document.text)
    boundary = identities.boundary_of(rows, holder)
    if boundary is not None:
        yield _stored(PolicyKind.BOUNDARY, boundary.name, account, boundary.text)
    number = 1
    while f"{holder}/{_NEW_NAME}{number}" in taken:
        number += 1
    place = _inline(PolicyKind.IDENTITY, holder, f"{_NEW_NAME}{number}", account, None)
    yield replace(place, max_bytes=max(0, place.max_bytes - used))  # inline policies share their room


def _stored(kind: PolicyKind, name: str, account: str | None, text: str) -> Place:
    if not _MANAGED.match(name):
        holder, _, policy = name.rpartition("/")
        return _inline(kind, holder, policy, account, text)
    fixed = "AWS's own managed policies cannot be changed" if name.startswith("arn:aws:iam::aws:") else ""
    command = f"aws iam create-policy-version --policy-arn {name} --set-as-default --policy-document file://policy.json"
    return Place(kind, name, account, text, command, _MANAGED_MAX_BYTES, fixed)


def _inline(kind: PolicyKind, holder: str, policy: str, account: str | None, text: str | None) -> Place:
    entity = holder.split(":", 5)[5].partition("/")[0]
    name = holder.rpartition("/")[2]
    command = f"aws iam put-{entity}-policy --{entity}-name {name} --policy-name {policy} --policy-document file://policy.json"
    return Place(kind, f"{holder}/{policy}", account, text, command, _INLINE_MAX_BYTES.get(entity, 2048))
