"""Who may read an object, and who has which say over a KMS key, by which statement.

What lives here: the questions, put to the people of the caller's account and to whom else the policies name, and the
administrators and the account's root as thieves of rights. What does not: any decision (decisions), their pictures.

Laws: each answer is that of the evaluator that decides requests, asked as if the person sent the request now, from
where the caller sends his; whoever may not ask who can (s3al:Can, s3al:WhoMayUseKey) is told neither answers nor names
here; of people of other accounts the resource's side is told, and not whether they exist; no more people are asked than
a page holds.

Source: KMS Developer Guide, "Key policies"; S3 User Guide, "Identity and Access Management".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from s3al.auth.policy import Policy
from s3al.auth.principal import ANONYMOUS
from s3al.errors import RequestError
from s3al.explain.decisions import Question, weigh
from s3al.explain.envelopes import Opened
from s3al.explain.observed import Trial
from s3al.explain.principals import ANYONE, Person, by_name, of_role
from s3al.explain.thieves import SECRETS, ObjectNeeds, Outcome
from s3al.explain.verdicts import Verdict
from s3al.explain.visible import Visible
from s3al.kms.access import Context, compiled
from s3al.kms.states import state_after
from s3al.s3.access import bucket_arn, object_arn
from s3al.service.credentials import root_principal, user_principal
from s3al.service.operation import Params
from s3al.service.request_context import global_context
from s3al.store import accounts, identities, key_grants
from s3al.store.keystore import KeyRow

MOST_PEOPLE: Final = 10  # users, and as many roles: four decisions each, within 20 ms
_USE: Final = ("kms:Decrypt", "kms:GenerateDataKey")
_ADMINISTER: Final = ("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion")


@dataclass(frozen=True, slots=True)
class Say:
    """What one person may do about an object. decrypts, administers_keys: a verdict for each KMS key that has a say."""

    person: Person
    elsewhere: bool  # of another account, which must let its person too
    reads: Verdict
    decrypts: tuple[Verdict, ...]
    administers_bucket: Verdict
    administers_keys: tuple[Verdict, ...]

    @property
    def may_decrypt(self) -> bool:
        return all(verdict.allowed for verdict in self.decrypts)

    @property
    def may_read(self) -> bool:
        return self.reads.allowed and self.may_decrypt

    @property
    def administers_all_keys(self) -> bool:
        return bool(self.administers_keys) and all(verdict.allowed for verdict in self.administers_keys)

    @property
    def is_own_root(self) -> bool:
        return self.person.principal.kind == "root" and not self.elsewhere


@dataclass(frozen=True, slots=True)
class Says:
    """closed: why nobody can read now, whatever the policies say; "" if it is open. also_takes: secrets beside
    rights."""

    people: Sequence[Say]
    complete: bool
    closed: str
    also_takes: tuple[str, ...]


def says_of(visible: Visible, opened: Opened, needs: ObjectNeeds) -> Says | None:
    """Everybody's say about the object; None, and noted as withheld, if the caller may not know."""
    bucket = opened.found.state.row
    if not visible.may_own("s3al:Can", object_arn(bucket.name, opened.object_key)):
        visible.withhold("readers", ["s3al:Can"])
        return None
    own = [use.key for use in opened.key_uses if use.key.account_id == visible.call.principal.account_id]
    policies = [opened.found.state.policy, *(compiled(key.policy) for key in own)]
    people, complete = _people(visible, [policy for policy in policies if policy is not None], own)
    if not opened.key_uses:  # where a KMS key has a say, nobody without a name gets past it
        people.append(Person(ANYONE, ANONYMOUS))
    beyond = tuple(name for name in SECRETS if name in needs.secrets & {"customer", "client"})
    says = [_say(visible, opened, person) for person in people]
    told = [say for say in says if say.may_read or say.person.name != ANYONE]
    return Says(told, complete, _closed(opened), beyond)


def _closed(opened: Opened) -> str:
    """A key that is gone, or in a state that refuses."""
    if opened.envelope.kms_key_arn and opened.kms_key is None:
        return "the KMS key is gone"
    for use in opened.key_uses:
        try:
            state_after("Decrypt", use.key, opened.visible.call.now_ms)
        except RequestError as refusal:
            return str(refusal)
    return ""


