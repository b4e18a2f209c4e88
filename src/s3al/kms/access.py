"""Who may do this with that key: the checks operations declare, the condition keys, and the decision.

What lives here: `on_key` and `on_account`, the kms condition keys, `weigh`, `authorize`, and `read`, which reads as of
what was authorized. What does not: the evaluation of policies (auth.evaluate), key states (states).

Laws: nobody has a right that no policy and no grant gives, not even the account's root or the key's creator; a
statement for the account principal delegates to the account, so that its root passes, and whoever of it has an
identity policy that allows; explicit deny wins, over grants too; a grant that reaches a session through its role gives
no more than boundary and session policies leave; other accounts are answered alike whether a key refuses them or is
not there.

Sources: KMS Developer Guide, "Policy evaluation", "Condition keys"; cross-account list of the API reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar

from s3al.auth.authorized import Authorized, grant
from s3al.auth.decision import AccessRequest, ConditionKeys, Decision, Weighed, refusal_message
from s3al.auth.policy import Policy, PolicyKind
from s3al.auth.principal import Principal
from s3al.errors import AccessError, RequestError
from s3al.kms.grants import Proposal, check_tokens, granted_by, may_retire, retiring_grant
from s3al.kms.identifiers import Asker, NamedKey, existing_key, find_named_key, foreign_refusal
from s3al.kms.ports import OPERATIONS, Kms
from s3al.service.identities import Identity
from s3al.service.operation import Call, Check, Checks
from s3al.service.request_context import global_context
from s3al.store import key_labels
from s3al.store.catalog import change_counter
from s3al.store.database import Rows
from s3al.store.key_grants import GrantRow
from s3al.store.keystore import KeyRow
from s3al.store.settled import settled, settled_where

T = TypeVar("T")
Context = dict[str, str | list[str]]

MAX_POLICY_BYTES = 32 * 1024
_CACHED_POLICIES = 1024

# Operations that a caller of another account may do, where both sides allow it. All others: own account only.
CROSS_ACCOUNT = frozenset(
    {
        "CreateGrant",
        "Decapsulate",
        "Decrypt",
        "DeriveSharedSecret",
        "DescribeKey",
        "Encapsulate",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateMac",
        "GetKeyRotationStatus",
        "GetPublicKey",
        "ListGrants",
        "ReEncrypt",
        "RetireGrant",
        "RevokeGrant",
        "Sign",
        "Verify",
        "VerifyMac",
    }
)


@dataclass(frozen=True, slots=True)
class Question:
    """May this principal do this with that key. context: what the request says beside the key. proposal: what
    CreateGrant would grant. retired: the grant that RetireGrant names."""

    principal: Principal
    action: str
    key: KeyRow
    context: Mapping[str, str | list[str]]
    proposal: Proposal | None = None
    retired: GrantRow | None = None


def on_account(action: str) -> Checks[Kms]:
    """An action with no key behind it (ListKeys): the account's root has it, others by identity policy."""

    def checks(call: Call, rows: Rows, kms: Kms) -> Iterable[Check]:
        return (Check(action, "*", request_tags(call) | _parameters(call)),)

    return checks


def on_key(action: str, *, aliases: bool = False) -> Checks[Kms]:
    """An action on the key that `KeyId` names. aliases: the operation takes alias names and alias ARNs too."""

    def checks(call: Call, rows: Rows, kms: Kms) -> Iterable[Check]:
        named = find_named_key(rows, call.params["KeyId"], Asker.of(call), aliases=aliases)
        return (key_check(rows, call, action, named),)

    return checks


def key_check(rows: Rows, call: Call, action: str, named: NamedKey, *, pairs: Mapping[str, str] | None = None) -> Check:
    """pairs: the encryption context, where the operation has one."""

    def gather() -> Context:
        return key_context(rows, named) | request_tags(call) | encryption_context(pairs) | _parameters(call)

    return Check(action, named.row.arn, ConditionKeys(gather))


