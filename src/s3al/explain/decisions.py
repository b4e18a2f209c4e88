"""One decision, explained: may this principal do that to this, by what, and what missed.

What lives here: `decide`, which puts one question to the function that decides requests of that service, and reads its
answer. What does not: any rule of who may do what (s3.access, kms.access, iam.access), whom the answer may be told
(verdicts, answers).

Laws: there is no second evaluator: a question becomes a call without a body, and the service weighs it as it weighs
requests; only the condition keys that the question leaves out are those of a request over TLS, made now. What does not
exist is refused with NoSuchEntity, what is no action or resource with ValidationError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from s3al.auth.decision import AccessRequest, ContextValue, DecidedBy, Decision, Weighed
from s3al.auth.evaluate import StatementReport
from s3al.auth.policy import Policy, Statement
from s3al.auth.policy_s3_names import ACTIONS as S3_ACTIONS
from s3al.auth.principal import Principal
from s3al.auth.variables import Context
from s3al.errors import AccessError, RequestError
from s3al.explain.observed import Asked, Trial, TrialBuckets, Watch
from s3al.explain.ports import Explaining
from s3al.explain.principals import ANYONE
from s3al.explain.verdicts import GRANT, By, NearMiss, Verdict, statement_of
from s3al.iam import access as iam_access
from s3al.iam import sts
from s3al.iam.operations import OPERATIONS as IAM_OPERATIONS
from s3al.kms import access as kms_access
from s3al.kms.data_keys import through_s3
from s3al.kms.grants import Constraint, Proposal
from s3al.kms.identifiers import NamedKey, existing_key
from s3al.kms.ports import OPERATIONS as KMS_OPERATIONS
from s3al.s3 import access as s3_access
from s3al.s3.bucket_policy import by_owner_or
from s3al.service.operation import Call, Check
from s3al.service.request_context import global_context
from s3al.store.database import Rows
from s3al.store.identities import find_role_by_arn
from s3al.store.keystore import KeyRow
from s3al.trail import lookup

VIA_SERVICE: Final = "kms:ViaService"
_ACTION = re.compile(r"(s3|kms|iam|sts|cloudtrail|s3al):([A-Za-z0-9]{1,64})")
_BUCKET_POLICY = frozenset({"s3:putbucketpolicy", "s3:getbucketpolicy", "s3:deletebucketpolicy"})
_WITHOUT_BUCKET: Mapping[str, str] = {"s3:createbucket": "CreateBucket", "s3:listallmybuckets": "ListBuckets"}
_WITHOUT_KEY = frozenset({"CreateKey", "GenerateRandom", "ListAliases", "ListKeys", "ListRetirableGrants"})
_TWO_KEYS = ("ReEncryptFrom", "ReEncryptTo")
_NO_PERMISSION_NEEDED = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})


@dataclass(frozen=True, slots=True)
class Question:
    """action: as policies write it, without wildcards. resource: an ARN, or "*". context: condition keys in place of
    those that a plain request would have. trial: policies in place of those that are stored. near: whether it is to be
    said what nearly matched."""

    principal: Principal
    action: str
    resource: str
    context: Mapping[str, ContextValue] = field(default_factory=dict)
    trial: Trial = field(default_factory=Trial)
    near: bool = True


def decide(
    rows: Rows,
    ports: Explaining,
    principal: Principal,
    action: str,
    resource: str,
    *,
    context: Mapping[str, ContextValue] | None = None,
) -> Verdict:
    """The decision on one action on one resource, explained. Raises ValidationError or NoSuchEntity."""
    return weigh(rows, ports, Question(principal, action, resource, context or {})).verdict


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict with what it was read from. asked: None where no policy was asked."""

    verdict: Verdict
    weighed: Weighed | None = None
    asked: Asked | None = None


def weigh(rows: Rows, ports: Explaining, question: Question) -> Finding:
    service, name = named_action(ports, question.action)
    call = Call(
        service=service,
        operation=name,
        params={},
        principal=question.principal,
        request_id="",
        now_ms=ports.now_ms(),
        region=_region(question.resource, ports),
        secure=True,
    )
    watched = _Watched(rows, ports, question, call)
    if question.action in _NO_PERMISSION_NEEDED:
        allowed = Decision("allow", reason="because this operation needs no permission")
        return Finding(_verdict(question, None, allowed, None))
    try:
        weighed = _BY_SERVICE[service](watched)
    except AccessError as refused:
        denied = Decision("implicit-deny", reason=f"because of this: {refused}")
        return Finding(_verdict(question, None, denied, None))
    asked = watched.watch.noted[-1] if watched.watch.noted else None
    return Finding(_verdict(question, weighed.owner, weighed.decision, asked), weighed, asked)