def _people(visible: Visible, policies: Iterable[Policy], keys: Iterable[KeyRow]) -> tuple[list[Person], bool]:
    """The root, the first users and roles of the caller's account, and the first of whom policies and grants name
    beside them; and whether that is everybody."""
    rows, account = visible.rows, accounts.find_account(visible.rows, visible.call.principal.account_id or "")
    if account is None:
        return [], True
    users = identities.list_users(rows, account.account_id, limit=MOST_PEOPLE + 1)
    roles = identities.list_roles(rows, account.account_id, limit=MOST_PEOPLE + 1)
    people = [Person(f"arn:aws:iam::{account.account_id}:root", root_principal(account))]
    people += [Person(user.arn, user_principal(account, user)) for user in users[:MOST_PEOPLE]]
    people += [Person(role.arn, of_role(account, role, visible.call.now_ms)) for role in roles[:MOST_PEOPLE]]
    outsiders = _outsiders(visible, policies, keys)
    everybody = max(len(users), len(roles), len(outsiders)) <= MOST_PEOPLE
    return [*people, *outsiders[:MOST_PEOPLE]], everybody


def _outsiders(visible: Visible, policies: Iterable[Policy], keys: Iterable[KeyRow]) -> list[Person]:
    """By name alone, whether or not they exist: that is another account's to tell."""
    account, now_ms = visible.call.principal.account_id or "", visible.call.now_ms
    named = {value for policy in policies for kind, value in policy.principal_names() if kind == "AWS"}
    for key in keys:
        grants = key_grants.list_grants(visible.rows, key.key_id, key.region, limit=MOST_PEOPLE)
        named |= {grant.grantee for grant in grants}
    people = (by_name(name, account, now_ms) for name in sorted(named))
    return [one for one in people if one is not None and one.principal.account_id != account]


def _say(visible: Visible, opened: Opened, person: Person) -> Say:
    bucket, row = opened.found.state.row, opened.found.row
    name = object_arn(bucket.name, opened.object_key)
    ask = _Asking(visible, person, _from_here(visible))
    uses = opened.key_uses
    return Say(
        person,
        ask.elsewhere,
        ask("s3:GetObject" if row.is_current else "s3:GetObjectVersion", name),
        tuple(ask("kms:Decrypt", use.key.arn, use.context) for use in uses),
        ask("s3:PutBucketPolicy", bucket_arn(bucket.name)),
        tuple(ask("kms:PutKeyPolicy", use.key.arn) for use in uses),
    )


@dataclass(frozen=True, slots=True)
class _Asking:
    """Of one person, as far as the caller's account may know."""

    visible: Visible
    person: Person
    context: Context

    @property
    def elsewhere(self) -> bool:
        return self.person.principal.account_id not in (self.visible.call.principal.account_id, None)

    def __call__(self, action: str, resource: str, more: Context | None = None) -> Verdict:
        trial = Trial(assumed=self.elsewhere)
        question = Question(self.person.principal, action, resource, self.context | (more or {}), trial)
        verdict = weigh(self.visible.rows, self.visible.ports, question).verdict
        return verdict.for_account(self.visible.call.principal.account_id or "")


def _from_here(visible: Visible) -> Context:
    """The condition keys of the caller's own request that say nothing of him."""
    names = ("aws:SecureTransport", "aws:CurrentTime", "aws:EpochTime", "aws:RequestedRegion", "aws:SourceIp")
    mine = global_context(visible.call)
    return {name: mine[name] for name in names if name in mine}


def document(says: Says) -> Params:
    now = not says.closed
    return {
        "may_read": [_allowed(one) for one in says.people if now and one.may_read],
        "may_not": [_refused(one, says.closed) for one in says.people if not (now and one.may_read)],
        "closed": says.closed,
        "also_takes": list(says.also_takes),
        "complete": says.complete,
    }


def _allowed(say: Say) -> Params:
    by = [{"action": verdict.action, "by": _label(verdict)} for verdict in (say.reads, *say.decrypts)]
    return {"principal": say.person.name, "elsewhere": say.elsewhere, "by": by}


def _refused(say: Say, closed: str) -> Params:
    refused = [
        {"action": verdict.action, "reason": verdict.reason}
        for verdict in (say.reads, *say.decrypts)
        if not verdict.allowed
    ]
    if closed:
        refused.append({"action": "kms:Decrypt", "reason": f"because of the key: {closed}"})
    return {"principal": say.person.name, "refused": refused}


def _label(verdict: Verdict) -> str:
    """`by ...`, or the reason of a decision without a statement (`as the root user ...`)."""
    return f"by {verdict.by.label}" if verdict.by else verdict.reason


# --- administrators, and the root of their account


