"""The security token service: who am I, and temporary credentials.

What lives here: the operations. What does not: who may take a role (access), what a session may be (sessions), tokens
of identity providers (web_identity).

Laws: a role that refuses and one that is not there are answered alike; what a request asks of a session and this
server has not (a second factor, provided contexts) is refused, never ignored.

Source: STS API Reference.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from s3al.auth.authorized import Authorized
from s3al.auth.decision import AccessRequest
from s3al.auth.evaluate import evaluate
from s3al.auth.principal import ANONYMOUS, Principal, Session
from s3al.errors import AccessError, RequestError
from s3al.iam.access import account_of, no_checks, read, trust_policy
from s3al.iam.ports import Iam
from s3al.iam.sessions import (
    SessionTags,
    narrowed,
    new_credentials,
    role_duration_s,
    session_tags,
    token_duration_s,
)
from s3al.iam.web_identity import WebIdentity, claimed_issuer, verified
from s3al.service.credentials import key_mark, session_arn
from s3al.service.operation import Call, Check, Operations, Params, Reply
from s3al.service.request_context import global_context
from s3al.service.session_tokens import SessionFacts
from s3al.store import accounts, identities
from s3al.store.database import Rows
from s3al.store.identities import RoleRow

OPERATIONS: Operations[Iam] = Operations()
Context = dict[str, str | list[str]]


@OPERATIONS.operation("GetCallerIdentity", checks=no_checks)
async def get_caller_identity(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    who = authorized.principal
    return Reply({"UserId": who.user_id, "Account": who.account_id, "Arn": who.arn})


def _on_access_key(call: Call, rows: Rows, iam: Iam) -> Iterable[Check]:
    return (Check("sts:GetAccessKeyInfo", "*"),)


@OPERATIONS.operation("GetAccessKeyInfo", checks=_on_access_key)
async def get_access_key_info(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    """Of long-term keys: temporary ones are not stored anywhere."""
    row = await iam.db.read(lambda rows: accounts.find_access_key(rows, call.params["AccessKeyId"]))
    if row is None:
        raise RequestError("ValidationError", "Invalid Access Key Id")
    return Reply({"Account": row.account_id})


# --- session tokens of users and roots


@OPERATIONS.operation("GetSessionToken", checks=no_checks)
async def get_session_token(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    _refuse_second_factor(call.params)
    caller = authorized.principal
    if caller.kind not in ("user", "root"):
        raise AccessError("AccessDenied", "Cannot call GetSessionToken with session credentials")
    access_key_id = caller.access_key_id or ""

    def reader(rows: Rows) -> SessionFacts:
        row = accounts.find_access_key(rows, access_key_id)
        if row is None:
            raise RequestError("InvalidClientTokenId")
        return SessionFacts(
            account_id=row.account_id,
            principal_arn=caller.arn,
            issuer_id=caller.user_id if caller.kind == "user" else "",
            session=_session(call, token_duration_s(call.params, caller)),
            access_key_id=access_key_id,
            access_key_mark=key_mark(row),
        )

    facts = await iam.db.read(reader)
    return Reply({"Credentials": _credentials(iam, facts, call.params)[0]})


# --- roles


def _on_role(call: Call, rows: Rows, iam: Iam) -> Iterable[Check]:
    """sts:AssumeRole, and what each thing beside it asks of the role too."""
    arn = call.params["RoleArn"]
    tags = _session_tags(call)
    context = _role_context(rows, call, tags)
    yield Check("sts:AssumeRole", arn, context)
    if tags.tags:
        yield Check("sts:TagSession", arn, context)
    if call.params.get("SourceIdentity"):
        yield Check("sts:SetSourceIdentity", arn, context)


@OPERATIONS.operation("AssumeRole", checks=_on_role)
async def assume_role(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    params, caller = call.params, authorized.principal
    _refuse_second_factor(params)
    if params.get("ProvidedContexts"):
        raise RequestError("ValidationError", "Provided contexts are not supported.")
    tags = _session_tags(call)
    source_identity = _source_identity(params, caller)

    def reader(rows: Rows) -> SessionFacts:
        role = _role(rows, call)
        lasts_s = role_duration_s(params, role.max_session_duration, chained=caller.kind == "assumed-role")
        session = replace(_session(call, lasts_s), transitive_tags=tags.transitive, source_identity=source_identity)
        return _role_facts(rows, call, role, session=session, tags=tags)

    facts = await read(authorized, call, iam, reader)
    return Reply(_assumed(iam, facts, params))


def _session_tags(call: Call) -> SessionTags:
    pairs = [(tag["Key"], tag["Value"]) for tag in call.params.get("Tags") or ()]
    return session_tags(pairs, call.params.get("TransitiveTagKeys") or (), call.principal)


def _source_identity(params: Params, caller: Principal) -> str | None:
    """Once set, it stays through all further roles."""
    wanted: str | None = params.get("SourceIdentity")
    held = caller.session.source_identity if caller.session else None
    if held is not None and wanted not in (None, held):
        raise AccessError("AccessDenied", "The source identity of a session cannot be changed.")
    return held or wanted


def _role_context(rows: Rows, call: Call, tags: SessionTags) -> Context:
    params = call.params
    context: Context = {"sts:RoleSessionName": params["RoleSessionName"]}
    for member, name in (("ExternalId", "sts:ExternalId"), ("SourceIdentity", "sts:SourceIdentity")):
        if params.get(member):
            context[name] = params[member]
    if params.get("DurationSeconds"):
        context["sts:DurationSeconds"] = str(params["DurationSeconds"])
    context |= _tags_context(tags)
    role = identities.find_role_by_arn(rows, params["RoleArn"])
    for name, value in (role.tags if role else {}).items():
        context[f"aws:ResourceTag/{name}"] = context[f"iam:ResourceTag/{name}"] = value
    return context


def _tags_context(tags: SessionTags) -> Context:
    context: Context = {f"aws:RequestTag/{name}": value for name, value in tags.tags.items()}
    if tags.tags:
        context["aws:TagKeys"] = list(tags.tags)
    if tags.transitive:
        context["sts:TransitiveTagKeys"] = list(tags.transitive)
    return context


def _role(rows: Rows, call: Call) -> RoleRow:
    role = identities.find_role_by_arn(rows, call.params["RoleArn"])
    if role is None:
        raise _refused(call, f"sts:{call.operation}")
    return role


def _refused(call: Call, action: str) -> AccessError:
    if call.operation != "AssumeRole":
        return AccessError("AccessDenied", f"Not authorized to perform {action}")
    what = f"{action} on resource: {call.params['RoleArn']}"
    return AccessError("AccessDenied", f"User: {call.principal.arn} is not authorized to perform: {what}")


# --- roles for web identities


@OPERATIONS.operation("AssumeRoleWithWebIdentity", checks=no_checks)
async def assume_role_with_web_identity(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    """Authorized here: who asks is known only once the token is verified, which may ask the provider for its keys."""
    params = call.params
    if params.get("ProviderId"):
        raise RequestError("ValidationError", "ProviderId is of use to OAuth 2.0 tokens alone, which are not accepted.")
    account_id, token = account_of(params["RoleArn"]), params["WebIdentityToken"]
    issuer = claimed_issuer(token)
    provider = await iam.db.read(lambda rows: identities.find_oidc_provider_by_url(rows, account_id, issuer))
    if provider is None:
        raise RequestError(
            "InvalidIdentityToken", "No OpenIDConnect provider found in your account for " + issuer[:256]
        )
    who = await verified(token, provider, iam.provider_keys, now_ms=call.now_ms)
    tags = session_tags(who.tags.items(), who.transitive_tags, ANONYMOUS)

    def reader(rows: Rows) -> SessionFacts:
        if identities.find_oidc_provider(rows, provider.arn) != provider:
            raise _refused(call, "sts:AssumeRoleWithWebIdentity")
        role = _role(rows, call)
        _trust_web_identity(call, role, who, tags)
        session = replace(
            _session(call, role_duration_s(params, role.max_session_duration, chained=False)),
            transitive_tags=tags.transitive,
            source_identity=who.source_identity,
            provider=provider.arn,
            claims=who.claims,
        )
        return _role_facts(rows, call, role, session=session, tags=tags)

    facts = await iam.db.read(reader)
    output = _assumed(iam, facts, params)
    shown = {"SubjectFromWebIdentityToken": who.subject, "Provider": provider.arn, "Audience": who.audience}
    return Reply(output | shown)


def _trust_web_identity(call: Call, role: RoleRow, who: WebIdentity, tags: SessionTags) -> None:
    """Raises AccessDenied unless the role's trust policy admits the identity, and its tags and source identity."""
    principal = Principal("federated", None, who.provider_arn, who.subject, provider=who.provider_arn)
    context = {**global_context(replace(call, principal=principal)), **who.context, **_tags_context(tags)}
    context["sts:RoleSessionName"] = call.params["RoleSessionName"]
    if who.source_identity:
        context["sts:SourceIdentity"] = who.source_identity
    actions = ["sts:AssumeRoleWithWebIdentity"]
    actions += ["sts:TagSession"] * bool(tags.tags) + ["sts:SetSourceIdentity"] * bool(who.source_identity)
    for action in actions:
        request = AccessRequest(principal, action, role.arn, context)
        decision = evaluate(
            request, resource_policy=trust_policy(role.trust_policy), resource_account=account_of(role.arn)
        )
        if not decision.allows:
            raise _refused(call, action)


