"""Grants: what one lets its grantee do, and the tokens that name it.

What lives here: constraints, principals of grants, tokens, and the question whether a grant allows a request. What
does not: the operations (operations.grants), rows (store.key_grants), explicit denies, which win (access).

Laws: a grant only allows; whoever creates a grant by a grant passes on no operation he has not and no constraint
less strict; a token proves nothing but that this server issued it: rights come from the row. In a constraint the
names of pairs are compared without case, values exactly, and the encryption context itself stays exact.

Source: KMS Developer Guide, "Grants in AWS KMS"; API reference, "GrantConstraints".
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from s3al.auth.principal import Principal
from s3al.crypto.keys import derive
from s3al.errors import RequestError
from s3al.kms.identifiers import existing_key, foreign_refusal, key_of
from s3al.kms.key_specs import CONTEXT_OPERATIONS
from s3al.service.operation import Call, Params
from s3al.store import accounts, key_grants
from s3al.store.database import Rows
from s3al.store.key_grants import GrantRow
from s3al.store.keystore import KeyRow

EQUALS = "EncryptionContextEquals"
SUBSET = "EncryptionContextSubset"
MAX_PAIRS = 8
MAX_VALUE_CHARACTERS = 384
TOKEN_RANDOM_BYTES = 16
GRANT_ID_BYTES = 32
_TOKEN_LABEL = b"s3al grant token v1"
_GRANT_ID = re.compile(r"[0-9a-f]{64}")
_ACCOUNT = re.compile(r"\d{12}")
_PRINCIPAL_ARN = re.compile(r"arn:aws:(?:iam|sts)::(\d{12}):(?:root|(?:user|role|assumed-role|federated-user)/.+)")


@dataclass(frozen=True, slots=True)
class Constraint:
    """kind: EQUALS, SUBSET, or "" for none."""

    kind: str = ""
    pairs: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Mapping[str, Mapping[str, str]]) -> Constraint:
        for kind, pairs in stored.items():
            return cls(kind, pairs)
        return cls()

    def to_json(self) -> str:
        return json.dumps({self.kind: dict(self.pairs)} if self.kind else {}, sort_keys=True, separators=(",", ":"))

    def admits(self, context: Mapping[str, str]) -> bool:
        """Whether a request with this encryption context meets the constraint."""
        if not self.kind:
            return True
        given, wanted = _folded(context), _folded(self.pairs)
        if self.kind == EQUALS:
            return sorted(given) == sorted(wanted)
        return set(wanted) <= set(given)

    def covers(self, other: Constraint) -> bool:
        """Whether `other` is as strict as this or stricter."""
        if not self.kind:
            return True
        if self.kind == EQUALS:
            return other.kind == EQUALS and sorted(_folded(other.pairs)) == sorted(_folded(self.pairs))
        return bool(other.kind) and set(_folded(self.pairs)) <= set(_folded(other.pairs))


def _folded(pairs: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in pairs.items()]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What CreateGrant would grant."""

    operations: frozenset[str]
    constraint: Constraint

    @classmethod
    def of(cls, params: Params) -> Proposal:
        """Raises ValidationException for constraints that no grant can have."""
        given = {kind: pairs for kind, pairs in (params.get("Constraints") or {}).items() if pairs is not None}
        if "SourceArn" in given:
            raise RequestError("UnsupportedOperationException", "SourceArn is of use to service principals alone.")
        if len(given) > 1:
            raise RequestError("ValidationException", f"A grant has one constraint, {EQUALS} or {SUBSET}.")
        constraint = Constraint.of(given)
        if len(constraint.pairs) > MAX_PAIRS or any(len(v) > MAX_VALUE_CHARACTERS for v in constraint.pairs.values()):
            raise RequestError(
                "ValidationException",
                f"A grant constraint has at most {MAX_PAIRS} pairs, with values of at most "
                f"{MAX_VALUE_CHARACTERS} characters.",
            )
        return cls(frozenset(params["Operations"]), constraint)


# --- who


def principal_arn(rows: Rows, written: str) -> str:
    """The ARN of a principal as a request names it; a bare account id means its root. Raises InvalidArnException."""
    arn = f"arn:aws:iam::{written}:root" if _ACCOUNT.fullmatch(written) else written
    found = _PRINCIPAL_ARN.fullmatch(arn)
    if found is None or accounts.find_account(rows, found.group(1)) is None:
        raise RequestError("InvalidArnException", f"ARN does not refer to a valid principal: {written}")
    return arn


