"""What all operations of IAM share: names become rows, rows become answers, lists become pages.

What lives here: finding with NoSuchEntity, ids and ARNs, pages, documents, answers. What does not: the operations,
their checks (checks), how many there may be (quotas).

Laws: everything is looked for in the caller's account alone; an id is 16 random letters and digits after AWS's four; a
policy document leaves percent-encoded, as IAM's does.

Sources: IAM API Reference; IAM User Guide, "IAM identifiers" (unique ids).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

from s3al.auth.policy import Policy, PolicyKind
from s3al.errors import RequestError
from s3al.iam import quotas
from s3al.iam.ports import Iam
from s3al.service.named_principals import missing_principals
from s3al.service.operation import Call, Params
from s3al.store import identities
from s3al.store.database import Rows
from s3al.store.identities import GroupRow, ManagedPolicyRow, RoleRow, Tags, UserRow

T = TypeVar("T")

_PAGE: Final = 100
_MAX_DOCUMENT_BYTES: Final = 131_072
USER, GROUP, ROLE, POLICY = "AIDA", "AGPA", "AROA", "ANPA"


def account_of(call: Call) -> str:
    """The caller's account; the authorizer has refused whoever has none."""
    return call.principal.account_id or ""


def new_id(iam: Iam, prefix: str) -> str:
    return prefix + base64.b32encode(iam.random(10)).decode()


def arn_of(account_id: str, kind: str, path: str, name: str) -> str:
    """kind: user, group, role or policy."""
    return f"arn:aws:iam::{account_id}:{kind}{path}{name}"


def no_such(kind: str, name: str) -> RequestError:
    return RequestError("NoSuchEntity", f"The {kind} with name {name} cannot be found.")


def exists_already(kind: str, name: str) -> RequestError:
    return RequestError("EntityAlreadyExists", f"{kind.capitalize()} with name {name} already exists.")


def conflict(reason: str) -> RequestError:
    return RequestError("DeleteConflict", f"Cannot delete entity, {reason}.")


# --- finding


def user_named(rows: Rows, call: Call) -> UserRow:
    """The user that `UserName` names; the caller itself if there is no such parameter."""
    name = call.params.get("UserName")
    if name is None and call.principal.kind == "user":
        found = identities.find_user_by_arn(rows, call.principal.arn)
    else:
        if name is None:
            raise RequestError("ValidationError", "Must specify userName when calling with non-User credentials")
        found = identities.find_user(rows, account_of(call), name)
    if found is None:
        raise no_such("user", str(name))
    return found


def group_named(rows: Rows, call: Call) -> GroupRow:
    found = identities.find_group(rows, account_of(call), call.params["GroupName"])
    if found is None:
        raise no_such("group", call.params["GroupName"])
    return found


def role_named(rows: Rows, call: Call) -> RoleRow:
    found = identities.find_role(rows, account_of(call), call.params["RoleName"])
    if found is None:
        raise no_such("role", call.params["RoleName"])
    return found


def policy_of_arn(rows: Rows, call: Call, arn: str) -> ManagedPolicyRow:
    """A policy of the account, or one of AWS's own. Raises NoSuchEntity."""
    if arn in identities.AWS_MANAGED:
        return aws_managed(arn)
    found = identities.find_managed_policy(rows, arn)
    if found is None or found.account_id != account_of(call):
        raise RequestError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")
    return found


def aws_managed(arn: str) -> ManagedPolicyRow:
    name = arn.rpartition("/")[2]
    return ManagedPolicyRow(arn, "ANPA" + name.upper()[:16], "aws", name, "/", 0, 0)


# --- pages


def page(
    call: Call, found: Sequence[T], name: Callable[[T], str], *, most: int | None = None
) -> tuple[Sequence[T], Params]:
    """found: up to `most` (as `wanted`, if it is not given) + 1 entries beyond the marker. Returns those to show, and
    IsTruncated and Marker."""
    most = wanted(call) if most is None else most
    if len(found) <= most:
        return found, {"IsTruncated": False}
    shown = found[:most]
    return shown, {"IsTruncated": True, "Marker": base64.urlsafe_b64encode(name(shown[-1]).encode()).decode()}


def wanted(call: Call) -> int:
    return int(call.params.get("MaxItems") or _PAGE)


def after(call: Call) -> str:
    """The name beyond which the page begins. Raises ValidationError for a marker that this server never gave."""
    marker = call.params.get("Marker")
    if not marker:
        return ""
    try:
        return base64.urlsafe_b64decode(marker.encode()).decode()
    except (ValueError, UnicodeError):
        raise RequestError("ValidationError", "Invalid Marker.") from None