def named_action(ports: Explaining, action: str) -> tuple[str, str]:
    """(service, name) of an action that this server knows. Raises ValidationError."""
    found = _ACTION.fullmatch(action)
    if found is None or not _knows(ports, found[1], found[2]):
        raise RequestError("ValidationError", "The action must be one that this server knows, such as s3:GetObject.")
    return found[1], found[2]


def _knows(ports: Explaining, service: str, name: str) -> bool:
    if service == "s3":
        return f"s3:{name}".lower() in S3_ACTIONS
    known, more = _KNOWN[service]
    return name in (known or ports.own_operations) or name in more


# Service -> its operations (None: those of our own API), and actions that are none.
_KNOWN: Final[Mapping[str, tuple[Container[str] | None, tuple[str, ...]]]] = {
    "kms": (KMS_OPERATIONS, _TWO_KEYS),
    "iam": (IAM_OPERATIONS, ()),
    "sts": (sts.OPERATIONS, ("TagSession", "SetSourceIdentity")),
    "cloudtrail": (lookup.OPERATIONS, ()),
    "s3al": (None, ()),
}


def _region(resource: str, ports: Explaining) -> str:
    parts = resource.split(":", 5)
    return (parts[3] if len(parts) == 6 else "") or ports.region


@dataclass(frozen=True, slots=True)
class _Watched:
    """One question on its way through a service."""

    rows: Rows
    ports: Explaining
    question: Question
    call: Call
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        watch = Watch(self.ports.s3.identities, self.question.trial, near=self.question.near)
        object.__setattr__(self, "watch", watch)

    def context(self, known: Mapping[str, ContextValue]) -> dict[str, ContextValue]:
        """The question's condition keys, spelled as the request's own where it has them."""
        spelled = {name.lower(): name for name in known}
        return {spelled.get(name.lower(), name): value for name, value in self.question.context.items()}

    def malformed(self, wanted: str) -> RequestError:
        return RequestError("ValidationError", f"The resource of {self.question.action} must be {wanted}.")


# --- each service


def _weigh_s3(asked: _Watched) -> Weighed:
    rows, ports, question, call = asked.rows, asked.ports, asked.question, asked.call
    buckets = TrialBuckets(ports.s3.buckets, question.trial)
    s3 = replace(ports.s3, identities=asked.watch, buckets=buckets)
    action = question.action.lower()
    prefix = s3_access.bucket_arn("")
    name, _, object_key = question.resource.removeprefix(prefix).partition("/")
    wanted = {"object": "an object, arn:aws:s3:::BUCKET/KEY", "bucket": "a bucket, arn:aws:s3:::BUCKET"}
    kind = S3_ACTIONS[action]
    context = asked.context(s3_access.request_context(call))
    if action in _WITHOUT_BUCKET or kind == "other":
        if question.resource not in ("*", f"{prefix}*") and kind == "other":
            raise asked.malformed('"*"')
        call.operation = _WITHOUT_BUCKET.get(action, "ListBuckets")
        resource = f"{prefix}*" if question.resource == "*" else question.resource
        return s3_access.weigh(rows, call, Check(question.action, resource, context), s3)
    if not question.resource.startswith(prefix) or not name or bool(object_key) is not (kind == "object"):
        raise asked.malformed(wanted[kind])
    call.params["Bucket"] = name
    check = Check(question.action, question.resource)
    try:
        if action in _BUCKET_POLICY:
            [check] = by_owner_or(question.action)(call, rows, s3)
        return s3_access.weigh(rows, call, replace(check, context=context), s3)
    except AccessError:
        raise
    except RequestError:
        raise RequestError("NoSuchEntity", "There is no such bucket.") from None


def _weigh_kms(asked: _Watched) -> Weighed:
    rows, question, call = asked.rows, asked.question, asked.call
    identity = asked.watch.of(rows, question.principal)
    if call.operation in _WITHOUT_KEY:
        context = global_context(call) | asked.context(global_context(call))
        return kms_access.weigh_account(AccessRequest(question.principal, question.action, "*", context), identity)
    key = find_key(rows, question.resource, call.now_ms)
    if key is None:
        if not re.fullmatch(r"arn:aws:kms:[a-z0-9-]+:\d{12}:key/.+", question.resource):
            raise asked.malformed("a KMS key, arn:aws:kms:REGION:ACCOUNT:key/ID")
        raise RequestError("NoSuchEntity", "There is no such KMS key.")
    context = _kms_context(asked, NamedKey(key))
    proposal = Proposal(frozenset(), Constraint()) if question.action == "kms:CreateGrant" else None
    return kms_access.weigh(
        rows, kms_access.Question(question.principal, question.action, key, context, proposal), identity
    )


