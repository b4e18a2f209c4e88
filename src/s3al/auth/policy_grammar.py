"""The grammar of policies: from JSON values to compiled statements.

What lives here: which elements a kind of policy must have and may not have, and reading each. What does not:
JSON itself (policy_json), S3's names (policy_s3_names).

Laws: an unknown element, operator, principal or malformed value is refused, never ignored; the message is
the one the service answers; nothing but RequestError leaves.

Source: IAM User Guide, "Grammar of the IAM JSON policy language"; KMS Developer Guide, "Key policies"; S3's
messages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from s3al.auth.conditions import Condition, read_operator
from s3al.auth.decision import DecidedBy
from s3al.auth.policy import Policy, PolicyKind, Statement
from s3al.auth.policy_json import Faults, Number, read_json
from s3al.auth.policy_patterns import Patterns, can_match, can_match_prefix
from s3al.auth.policy_principals import Principals, read_principals
from s3al.auth.policy_s3_names import ResourceType, knows_condition_key, resource_types
from s3al.auth.variables import Token, Variable, Wildcard, has_variables, read_tokens

_VERSIONS = ("2008-10-17", "2012-10-17")
_WITH_VARIABLES = "2012-10-17"
_ELEMENTS = frozenset({"Version", "Id", "Statement"})
_STATEMENT_ELEMENTS = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_IAM_KINDS = frozenset({PolicyKind.IDENTITY, PolicyKind.TRUST, PolicyKind.SESSION, PolicyKind.BOUNDARY})
_WITHOUT_PRINCIPAL = frozenset({PolicyKind.IDENTITY, PolicyKind.SESSION, PolicyKind.BOUNDARY})
_SID = re.compile(r"[A-Za-z0-9]*")
_ACTION = re.compile(r"\*|[A-Za-z0-9-]{1,64}:[A-Za-z0-9*?_.-]{1,128}")
_KEY = re.compile(r"[A-Za-z0-9.-]{1,128}:.{1,256}", re.DOTALL)
_RESOURCE = re.compile(r"\*|arn:[^:]*:[^:*?]+:.*", re.DOTALL)
_ARN_COLONS = 5
_REMEMBERED_POLICIES = 128
_Texts = tuple[tuple[Token, ...], ...]  # patterns, read into tokens
_EVERYTHING: _Texts = ((Wildcard.MANY,),)


@lru_cache(maxsize=_REMEMBERED_POLICIES)
def read_policy(
    text: str | bytes, *, kind: PolicyKind, max_bytes: int, bucket_name: str | None, name: str | None
) -> Policy:
    """See `Policy.parse`. A policy is a value: whoever reads the same text again gets the same one."""
    faults = Faults(kind)
    document = read_json(text, max_bytes, faults)
    for element in document:
        if element not in _ELEMENTS:
            faults.malformed(f"Unknown field {_shown(element)}")
    version = document.get("Version", _VERSIONS[0])
    if version not in _VERSIONS:
        faults.malformed("The policy must contain a valid version string")
    if "Id" in document:
        _text(document["Id"], faults)
    reader = _StatementReader(faults, name or kind.value, variables=version == _WITH_VARIABLES, bucket_name=bucket_name)
    statements = tuple(reader.read(statement, index) for index, statement in enumerate(_statements(document, faults)))
    if kind in _IAM_KINDS:
        _refuse_repeated_sids(statements, faults)
    return Policy(kind, reader.policy_name, version, statements)


def _statements(document: Mapping[str, Any], faults: Faults) -> list[Any]:
    if "Statement" not in document:
        faults.malformed("Missing required field Statement")
    statements = document["Statement"]
    if isinstance(statements, dict):
        return [statements]
    if not isinstance(statements, list):
        faults.malformed("Invalid policy syntax.")
    if not statements:
        faults.malformed("Could not parse the policy: Statement is empty!")
    return statements


def _refuse_repeated_sids(statements: tuple[Statement, ...], faults: Faults) -> None:
    sids = [statement.decided_by.sid for statement in statements if statement.decided_by.sid]
    if len(sids) != len(set(sids)):
        message = "Statement IDs (SID) in a single policy must be unique."
        faults.explained(message, message)


class _StatementReader:
    """Reads the statements of one document."""

    def __init__(self, faults: Faults, policy_name: str, *, variables: bool, bucket_name: str | None) -> None:
        self.faults = faults
        self.kind = faults.kind
        self.policy_name = policy_name
        self.variables = variables
        self.bucket_name = bucket_name

    def read(self, statement: Any, index: int) -> Statement:
        faults = self.faults
        if not isinstance(statement, dict):
            faults.malformed("Invalid policy syntax.")
        for element in statement:
            if element not in _STATEMENT_ELEMENTS:
                faults.malformed(f"Unknown field {_shown(element)}")
        for element in ("Principal", "Action", "Resource"):
            if element in statement and f"Not{element}" in statement:
                faults.malformed(f"Statement has both {element} and Not{element}")
        sid = self._sid(statement)
        allows = self._effect(statement)
        principals = self._principals(statement, allows=allows)
        actions = self._actions(statement)
        resources = self._resources(statement)
        if self.kind is PolicyKind.BUCKET and actions is not None and resources is not None:
            self._check_actions_fit(statement, actions, resources)
        return Statement(
            allows=allows,
            actions=None if actions is None else Patterns(actions),
            resources=None if resources is None else Patterns(resources, arns=True),
            principals=principals,
            conditions=tuple(self._conditions(statement)),
            decided_by=DecidedBy(self.policy_name, sid, index, json.dumps(statement, separators=(",", ":"))),
            not_actions="NotAction" in statement,
            not_resources="NotResource" in statement,
            not_principals="NotPrincipal" in statement,
        )

    def _sid(self, statement: Mapping[str, Any]) -> str | None:
        if "Sid" not in statement:
            return None
        sid = _text(statement["Sid"], self.faults)
        if self.kind in _IAM_KINDS and not _SID.fullmatch(sid):
            message = "Statement IDs (SID) contain only letters and digits."
            self.faults.malformed(message)
        return sid or None

    def _effect(self, statement: Mapping[str, Any]) -> bool:
        if "Effect" not in statement:
            self.faults.malformed("Missing required field Effect")
        effect = _text(statement["Effect"], self.faults)
        if effect not in {"Allow", "Deny"}:
            self.faults.malformed(f"Invalid effect: {_shown(effect)}")
        return effect == "Allow"

    def _principals(self, statement: Mapping[str, Any], *, allows: bool) -> Principals | None:
        faults = self.faults
        element = "NotPrincipal" if "NotPrincipal" in statement else "Principal"
        if self.kind in _WITHOUT_PRINCIPAL:
            if element in statement:
                message = "Policy document should not specify a principal."
                faults.explained(message, message)
            return None
        if element not in statement:
            faults.explained("Missing required field Principal", "AssumeRolePolicy must contain a principal.")
        if element == "NotPrincipal" and (allows or self.kind is PolicyKind.TRUST):
            faults.explained("Allow with NotPrincipal is not allowed.", "Has prohibited field NotPrincipal")
        if not statement[element]:
            faults.malformed("Missing required field Principal cannot be empty!")
        try:
            return read_principals(
                statement[element],
                lambda values: self._texts(values, "Principal"),
                canonical=self.kind is PolicyKind.BUCKET,
            )
        except ValueError:
            if self.kind is PolicyKind.KEY:
                faults.malformed("Policy contains a statement with one or more invalid principals.")
            faults.explained("Invalid principal in policy", "Invalid principal in policy")

    def _actions(self, statement: Mapping[str, Any]) -> _Texts | None:
        faults = self.faults
        element = "NotAction" if "NotAction" in statement else "Action"
        if element not in statement:
            if self.kind is PolicyKind.KEY:
                return None
            faults.explained("Missing required field Action", "Policy statement must contain actions.")
        actions = []
        for action in self._texts(statement[element], "Action"):
            if not _ACTION.fullmatch(action):
                faults.explained(
                    "Policy has invalid action",
                    "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
                )
            tokens = read_tokens(action.lower(), wildcards=True, variables=False)
            if self.kind is PolicyKind.BUCKET and action != "*" and not resource_types(tokens):
                faults.malformed("Policy has invalid action")
            actions.append(tokens)
        return tuple(actions)

    def _resources(self, statement: Mapping[str, Any]) -> _Texts | None:
        faults = self.faults
        element = "NotResource" if "NotResource" in statement else "Resource"
        if self.kind is PolicyKind.TRUST:
            if element in statement:
                faults.explained("Has prohibited field Resource", "Has prohibited field Resource")
            return _EVERYTHING
        if element not in statement:
            if self.kind is PolicyKind.KEY:
                return None
            faults.explained("Missing required field Resource", "Policy statement must contain resources.")
        return tuple(self._resource(resource) for resource in self._texts(statement[element], "Resource"))

    def _resource(self, resource: str) -> tuple[Token, ...]:
        try:
            tokens = read_tokens(resource, wildcards=True, variables=self.variables)
            if not _RESOURCE.fullmatch(resource) or _varies_before_resource(tokens):
                raise ValueError("not an ARN")
        except ValueError:
            self.faults.explained(
                "Policy has invalid resource", f'Resource {_shown(resource)} must be in ARN format or "*".'
            )
        if self.bucket_name is not None and not self._types_in_bucket(tokens):
            self.faults.malformed("Policy has invalid resource")
        return tokens

    def _types_in_bucket(self, resource: tuple[Token, ...]) -> set[ResourceType]:
        """Whether the pattern can mean this bucket, objects in it, both or neither."""
        arn = f"arn:aws:s3:::{self.bucket_name}"
        types: set[ResourceType] = set()
        if can_match(resource, arn):
            types.add("bucket")
        if can_match_prefix(resource, f"{arn}/"):
            types.add("object")
        return types

    def _check_actions_fit(self, statement: Mapping[str, Any], actions: _Texts, resources: _Texts) -> None:
        """Each action must apply to one of the resources, as S3 demands; Not- forms name too much to judge."""
        if "NotAction" in statement or "NotResource" in statement or self.bucket_name is None:
            return
        present = {resource_type for resource in resources for resource_type in self._types_in_bucket(resource)}
        for action in actions:
            if not present & resource_types(action):
                self.faults.malformed("Action does not apply to any resource(s) in statement")

    def _conditions(self, statement: Mapping[str, Any]) -> list[Condition]:
        faults = self.faults
        block = statement.get("Condition", {})
        if not isinstance(block, dict):
            faults.malformed("Invalid policy syntax.")
        conditions = []
        for written, keys in block.items():
            try:
                operator = read_operator(written)
            except KeyError:
                faults.explained(
                    f"Invalid Condition type : {_shown(written)}", f"Invalid Condition type : {_shown(written)}"
                )
            if not isinstance(keys, dict):
                faults.malformed("Invalid policy syntax.")
            for key, values in keys.items():
                self._check_key(key)
                texts = self._condition_values(values)
                try:
                    conditions.append(Condition(operator, key, texts, variables=self.variables))
                except ValueError:
                    if operator.base in {"IpAddress", "NotIpAddress"}:
                        faults.malformed("Invalid IP address in Conditions")
                    faults.malformed(f"Invalid value in Conditions for operator {operator.base}")
        return conditions

    def _check_key(self, key: str) -> None:
        _text(key, self.faults)
        known = knows_condition_key(key) if self.kind is PolicyKind.BUCKET else _KEY.fullmatch(key)
        if not known:
            self.faults.explained(
                "Policy has an invalid condition key",
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            )

    def _condition_values(self, values: Any) -> list[str]:
        texts = []
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, bool):
                texts.append("true" if value else "false")
            elif isinstance(value, Number):
                texts.append(str(value))
            else:
                texts.append(_text(value, self.faults))
        return texts

    def _texts(self, values: Any, element: str) -> list[str]:
        """One string or a list of them, at least one."""
        texts = [_text(value, self.faults) for value in (values if isinstance(values, list) else [values])]
        if not texts or not all(texts):
            self.faults.malformed(f"Missing required field {element} cannot be empty!")
        return texts


def _varies_before_resource(tokens: tuple[Token, ...]) -> bool:
    """Variables stand only behind the fifth colon of an ARN."""
    colons = 0
    for token in tokens if has_variables(tokens) else ():
        if isinstance(token, Variable) and colons < _ARN_COLONS:
            return True
        if isinstance(token, str):
            colons += token.count(":")
    return False


def _text(value: Any, faults: Faults) -> str:
    if not isinstance(value, str) or isinstance(value, Number):
        faults.malformed("Invalid policy syntax.")
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, written as an escape
        faults.malformed("This policy contains invalid Json")
    return value


def _shown(text: str) -> str:
    """Text of the caller as it may stand in an error document."""
    return "".join(character if character.isprintable() else "?" for character in text[:128])