# --- what all of them answer


def _session(call: Call, lasts_s: int) -> Session:
    return Session(issued_at_ms=call.now_ms, expires_at_ms=call.now_ms + lasts_s * 1000)


def _role_facts(rows: Rows, call: Call, role: RoleRow, *, session: Session, tags: SessionTags) -> SessionFacts:
    account_id = account_of(role.arn)
    return SessionFacts(
        account_id=account_id,
        principal_arn=role.arn,
        issuer_id=role.role_id,
        session=narrowed(rows, session, call.params, account_id),
        session_name=call.params["RoleSessionName"],
        tags=tags.tags,
    )


def _credentials(iam: Iam, facts: SessionFacts, params: Params) -> tuple[Params, int]:
    least_bytes = params.get("MinimumSessionTokenSize") or 0
    return new_credentials(iam.server_key, facts, iam.random, least_bytes=least_bytes)


def _assumed(iam: Iam, facts: SessionFacts, params: Params) -> Params:
    credentials, percent = _credentials(iam, facts, params)
    output: Params = {
        "Credentials": credentials,
        "AssumedRoleUser": {
            "AssumedRoleId": f"{facts.issuer_id}:{facts.session_name}",
            "Arn": session_arn(facts.principal_arn, facts.session_name),
        },
    }
    if facts.session.is_narrowed or facts.tags:
        output["PackedPolicySize"] = percent
    if facts.session.source_identity is not None:
        output["SourceIdentity"] = facts.session.source_identity
    return output


def _refuse_second_factor(params: Params) -> None:
    if params.get("SerialNumber") or params.get("TokenCode"):
        raise AccessError(
            "AccessDenied", "MultiFactorAuthentication failed, unable to validate MFA code: there are no MFA devices."
        )