def _kms_context(asked: _Watched, named: NamedKey) -> dict[str, ContextValue]:
    given = dict(asked.question.context)
    pairs = {
        name.partition(":EncryptionContext:")[2]: str(value)
        for name, value in given.items()
        if name.lower().startswith("kms:encryptioncontext:")
    }
    if VIA_SERVICE in given:
        region = str(given[VIA_SERVICE]).split(".")[1:2] or [asked.call.region]
        known = through_s3(asked.rows, asked.call, region[0], named, pairs)
    else:
        check = kms_access.key_check(asked.rows, asked.call, asked.question.action, named, pairs=pairs)
        known = global_context(asked.call) | dict(check.context)
    return known | asked.context(known)


def find_key(rows: Rows, arn: str, now_ms: int) -> KeyRow | None:
    """A KMS key of users by ARN."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[:3] != ["arn", "aws", "kms"] or not parts[5].startswith("key/"):
        return None
    key = existing_key(rows, parts[5].removeprefix("key/"), parts[3], now_ms)
    return key if key is not None and key.arn == arn else None


def _weigh_identities(asked: _Watched) -> Weighed:
    rows, question, call = asked.rows, asked.question, asked.call
    is_role = ":role/" in question.resource and call.service == "sts"
    if call.service == "sts" and call.operation.startswith("AssumeRole") and not is_role:
        raise asked.malformed("a role, arn:aws:iam::ACCOUNT:role/NAME")
    if question.resource != "*" and not re.match(r"arn:aws:(iam|sts|s3|kms):", question.resource):
        raise asked.malformed('an ARN, or "*"')
    if is_role and find_role_by_arn(rows, question.resource) is None:
        raise RequestError("NoSuchEntity", "There is no such role.")
    context = asked.context(global_context(call))
    identity = asked.watch.of(rows, question.principal)
    return iam_access.weigh(rows, call, Check(question.action, question.resource, context), identity)


_BY_SERVICE: Mapping[str, Callable[[_Watched], Weighed]] = {
    "s3": _weigh_s3,
    "kms": _weigh_kms,
    "iam": _weigh_identities,
    "sts": _weigh_identities,
    "cloudtrail": _weigh_identities,
    "s3al": _weigh_identities,
}


# --- reading the answer


def _verdict(question: Question, owner: str | None, decision: Decision, asked: Asked | None) -> Verdict:
    principal = question.principal
    return Verdict(
        principal=principal.arn or ANYONE,
        account=principal.account_id,
        action=question.action,
        resource=question.resource,
        effect=decision.effect,
        by=_by(decision, asked),
        reason=decision.reason,
        mismatches=tuple(_misses(asked)) if asked else (),
        owner=owner,
    )


def _by(decision: Decision, asked: Asked | None) -> By | None:
    if decision.grant_id is not None:
        return By(GRANT, decision.grant_id)
    if decision.statement is None or asked is None:
        return None
    found = statement_with(asked, decision.statement)
    return by_statement(*found) if found else None


def statement_with(asked: Asked, decided_by: DecidedBy) -> tuple[Policy, Statement] | None:
    for policy in asked.policies:
        for statement in policy.statements:
            if statement.decided_by is decided_by:
                return policy, statement
    return None


def by_statement(policy: Policy, statement: Statement) -> By:
    decided_by = statement.decided_by
    return By(policy.kind.value, policy.name, decided_by.sid, decided_by.index, statement_of(decided_by.text))


def _misses(asked: Asked) -> list[NearMiss]:
    """Statements on this action that nearly matched: all elements but one kind are met or not yet asked."""
    context = Context(asked.request.context)
    misses = []
    for report in asked.reports:
        failed = report.failed
        if failed is None or failed.element == "action":
            continue
        found = statement_with(asked, report.statement)
        if found is not None:
            misses.append(_miss(found, report, context))
    return misses


def _miss(found: tuple[Policy, Statement], report: StatementReport, context: Context) -> NearMiss:
    policy, statement = found
    failed = report.failed
    assert failed is not None
    wanted: tuple[str, ...] = ()
    for condition in statement.conditions:
        if (condition.operator.written, condition.key) == (failed.operator, failed.key):
            wanted = condition.values
            break
    return NearMiss(
        by_statement(policy, statement),
        report.effect,
        failed.element,
        failed.operator,
        failed.key,
        wanted,
        context.values(failed.key) if failed.key else (),
    )