def authorize(rows: Rows, call: Call, kms: Kms) -> Authorized:
    """Evaluate every check that the operation declares, as of `rows`. Raises AccessError, or why there is no key."""
    if call.principal.account_id is None:
        raise AccessError("MissingAuthenticationTokenException")
    if call.operation not in OPERATIONS:
        raise RequestError("UnsupportedOperationException")
    stamp = change_counter(rows)
    check_tokens(rows, call.params.get("GrantTokens"))
    decisions = [_decide_check(rows, call, check, kms) for check in OPERATIONS[call.operation].checks(call, rows, kms)]
    return grant(call.principal, tuple(decisions), stamp)


async def read(authorized: Authorized, call: Call, kms: Kms, reader: Callable[[Rows], T]) -> T:
    """Run `reader` on one snapshot, authorized as of that snapshot: an alias may point elsewhere by now."""
    return await call.read(kms.db, authorized, reader)


def hidden_key() -> AccessError:
    """For a ciphertext whose key the caller did not name: absent, elsewhere and forbidden are one answer."""
    return AccessError(
        "AccessDeniedException",
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, "
        "or you are not allowed to access.",
    )


# Action -> parameter: where the request leaves it out, the key is known from the ciphertext alone.
_FROM_CIPHERTEXT: Mapping[str, str] = {"kms:Decrypt": "KeyId", "kms:ReEncryptFrom": "SourceKeyId"}


def _decide_check(rows: Rows, call: Call, check: Check, kms: Kms) -> Decision:
    context = ConditionKeys(lambda: global_context(call) | dict(check.context))
    if ":key/" not in check.resource:
        request = AccessRequest(call.principal, check.action, check.resource, dict(context))
        return _decide_account(request, kms.identities.of(rows, call.principal))
    key = _key_of_arn(rows, check.resource, call.now_ms)
    if key is None:
        raise RequestError("NotFoundException", f"Key '{check.resource}' does not exist")
    kms.recorder.touched(call, key.arn)
    question = Question(
        call.principal,
        check.action,
        key,
        context,
        proposal=Proposal.of(call.params) if check.action == "kms:CreateGrant" else None,
        retired=retiring_grant(rows, call)[1] if check.action == "kms:RetireGrant" else None,
    )
    try:
        return decide(rows, question, kms)
    except AccessError:
        if check.action in _FROM_CIPHERTEXT and not call.params.get(_FROM_CIPHERTEXT[check.action]):
            raise hidden_key() from None
        raise


def _key_of_arn(rows: Rows, arn: str, now_ms: int) -> KeyRow | None:
    return existing_key(rows, arn.rpartition("/")[2], arn.split(":")[3], now_ms)


def decide(rows: Rows, question: Question, kms: Kms) -> Decision:
    """The decision that allows. Raises AccessDeniedException.

    One that policies made without a look at any condition key is kept for as long as the change counter stands.
    """
    name = (decide, question.principal, question.action, question.key)
    return settled_where(rows, name, lambda: _decided(rows, question, kms))


def _decided(rows: Rows, question: Question, kms: Kms) -> tuple[Decision, bool]:
    """The decision, and whether it would be the same for every request of this caller."""
    weighed = weigh(rows, question, kms.identities.of(rows, question.principal))
    context, decision = weighed.request.context, weighed.decision
    if decision.allows:
        return decision, decision.grant_id is None and isinstance(context, ConditionKeys) and not context.was_asked
    weighed = replace(weighed, request=replace(weighed.request, context=dict(context)))  # outlives the call
    if question.principal.account_id != question.key.account_id:
        raise foreign_refusal(question.principal.arn).with_weighed(weighed)
    message = refusal_message(weighed.request, weighed.decision)
    raise AccessError("AccessDeniedException", message).with_weighed(weighed)


_OWN_ACCOUNT_ALONE = Decision(
    "explicit-deny", reason="because this operation is for principals of the key's own account alone"
)
_OPERATION_OF: Mapping[str, str] = {"ReEncryptFrom": "ReEncrypt", "ReEncryptTo": "ReEncrypt"}


