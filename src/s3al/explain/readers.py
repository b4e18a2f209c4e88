"""Who may read an object, and who has which say over a KMS key, by which statement.

What lives here: the questions, put to the people of the caller's account, and the two administrators as thieves of
rights. What does not: any decision (decisions), the pictures of them.

Laws: each answer is that of the evaluator that decides requests, asked as if the person sent the request now, from
where the caller sends his; whoever may not read the policies that decide is told neither answers nor names; no more
people are asked than a page holds.

Source: KMS Developer Guide, "Key policies"; S3 User Guide, "Identity and Access Management".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from s3al.explain.decisions import decide
from s3al.explain.envelopes import Opened
from s3al.explain.principals import Person, principals
from s3al.explain.thieves import SECRETS, ObjectNeeds, Outcome
from s3al.explain.verdicts import Verdict
from s3al.explain.visible import Visible
from s3al.kms.access import Context, encryption_context
from s3al.s3.access import bucket_arn, object_arn
from s3al.service.operation import Params
from s3al.service.request_context import global_context
from s3al.store.keystore import KeyRow

MOST_PEOPLE: Final = 50
_READ_POLICIES: Final = "iam:GetAccountAuthorizationDetails"
_USE: Final = ("kms:Decrypt", "kms:GenerateDataKey")
_ADMINISTER: Final = ("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion")


@dataclass(frozen=True, slots=True)
class Say:
    """What one person may do about an object. decrypts: None where no KMS key has a say."""

    person: Person
    reads: Verdict
    decrypts: Verdict | None
    administers_bucket: Verdict
    administers_key: Verdict | None

    @property
    def may_read(self) -> bool:
        return self.reads.allowed and (self.decrypts is None or self.decrypts.allowed)


@dataclass(frozen=True, slots=True)
class Says:
    people: Sequence[Say]
    complete: bool


def says_of(visible: Visible, opened: Opened) -> Says | None:
    """Everybody's say about the object; None, and noted as withheld, if the caller may not know."""
    bucket, key = opened.found.state.row, opened.kms_key
    needs = ["s3:GetBucketPolicy", *(["kms:GetKeyPolicy"] if opened.kms_key_arn else []), _READ_POLICIES]
    known = (
        visible.may_s3("GetBucketPolicy", Bucket=bucket.name)
        and (not opened.kms_key_arn or (key is not None and visible.may_kms("GetKeyPolicy", key.arn)))
        and _may_read_policies(visible)
    )
    if not known:
        visible.withhold("readers", needs)
        return None
    people, complete = _people(visible)
    return Says([_say(visible, opened, person) for person in people], complete)


def _people(visible: Visible) -> tuple[list[Person], bool]:
    account = visible.call.principal.account_id or ""
    found = principals(visible.rows, account, visible.call.now_ms, limit=MOST_PEOPLE + 1)
    return found[:MOST_PEOPLE], len(found) <= MOST_PEOPLE


def _may_read_policies(visible: Visible) -> bool:
    principal = visible.call.principal
    context = global_context(visible.call)
    return decide(visible.rows, visible.ports, principal, _READ_POLICIES, "*", context).allowed


def _say(visible: Visible, opened: Opened, person: Person) -> Say:
    bucket, key = opened.found.state.row, opened.kms_key
    record = opened.found.row
    name = object_arn(bucket.name, record.object_key.decode("utf-8", "replace"))
    action = "s3:GetObject" if record.is_current else "s3:GetObjectVersion"
    context = _from_here(visible)
    through = _kms_context(opened)

    def asked(action: str, resource: str, more: Context | None = None) -> Verdict:
        return decide(visible.rows, visible.ports, person.principal, action, resource, context | (more or {}))

    return Say(
        person,
        asked(action, name),
        asked("kms:Decrypt", key.arn, through) if key else None,
        asked("s3:PutBucketPolicy", bucket_arn(bucket.name)),
        asked("kms:PutKeyPolicy", key.arn) if key else None,
    )


def _from_here(visible: Visible) -> Context:
    """The condition keys of the caller's own request that say nothing of him."""
    names = ("aws:SecureTransport", "aws:CurrentTime", "aws:EpochTime", "aws:RequestedRegion", "aws:SourceIp")
    mine = global_context(visible.call)
    return {name: mine[name] for name in names if name in mine}


def _kms_context(opened: Opened) -> Context:
    """As S3 asks for the requester; as the requester himself for a client-side key."""
    if not opened.envelope.kms_key_arn:
        return encryption_context(opened.client.context if opened.client else None)
    region = opened.found.state.row.region
    through: Context = {"kms:ViaService": f"s3.{region}.amazonaws.com", "aws:ViaAWSService": "true"}
    return encryption_context(opened.envelope.context) | through


