"""New sessions: what may be asked of one, and the temporary credentials that stand for it.

What lives here: durations, session policies, session tags, the making of credentials. What does not: who may have a
session (access, and the trust policies of roles), the operations (sts), the token's form (service.session_tokens).

Laws: a session never has more than its role, and a session taken from a session ends within the hour; transitive tags
and the source identity pass on unchanged; the secret is shown once, where it is made.

Sources: STS API Reference, AssumeRole; IAM User Guide, "Pass session tags in AWS STS", "Role chaining".
"""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from s3al.auth.policy import Policy, PolicyKind
from s3al.auth.principal import Principal, Session
from s3al.errors import RequestError
from s3al.iam.accounts import Random
from s3al.service.credentials import ServerKey
from s3al.service.identities import managed_policy
from s3al.service.operation import Params
from s3al.service.session_tokens import SECRET_BYTES, SessionFacts, new_token, pack, packed_percent, secret_text
from s3al.store.database import Rows

DEFAULT_ROLE_S = 3600
CHAINED_MAX_S = 3600
USER_TOKEN_S, ROOT_TOKEN_S = 43_200, 3600
SESSION_POLICY_MAX_CHARACTERS = 2048
SESSION_POLICY_ARNS_MAX = 10
SESSION_TAGS_MAX = 50
_TAG_CHARACTERS = frozenset("_.:/=+-@")


@dataclass(frozen=True, slots=True)
class SessionTags:
    """tags: those of the session, transitive ones of the caller included. given: the ones this request brings."""

    tags: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    transitive: tuple[str, ...] = ()


def role_duration_s(params: Params, longest_s: int, *, chained: bool) -> int:
    """Of a session of a role whose sessions last `longest_s` at most. Raises ValidationError."""
    asked: int | None = params.get("DurationSeconds")
    if chained and asked is not None and asked > CHAINED_MAX_S:
        raise RequestError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )
    if asked is not None and asked > longest_s:
        raise RequestError(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    return DEFAULT_ROLE_S if asked is None else asked


def token_duration_s(params: Params, principal: Principal) -> int:
    """Of GetSessionToken: a root's is never longer than an hour."""
    if principal.kind == "root":
        return min(params.get("DurationSeconds") or ROOT_TOKEN_S, ROOT_TOKEN_S)
    return params.get("DurationSeconds") or USER_TOKEN_S


def narrowed(rows: Rows, session: Session, params: Params, account_id: str) -> Session:
    """The session with the session policies of the request. Raises MalformedPolicyDocument, PackedPolicyTooLarge or
    ValidationError."""
    policy: str | None = params.get("Policy")
    arns = tuple(str(named.get("arn") or "") for named in params.get("PolicyArns") or ())
    if len(arns) > SESSION_POLICY_ARNS_MAX:
        raise RequestError("ValidationError", f"A session has at most {SESSION_POLICY_ARNS_MAX} managed policies.")
    if len(policy or "") + sum(map(len, arns)) > SESSION_POLICY_MAX_CHARACTERS:
        raise RequestError(
            "PackedPolicyTooLarge",
            f"Session policy and policy ARNs are longer than {SESSION_POLICY_MAX_CHARACTERS} characters together.",
        )
    if policy is not None:
        Policy.parse(policy, kind=PolicyKind.SESSION, max_bytes=SESSION_POLICY_MAX_CHARACTERS)
    for arn in arns:
        if f"::{account_id}:" not in arn and "::aws:" not in arn:
            raise RequestError("ValidationError", f"The policy {arn} is not of the role's account.")
        if managed_policy(rows, arn) is None:
            raise RequestError("ValidationError", f"The policy {arn} does not exist.")
    return replace(session, policy=policy, policy_arns=arns)


def session_tags(given: Iterable[tuple[str, str]], transitive: Iterable[str], caller: Principal) -> SessionTags:
    """The tags of a session that `caller` begins. Raises ValidationError or InvalidParameterValue."""
    pairs = list(given)
    tags, passed = dict(pairs), tuple(transitive)
    _check_tags(pairs)
    for name in passed:
        if name not in tags:
            raise RequestError(
                "InvalidParameterValue", "The specified transitive tag key must be included in the requested tags."
            )
    inherited = _inherited(caller)
    if {name.lower() for name in inherited} & {name.lower() for name in tags}:
        raise RequestError(
            "InvalidParameterValue",
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
            "from the calling session.",
        )
    return SessionTags({**inherited, **tags}, tags, (*inherited, *passed))


def _inherited(caller: Principal) -> dict[str, str]:
    session = caller.session
    return {name: caller.tags[name] for name in session.transitive_tags} if session else {}


def _check_tags(pairs: list[tuple[str, str]]) -> None:
    if len(pairs) > SESSION_TAGS_MAX:
        raise RequestError("ValidationError", f"A session has at most {SESSION_TAGS_MAX} tags.")
    if len({name.lower() for name, _ in pairs}) != len(pairs):
        raise RequestError("InvalidParameterValue", "Duplicate tag keys found. Please note that tag keys are "
                           "case insensitive.")  # fmt: skip
    for name, value in pairs:
        if name.lower().startswith("aws:"):
            raise RequestError("InvalidParameterValue", "Tag keys must not begin with aws:.")
        if not 1 <= len(name) <= 128 or len(value) > 256 or not all(map(_may_stand_in_tag, name + value)):
            raise RequestError(
                "ValidationError", "A tag key has 1 to 128, a value up to 256 letters, digits, spaces or _.:/=+-@."
            )


def _may_stand_in_tag(character: str) -> bool:
    return character in _TAG_CHARACTERS or unicodedata.category(character)[0] in "LNZ"


def new_credentials(
    server_key: ServerKey, facts: SessionFacts, random: Random, *, least_bytes: int = 0
) -> tuple[Params, int]:
    """The Credentials member of an answer, and how full the token is, in percent. least_bytes: of the token.
    Raises PackedPolicyTooLarge."""
    access_key_id = "ASIA" + base64.b32encode(random(10)).decode()
    secret, packed = random(SECRET_BYTES), pack(facts)
    credentials = {
        "AccessKeyId": access_key_id,
        "SecretAccessKey": secret_text(secret),
        "SessionToken": new_token(server_key, access_key_id, secret, packed.ljust(least_bytes * 3 // 4, b"\0")),
        "Expiration": datetime.fromtimestamp(facts.session.expires_at_ms // 1000, UTC),
    }
    return credentials, packed_percent(packed)