def weigh(rows: Rows, question: Question, identity: Identity) -> Weighed:
    """Ask the key's policy and the caller's own, and the key's grants if no policy denies."""
    request = AccessRequest(
        question.principal, question.action, question.key.arn, ConditionKeys(lambda: _whole_context(question))
    )
    action = question.action.removeprefix("kms:")
    foreign = question.principal.account_id != question.key.account_id
    if foreign and _OPERATION_OF.get(action, action) not in CROSS_ACCOUNT:
        return Weighed(request, _OWN_ACCOUNT_ALONE, question.key.account_id)
    decision = identity.evaluate(
        request,
        resource_policy=compiled(question.key.policy),
        resource_account=question.key.account_id,
        owner_allows=False,
    )
    if question.action == "kms:RetireGrant" and decision.allows:
        # No key policy gives this right, though one can deny it; what gives it is the grant.
        decision = Decision("implicit-deny", reason="because no grant allows the kms:RetireGrant action")
    if decision.effect == "implicit-deny":
        decision = _by_grant(rows, question, request, identity) or decision
    return Weighed(request, decision, question.key.account_id)


def _whole_context(question: Question) -> Context:
    context: Context = {**question.context, "aws:ResourceAccount": question.key.account_id}
    if question.principal.account_id is not None:
        context["kms:CallerAccount"] = question.principal.account_id
    return context


def _by_grant(rows: Rows, question: Question, request: AccessRequest, identity: Identity) -> Decision | None:
    """The decision of a grant on the key, if there is one for what was asked."""
    if question.retired is not None:
        found = question.retired if may_retire(question.retired, question.principal) else None
    else:
        names = question.context.get("kms:EncryptionContextKeys", ())
        pairs = {name: str(question.context[f"kms:EncryptionContext:{name}"]) for name in names}
        operation = question.action.removeprefix("kms:")
        found = granted_by(rows, question.principal, question.key, operation, pairs=pairs, proposal=question.proposal)
    if found is None:
        return None
    through_role = question.principal.arn not in (found.grantee, found.retiring)
    narrower = identity.limited(request) if through_role and question.principal.kind != "root" else None
    return narrower or Decision("allow", reason=f"by grant {found.grant_id}", grant_id=found.grant_id)


def weigh_account(request: AccessRequest, identity: Identity) -> Weighed:
    """An action with no key behind it: the caller's own account decides alone."""
    account_id = request.principal.account_id
    decision = identity.evaluate(request, resource_policy=None, resource_account=account_id, owner_allows=True)
    return Weighed(request, decision, account_id)


def _decide_account(request: AccessRequest, identity: Identity) -> Decision:
    weighed = weigh_account(request, identity)
    if not weighed.decision.allows:
        message = refusal_message(request, weighed.decision)
        raise AccessError("AccessDeniedException", message).with_weighed(weighed)
    return weighed.decision


@lru_cache(maxsize=_CACHED_POLICIES)
def compiled(policy: str) -> Policy:
    """The key policy with this text; the text decides, so nothing here grows stale."""
    return Policy.parse(policy, kind=PolicyKind.KEY, max_bytes=MAX_POLICY_BYTES)


def key_context(rows: Rows, named: NamedKey) -> Context:
    """The condition keys that follow from the key and from the name by which it was asked for."""
    context = dict(settled(rows, _context_of_key, named.row))
    if named.alias:
        context["kms:RequestAlias"] = named.alias
    return context


def _context_of_key(rows: Rows, key: KeyRow) -> Context:
    context: Context = {
        "kms:KeySpec": key.key_spec,
        "kms:CustomerMasterKeySpec": key.key_spec,
        "kms:KeyUsage": key.key_usage,
        "kms:CustomerMasterKeyUsage": key.key_usage,
        "kms:KeyOrigin": key.origin,
        "kms:MultiRegion": "false" if key.primary_region is None else "true",
    }
    if key.primary_region is not None:
        context["kms:MultiRegionKeyType"] = "PRIMARY" if key.primary_region == key.region else "REPLICA"
    aliases = key_labels.aliases_of(rows, key)
    if aliases:
        context["kms:ResourceAliases"] = aliases
    for name, value in key_labels.get_tags(rows, key).items():
        context[f"aws:ResourceTag/{name}"] = value
    return context


