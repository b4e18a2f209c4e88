"""Who may ask about whom, and the names by which they ask.

What lives here: what the operations of this room share: the resource and the principal that a question names, whose
they are, the check, and the answer. What does not: decisions (decisions), the operations (asking, refused).

Laws: the operator's people, whom a policy lets, may ask about everything; those of another account about what is
theirs: a principal or a resource. Of the rest they learn what a request of their own principal would show: whether it
is allowed; and what is not there is answered like what is not theirs. Names are read in the account of whoever asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from s3al.auth.decision import ContextValue
from s3al.auth.principal import Principal
from s3al.errors import RequestError
from s3al.explain.decisions import Finding, Question, named_action, weigh
from s3al.explain.needs import needed_key_use
from s3al.explain.observed import Trial
from s3al.explain.ports import Explaining
from s3al.explain.principals import ANYONE, Person, by_name, find_principal
from s3al.explain.remedies import smallest_change
from s3al.explain.verdicts import Verdict
from s3al.kms.identifiers import Asker, find_named_key
from s3al.s3.access import bucket_arn
from s3al.service.operation import Call, Check, Params
from s3al.service.own import text
from s3al.store import accounts
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow

_S3_URI = re.compile(r"s3://(?P<bucket>[^/]+)(?:/(?P<key>.*))?", re.DOTALL)
# What a request may say of itself. To try out other addresses, networks or tags would tell another account's policy.
_OF_A_REQUEST = ("kms:encryptioncontext:", "s3:x-amz-", "s3:prefix", "s3:delimiter", "s3:max-keys", "s3:versionid")
_NOT_OF_A_REQUEST = (
    "About a resource of another account, the member context may have only condition keys that a request sets itself: "
    "kms:EncryptionContext:*, s3:x-amz-*, s3:prefix, s3:delimiter, s3:max-keys, s3:VersionId."
)
_MAX_CONTEXT_KEYS = 64
_MAX_VALUES = 64
_MAX_CHARACTERS = 2048


def is_operators(rows: Rows, principal: Principal) -> bool:
    operator = accounts.find_operator(rows)
    return operator is not None and operator.account_id == principal.account_id


def check_on(call: Call, resource: str, account: str | None) -> Check:
    """The action of the call on a resource. account: whose business it is."""
    return Check(f"s3al:{call.operation}", resource, {"aws:ResourceAccount": account} if account else {})


def nothing_to_tell() -> RequestError:
    return RequestError("NoSuchEntity", "There is nothing of this name about which you may ask.")


def asked_key(rows: Rows, call: Call, name: str) -> KeyRow:
    """The KMS key that `name` means: id, ARN, alias or alias ARN. Raises NoSuchEntity, also for a key of another
    account unless the operator's people ask."""
    parts = name.split(":", 5)
    region = parts[3] if len(parts) == 6 and parts[3] else call.region
    try:
        key = find_named_key(rows, name, replace(Asker.of(call), region=region), aliases=True).row
    except RequestError:
        raise nothing_to_tell() from None
    if key.account_id != call.principal.account_id and not is_operators(rows, call.principal):
        raise nothing_to_tell()
    return key


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that may be answered to whoever asks. account: of the asker, None for the operator's people. owner: of
    the resource."""

    person: Person
    question: Question
    account: str | None
    owner: str | None


def read_question(rows: Rows, call: Call, ports: Explaining) -> Asked:
    """From `principal`, `action`, `resource` and `context` of the call. Raises ValidationError, or NoSuchEntity."""
    action = text(call.params, "action")
    service, _ = named_action(ports, action)
    asker = call.principal.account_id
    everything = is_operators(rows, call.principal)
    resource, owner = _resource(rows, call, ports, service, text(call.params, "resource"))
    name = text(call.params, "principal")
    person = _person(rows, call, ports, name, everything=everything)
    if not everything and asker not in (owner, person.principal.account_id):
        raise nothing_to_tell()
    foreign = not everything and person.principal.account_id not in (asker, None)
    context = _context(call.params.get("context"))
    if not everything and owner != asker and not all(name.lower().startswith(_OF_A_REQUEST) for name in context):
        raise RequestError("ValidationError", _NOT_OF_A_REQUEST)
    question = Question(person.principal, action, resource, context, Trial(assumed=foreign))
    return Asked(person, question, None if everything else asker, owner)


def _person(rows: Rows, call: Call, ports: Explaining, name: str, *, everything: bool) -> Person:
    account_id = call.principal.account_id or ""
    known = by_name(name, account_id, ports.now_ms())
    if everything or known is None or known.principal.account_id == account_id:
        return find_principal(rows, name, account_id=account_id, now_ms=ports.now_ms())
    return known  # of another account: by name alone, whether it exists or not


def _resource(rows: Rows, call: Call, ports: Explaining, service: str, name: str) -> tuple[str, str | None]:
    """(ARN, the account that owns it)."""
    account = call.principal.account_id
    uri = _S3_URI.fullmatch(name)
    if uri is not None:
        name = bucket_arn(uri["bucket"]) + (f"/{uri['key']}" if uri["key"] else "")
    if service == "s3" and name.startswith(bucket_arn("")) and name != bucket_arn("*"):
        try:
            state = ports.s3.buckets.get(rows, name.removeprefix(bucket_arn("")).partition("/")[0])
        except RequestError:
            return name, account
        return name, state.row.account_id
    if service == "kms" and name != "*" and not re.match("arn:aws:kms:[^:]*:[^:]*:key/", name):
        key = asked_key(rows, call, name)
        return key.arn, key.account_id
    if service == "s3al":
        operator = accounts.find_operator(rows)
        return name, operator.account_id if operator else None
    parts = name.split(":", 5)
    named = parts[4] if len(parts) == 6 else ""
    return name, named if re.fullmatch(r"\d{12}", named) else account


def _context(given: Any) -> Mapping[str, ContextValue]:
    if given is None:
        return {}
    if not isinstance(given, dict) or len(given) > _MAX_CONTEXT_KEYS:
        raise _bad_context()
    for name, value in given.items():
        values = value if isinstance(value, list) else [value]
        if not name or len(name) > _MAX_CHARACTERS or len(values) > _MAX_VALUES:
            raise _bad_context()
        if not all(isinstance(one, str) and len(one) <= _MAX_CHARACTERS for one in values):
            raise _bad_context()
    return given


def _bad_context() -> RequestError:
    return RequestError(
        "ValidationError",
        f"The member context must be an object of at most {_MAX_CONTEXT_KEYS} texts or lists of texts.",
    )


def answer(rows: Rows, ports: Explaining, asked: Asked, *, with_key: bool = True) -> Params:
    """allowed, verdicts (the permission, and with_key the use of a KMS key that goes with it), remedy."""
    verdicts, remedies = [], []
    for question in _questions(rows, ports, asked, with_key=with_key):
        finding = _weighed(rows, ports, question, asked)
        verdict = finding.verdict if asked.account is None else finding.verdict.for_account(asked.account)
        if asked.question.trial.assumed:
            verdict = replace(verdict, complete=False)
        verdicts.append(verdict.to_json())
        if not verdict.allowed and finding.weighed is not None:
            owner = finding.verdict.owner
            remedies.append(smallest_change(rows, ports, question).to_json(verdict, asked.account, owner))
    found: Params = {
        "allowed": all(verdict["allowed"] for verdict in verdicts),
        "principal": asked.person.name,
        "verdicts": verdicts,
        "remedy": None,
    }
    if not found["allowed"]:
        denied = sum(not verdict["allowed"] for verdict in verdicts)
        found["remedy"] = {
            "changes": [change for part in remedies for change in part["changes"]],
            "otherwise": [words for part in remedies for words in part["otherwise"]],
            "verified": len(remedies) == denied and all(part["verified"] for part in remedies),
        }
    return found


def _questions(rows: Rows, ports: Explaining, asked: Asked, *, with_key: bool) -> Iterator[Question]:
    yield asked.question
    needed = None
    own = asked.account in (None, asked.owner)  # what a foreign object is under, or that it is there, is not told
    if with_key and own and asked.question.principal.account_id is not None:
        needed = needed_key_use(rows, ports, asked.question)
    if needed is not None:
        yield needed


def _weighed(rows: Rows, ports: Explaining, question: Question, asked: Asked) -> Finding:
    """What is another account's and does not exist is answered as if it refused."""
    foreign = asked.account is not None and asked.account != asked.owner
    closed = foreign and not question.action.startswith("s3:")
    try:
        finding = weigh(rows, ports, question)
    except RequestError as error:
        if not (closed and error.code == "NoSuchEntity"):
            raise
        finding = None
    if finding is None or (closed and not finding.verdict.allowed):
        principal = question.principal
        reason = "denied, by a policy of another account or for want of one"
        shut = Verdict(
            principal.arn or ANYONE, principal.account_id, question.action, question.resource, "implicit-deny",
            reason=reason, complete=False,
        )  # fmt: skip
        return Finding(shut)
    return finding