def names_page(call: Call, names: Iterable[str], member: str, entry: Callable[[str], Any]) -> Params:
    """Of a list short enough to be held."""
    beyond = [name for name in sorted(names) if name > after(call)]
    shown, ending = page(call, beyond, lambda name: name)
    return {member: [entry(name) for name in shown]} | ending


# --- documents and tags


def checked_document(text: str, kind: PolicyKind) -> Policy:
    """Raises MalformedPolicyDocument."""
    return Policy.parse(text, kind=kind, max_bytes=_MAX_DOCUMENT_BYTES)


def checked_trust(rows: Rows, text: str) -> None:
    """A role's trust policy, whose AWS principals exist. Raises MalformedPolicyDocument."""
    policy = checked_document(text, PolicyKind.TRUST)
    quotas.require("ACLSizePerRole", counted_size(text))
    statements = json.loads(text)["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        actions = statement.get("Action", [])
        if not all(each.lower().startswith("sts:") for each in ([actions] if isinstance(actions, str) else actions)):
            raise RequestError("MalformedPolicyDocument", "AssumeRole policy may only specify STS AssumeRole actions.")
    for kind, name in missing_principals(rows, policy):
        raise RequestError("MalformedPolicyDocument", f'Invalid principal in policy: "{kind}":"{name}"')


def counted_size(text: str) -> int:
    """Characters that count against a quota: white space between elements does not."""
    return len(json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False))


def encoded(text: str) -> str:
    return quote(text, safe="")


def tags_of(call: Call) -> Tags:
    """The Tags of a request. Raises InvalidInput for one name given twice, LimitExceeded for more than 50."""
    pairs = [(tag["Key"], tag["Value"]) for tag in call.params.get("Tags") or ()]
    if len({name.lower() for name, _ in pairs}) != len(pairs):
        raise RequestError("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(name.lower().startswith("aws:") for name, _ in pairs):
        raise RequestError("InvalidInput", "Tag keys with the prefix aws: are reserved.")
    quotas.require("TagsPerResource", len(pairs))
    return dict(pairs)


def with_tags(held: Tags, call: Call) -> Tags:
    given = tags_of(call)
    replaced = {name.lower() for name in given}
    changed = {name: value for name, value in held.items() if name.lower() not in replaced} | dict(given)
    quotas.require("TagsPerResource", len(changed))
    return changed


def without_tags(held: Tags, call: Call) -> Tags:
    removed = set(call.params["TagKeys"])
    return {name: value for name, value in held.items() if name not in removed}


def checked_boundary(rows: Rows, call: Call) -> str | None:
    """The ARN in PermissionsBoundary. Raises NoSuchEntity."""
    arn = call.params.get("PermissionsBoundary")
    return None if arn is None else policy_of_arn(rows, call, arn).arn


# --- answers


def when(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC)


def tag_list(tags: Tags) -> list[Params]:
    return [{"Key": name, "Value": value} for name, value in sorted(tags.items())]


def _extras(row: UserRow | RoleRow, *, full: bool) -> Params:
    """Lists of IAM leave tags and boundary out."""
    if not full:
        return {}
    shown: Params = {"Tags": tag_list(row.tags)} if row.tags else {}
    if row.boundary_arn:
        shown["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
            "PermissionsBoundaryArn": row.boundary_arn,
        }
    return shown


def shown_user(row: UserRow, *, full: bool = True) -> Params:
    about = {"Path": row.path, "UserName": row.name, "UserId": row.user_id, "Arn": row.arn}
    return {**about, "CreateDate": when(row.created_at), **_extras(row, full=full)}


def shown_group(row: GroupRow) -> Params:
    about = {"Path": row.path, "GroupName": row.name, "GroupId": row.group_id, "Arn": row.arn}
    return {**about, "CreateDate": when(row.created_at)}


def shown_role(row: RoleRow, *, full: bool = True) -> Params:
    shown: Params = {
        "Path": row.path,
        "RoleName": row.name,
        "RoleId": row.role_id,
        "Arn": row.arn,
        "CreateDate": when(row.created_at),
        "AssumeRolePolicyDocument": encoded(row.trust_policy),
        "MaxSessionDuration": row.max_session_duration,
    }
    if row.description:
        shown["Description"] = row.description
    return shown | ({"RoleLastUsed": {}} if full else {}) | _extras(row, full=full)


def shown_attached(policy_arn: str) -> Params:
    return {"PolicyName": policy_arn.rpartition("/")[2], "PolicyArn": policy_arn}