def encryption_context(pairs: Mapping[str, str] | None) -> Context:
    """One condition key for each pair, and the names of all as one with many values."""
    if not pairs:
        return {}
    context: Context = {f"kms:EncryptionContext:{name}": value for name, value in pairs.items()}
    context["kms:EncryptionContextKeys"] = list(pairs)
    return context


def request_tags(call: Call) -> Context:
    tags = call.params.get("Tags") or ()
    names = [tag["TagKey"] for tag in tags] or list(call.params.get("TagKeys") or ())
    context: Context = {f"aws:RequestTag/{tag['TagKey']}": tag["TagValue"] for tag in tags}
    if names:
        context["aws:TagKeys"] = names
    return context


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value).lower() if isinstance(value, bool) else str(value)


# Operation -> condition key -> (parameter, default). A condition also meets the default of a parameter left out.
_PARAMETER_KEYS: Mapping[str, Mapping[str, tuple[str, object]]] = {
    "CreateKey": {
        "kms:BypassPolicyLockoutSafetyCheck": ("BypassPolicyLockoutSafetyCheck", False),
        "kms:KeyOrigin": ("Origin", "AWS_KMS"),
        "kms:KeySpec": ("KeySpec", "SYMMETRIC_DEFAULT"),
        "kms:KeyUsage": ("KeyUsage", "ENCRYPT_DECRYPT"),
        "kms:MultiRegion": ("MultiRegion", False),
    },
    "Decrypt": {"kms:EncryptionAlgorithm": ("EncryptionAlgorithm", "SYMMETRIC_DEFAULT")},
    "Encrypt": {"kms:EncryptionAlgorithm": ("EncryptionAlgorithm", "SYMMETRIC_DEFAULT")},
    "EnableKeyRotation": {"kms:RotationPeriodInDays": ("RotationPeriodInDays", 365)},
    "GetKeyPolicy": {"kms:PolicyName": ("PolicyName", "default")},
    "PutKeyPolicy": {
        "kms:BypassPolicyLockoutSafetyCheck": ("BypassPolicyLockoutSafetyCheck", False),
        "kms:PolicyName": ("PolicyName", "default"),
    },
    "DeriveSharedSecret": {"kms:KeyAgreementAlgorithm": ("KeyAgreementAlgorithm", "ECDH")},
    "GenerateDataKeyPair": {"kms:DataKeyPairSpec": ("KeyPairSpec", "")},
    "GenerateDataKeyPairWithoutPlaintext": {"kms:DataKeyPairSpec": ("KeyPairSpec", "")},
    "GenerateMac": {"kms:MacAlgorithm": ("MacAlgorithm", "")},
    "GetParametersForImport": {
        "kms:WrappingAlgorithm": ("WrappingAlgorithm", ""),
        "kms:WrappingKeySpec": ("WrappingKeySpec", ""),
    },
    "ImportKeyMaterial": {"kms:ExpirationModel": ("ExpirationModel", "KEY_MATERIAL_EXPIRES")},
    "ReplicateKey": {"kms:ReplicaRegion": ("ReplicaRegion", "")},
    "Sign": {"kms:MessageType": ("MessageType", "RAW"), "kms:SigningAlgorithm": ("SigningAlgorithm", "")},
    "UpdatePrimaryRegion": {"kms:PrimaryRegion": ("PrimaryRegion", "")},
    "Verify": {"kms:MessageType": ("MessageType", "RAW"), "kms:SigningAlgorithm": ("SigningAlgorithm", "")},
    "VerifyMac": {"kms:MacAlgorithm": ("MacAlgorithm", "")},
    "ScheduleKeyDeletion": {"kms:ScheduleKeyDeletionPendingWindowInDays": ("PendingWindowInDays", 30)},
}


def _parameters(call: Call) -> Context:
    keys = _PARAMETER_KEYS.get(call.operation, {})
    context: Context = {
        name: _text(default if call.params.get(member) is None else call.params[member])
        for name, (member, default) in keys.items()
    }
    if call.operation == "CreateKey" and call.params.get("MultiRegion"):
        context["kms:MultiRegionKeyType"] = "PRIMARY"
    if call.operation == "ImportKeyMaterial" and call.params.get("ValidTo"):
        context["kms:ValidTo"] = _text(call.params["ValidTo"])
    return context