def document(says: Says) -> Params:
    return {
        "may_read": [_allowed(one) for one in says.people if one.may_read],
        "may_not": [_refused(one) for one in says.people if not one.may_read],
        "complete": says.complete,
    }


def _allowed(say: Say) -> Params:
    by = [{"action": v.action, "by": _label(v)} for v in (say.reads, say.decrypts) if v is not None]
    return {"principal": say.person.name, "by": by}


def _refused(say: Say) -> Params:
    refused = [verdict for verdict in (say.reads, say.decrypts) if verdict is not None and not verdict.allowed]
    return {
        "principal": say.person.name,
        "refused": [{"action": verdict.action, "reason": verdict.reason} for verdict in refused],
    }


def _label(verdict: Verdict) -> str:
    return verdict.by.label if verdict.by else verdict.reason


# --- the two administrators


def administrators(says: Says, needs: ObjectNeeds) -> list[Outcome]:
    """What who administers the bucket, and who administers the key, can read: now, or by changing the policies that
    are his to change."""
    beyond = needs.secrets & {"customer", "client", *(["client-kms"] if _without_key(says) else [])}
    bucket = [say for say in says.people if say.administers_bucket.allowed]
    key = [say for say in says.people if say.administers_key is not None and say.administers_key.allowed]
    outcomes = [_s3_administrator(bucket, beyond)]
    if not _without_key(says):
        outcomes.append(_key_administrator(key, beyond))
    return outcomes


def _without_key(says: Says) -> bool:
    return all(say.decrypts is None for say in says.people)


def _s3_administrator(people: Sequence[Say], beyond: Iterable[str]) -> Outcome:
    has = f"s3:PutBucketPolicy on the bucket, and so the right to read for himself: {_names(people)}"
    missing = tuple(sorted(beyond))
    if missing:
        return Outcome("S3 administrator", has, "names", f"lacks {SECRETS[missing[0]]}", missing)
    if not people:
        return Outcome("S3 administrator", has, "nothing", "nobody may")
    reading = [say for say in people if say.decrypts is None or say.decrypts.allowed]
    if not reading:
        because = f"lacks {SECRETS['kms']}: no policy gives kms:Decrypt to who administers the bucket"
        return Outcome("S3 administrator", has, "names", because, ("kms",))
    if reading[0].decrypts is None:
        return Outcome("S3 administrator", has, "bytes", "no KMS key asks for a right of its own")
    because = "; ".join(f"{say.person.name} may decrypt by {_label(say.decrypts)}" for say in reading if say.decrypts)
    return Outcome("S3 administrator", has, "bytes", because)


def _key_administrator(people: Sequence[Say], beyond: Iterable[str]) -> Outcome:
    has = f"kms:PutKeyPolicy on the key, and so kms:Decrypt for himself: {_names(people)}"
    missing = tuple(sorted(beyond))
    if missing:
        return Outcome("key administrator", has, "nothing", f"lacks {SECRETS[missing[0]]}", missing)
    reading = [say for say in people if say.reads.allowed]
    if not reading:
        because = f"lacks {SECRETS['s3-right']}" if people else "nobody may"
        unless = "an S3 administrator lets him read the object" if people else ""
        return Outcome("key administrator", has, "nothing", because, ("s3-right",), unless)
    because = "; ".join(f"{say.person.name} may read the object by {_label(say.reads)}" for say in reading)
    return Outcome("key administrator", has, "bytes", because)


def _names(people: Sequence[Say]) -> str:
    return ", ".join(say.person.name for say in people) or "nobody of this account"


# --- a key


def people_of_key(visible: Visible, key: KeyRow) -> Params | None:
    """Who of the key's account administers it and who uses it."""
    if not (visible.may_kms("GetKeyPolicy", key.arn) and _may_read_policies(visible)):
        visible.withhold("people", ["kms:GetKeyPolicy", _READ_POLICIES])
        return None
    people, complete = _people(visible)
    context = _from_here(visible)

    def holders(actions: Sequence[str]) -> list[Params]:
        found = []
        for person in people:
            verdicts = [decide(visible.rows, visible.ports, person.principal, one, key.arn, context) for one in actions]
            allowed = [verdict for verdict in verdicts if verdict.allowed]
            if allowed:
                by = [{"action": verdict.action, "by": _label(verdict)} for verdict in allowed]
                found.append({"principal": person.name, "by": by})
        return found

    administer, use = holders(_ADMINISTER), holders(_USE)
    users = {one["principal"] for one in use}
    both = [one["principal"] for one in administer if one["principal"] in users]
    return {"administrators": administer, "users": use, "both": both, "complete": complete}