def administrators(says: Says, needs: ObjectNeeds) -> list[Outcome]:
    """What who administers the bucket, and who administers a key, can read: now, or by changing the policies that are
    his to change. The account's root, who may be both whatever policies say, is judged apart."""
    people = [say for say in says.people if not say.is_own_root]
    found = [_s3_administrator([say for say in people if say.administers_bucket.allowed], says)]
    if needs.secrets & {"kms", "client-kms"}:
        found.append(_key_administrator([say for say in people if say.administers_all_keys], says))
    return [*found, *(_root(say, says) for say in says.people if say.is_own_root)]


def _root(root: Say, says: Says) -> Outcome:
    thief, has = "account's root", "all that the account owns, and the policies that are its to change"
    if says.also_takes:
        reads = "names" if "customer" in says.also_takes else "metadata"
        return Outcome(thief, has, reads, f"lacks {SECRETS[says.also_takes[0]]}", says.also_takes)
    if says.closed:
        return Outcome(thief, has, "metadata", says.closed, ("kms",))
    if not root.may_decrypt and not root.administers_all_keys:
        return Outcome(thief, has, "metadata", "lacks kms:Decrypt, and the right to change the key's policy", ("kms",))
    changed = [
        *(() if root.reads.allowed else ("the bucket's policy",)),
        *(() if root.may_decrypt else ("the key's policy",)),
    ]
    because = f"after changing {' and '.join(changed)}" if changed else "by rights that it has now"
    return Outcome(thief, has, "bytes", because)


def _s3_administrator(people: Sequence[Say], says: Says) -> Outcome:
    thief, has = "S3 administrator", f"s3:PutBucketPolicy, and so the right to read for himself: {_names(people)}"
    if not people:
        return Outcome(thief, has, "nothing", "nobody but the account's root may")
    if says.also_takes:
        reads = "names" if "customer" in says.also_takes else "metadata"  # HEAD too asks for the customer's key
        return Outcome(thief, has, reads, f"lacks {SECRETS[says.also_takes[0]]}", says.also_takes)
    if says.closed:
        return Outcome(thief, has, "metadata", says.closed, ("kms",))
    reading = [say for say in people if say.may_decrypt]
    if not reading:
        because = "lacks kms:Decrypt, which no policy of the bucket can give"
        return Outcome(thief, has, "metadata", because, ("kms",))
    if not reading[0].decrypts:
        return Outcome(thief, has, "bytes", "no KMS key asks for a right of its own")
    through = "; ".join(f"{say.person.name} may decrypt, {_given(say.decrypts)}" for say in reading)
    return Outcome(thief, has, "bytes", through)


def _key_administrator(people: Sequence[Say], says: Says) -> Outcome:
    thief, has = "key administrator", f"kms:PutKeyPolicy, and so kms:Decrypt for himself: {_names(people)}"
    if not people:
        return Outcome(thief, has, "nothing", "nobody but the account's root may")
    if says.also_takes:
        return Outcome(thief, has, "nothing", f"lacks {SECRETS[says.also_takes[0]]}", says.also_takes)
    reading = [say for say in people if say.reads.allowed]
    if not reading:
        unless = "an S3 administrator lets him read the object"
        return Outcome(thief, has, "nothing", f"lacks {SECRETS['s3-right']}", ("s3-right",), unless)
    through = "; ".join(f"{say.person.name} may read the object, {_given([say.reads])}" for say in reading)
    return Outcome(thief, has, "bytes", through)


def _given(verdicts: Iterable[Verdict]) -> str:
    return ", ".join(_label(verdict) for verdict in verdicts)


def _names(people: Sequence[Say]) -> str:
    return ", ".join(say.person.name for say in people) or "nobody"


# --- a key


def people_of_key(visible: Visible, key: KeyRow) -> Params | None:
    """Who administers it and who uses it."""
    if not visible.may_own("s3al:WhoMayUseKey", key.arn):
        visible.withhold("people", ["s3al:WhoMayUseKey"])
        return None
    people, complete = _people(visible, [compiled(key.policy)], [key])
    context = _from_here(visible)

    def holders(actions: Sequence[str]) -> list[Params]:
        found = []
        for person in people:
            ask = _Asking(visible, person, context)
            verdicts = [ask(action, key.arn) for action in actions]
            allowed = [verdict for verdict in verdicts if verdict.allowed]
            if allowed:
                by = [{"action": verdict.action, "by": _label(verdict)} for verdict in allowed]
                found.append({"principal": person.name, "elsewhere": ask.elsewhere, "by": by})
        return found

    administer, use = holders(_ADMINISTER), holders(_USE)
    users = {one["principal"] for one in use}
    both = [one["principal"] for one in administer if one["principal"] in users]
    return {"administrators": administer, "users": use, "both": both, "complete": complete}