def names_of(principal: Principal) -> tuple[str, ...]:
    """The ARNs by which a grant reaches a caller: its own, and for a session that of its role."""
    return (principal.arn,) if principal.issuer_arn is None else (principal.arn, principal.issuer_arn)


# --- what a grant allows


def granted_by(
    rows: Rows,
    principal: Principal,
    key: KeyRow,
    operation: str,
    *,
    pairs: Mapping[str, str],
    proposal: Proposal | None = None,
) -> GrantRow | None:
    """A grant that lets this principal do `operation` (as grants name it) with the key. pairs: the encryption context.
    proposal: what CreateGrant would grant."""
    for grant in key_grants.grants_to(rows, key.key_id, key.region, names_of(principal)):
        if operation in grant.operations.split() and _meets(grant, operation, pairs, proposal):
            return grant
    return None


def _meets(grant: GrantRow, operation: str, pairs: Mapping[str, str], proposal: Proposal | None) -> bool:
    constraint = constraint_of(grant)
    if operation == "CreateGrant":
        return (
            proposal is not None
            and proposal.operations <= set(grant.operations.split())
            and constraint.covers(proposal.constraint)
        )
    return operation not in CONTEXT_OPERATIONS or constraint.admits(pairs)


def may_retire(grant: GrantRow, principal: Principal) -> bool:
    """The retiring principal, the grantee if the grant says so, and the account that issued it."""
    names = names_of(principal)
    if grant.retiring in names or (grant.grantee in names and "RetireGrant" in grant.operations.split()):
        return True
    return principal.kind == "root" and principal.account_id == grant.issuing_account


def constraint_of(grant: GrantRow) -> Constraint:
    return Constraint.of(json.loads(grant.constraints))


# --- which grant


def check_grant_id(grant_id: str) -> None:
    if not _GRANT_ID.fullmatch(grant_id):
        raise RequestError("InvalidGrantIdException", f"Invalid grant ID '{grant_id}'")


def grant_on(rows: Rows, key: KeyRow, grant_id: str) -> GrantRow:
    """Raises InvalidGrantIdException, or NotFoundException if the key has no such grant."""
    check_grant_id(grant_id)
    grant = key_grants.find_grant(rows, grant_id)
    if grant is None or (grant.key_id, grant.region) != (key.key_id, key.region):
        raise RequestError("NotFoundException", f"Grant '{grant_id}' does not exist on key '{key.arn}'")
    return grant


def retiring_grant(rows: Rows, call: Call) -> tuple[KeyRow, GrantRow]:
    """The grant that RetireGrant names, by a token or by key and id, and its key."""
    params = call.params
    if params.get("GrantToken"):
        grant = grant_of_token(rows, params["GrantToken"])
        key = existing_key(rows, grant.key_id, grant.region, call.now_ms)
        if key is None or key.region != call.region:
            raise RequestError("InvalidGrantTokenException")
        return key, grant
    if not params.get("KeyId") or not params.get("GrantId"):
        raise RequestError("ValidationException", "Grant token OR (grant ID, key ID) must be specified")
    check_grant_id(params["GrantId"])
    key = key_of(rows, call)
    try:
        return key, grant_on(rows, key, params["GrantId"])
    except RequestError:
        if key.account_id == call.principal.account_id:
            raise
        raise foreign_refusal(call.principal.arn) from None  # not even that the key exists is told


# --- tokens


def new_token(grant: GrantRow, random: bytes) -> str:
    """random: 16 fresh random bytes; every token of a grant is as good as the others."""
    tag = derive(grant.token_key, _TOKEN_LABEL, random)
    return urlsafe_b64encode(bytes.fromhex(grant.grant_id) + random + tag).decode("ascii")


def grant_of_token(rows: Rows, token: str) -> GrantRow:
    """Raises InvalidGrantTokenException for a token that was not issued here, or whose grant is gone."""
    try:
        raw = urlsafe_b64decode(token.encode("ascii"))
    except (Base64Error, ValueError):
        raw = b""
    head = GRANT_ID_BYTES + TOKEN_RANDOM_BYTES
    grant = key_grants.find_grant(rows, raw[:GRANT_ID_BYTES].hex()) if len(raw) == head + 32 else None
    if grant is None or not hmac.compare_digest(
        derive(bytes(grant.token_key), _TOKEN_LABEL, raw[GRANT_ID_BYTES:head]), raw[head:]
    ):
        raise RequestError("InvalidGrantTokenException")
    return grant


def check_tokens(rows: Rows, tokens: Iterable[str] | None) -> None:
    """Grants take effect when they are committed, so that tokens are never needed; they are still not to be made up."""
    for token in tokens or ():
        grant_of_token(rows, token)
