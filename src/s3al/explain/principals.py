"""Principals by name: whoever may be asked about, and all that a matrix shows.

What lives here: from an ARN to a `Principal` as its requests would carry it, and the people of an account with the
outsiders whom a key names. What does not: credentials, which no question needs.

Laws: who does not exist is refused, never guessed; a role is shown as one session of it without policies of its own,
begun now.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from s3al.auth.policy import Policy
from s3al.auth.principal import ANONYMOUS, Principal, Session
from s3al.errors import RequestError
from s3al.service.credentials import root_principal, session_arn, user_principal
from s3al.store import accounts, identities, key_grants
from s3al.store.accounts import AccountRow
from s3al.store.database import Rows
from s3al.store.identities import RoleRow
from s3al.store.keystore import KeyRow

ANYONE: Final = "anonymous"
SESSION: Final = "any-session"
_HOUR_MS = 60 * 60 * 1000
_ARN = re.compile(r"arn:aws:(?P<service>iam|sts)::(?P<account>\d{12}):(?P<rest>.+)", re.DOTALL)
_SESSION = re.compile(r"assumed-role/(?P<role>[\w+=,.@-]{1,64})/(?P<session>[\w+=,.@-]{2,64})", re.ASCII)
_OF_ACCOUNT = re.compile(r"root|(?:user|role|assumed-role)/.+", re.DOTALL)
_MANY = 100_000


@dataclass(frozen=True, slots=True)
class Person:
    """A principal as a matrix shows it. name: the ARN by which policies name it. exists: False for one that a policy
    still names."""

    name: str
    principal: Principal
    exists: bool = True


def find_principal(rows: Rows, name: str, *, account_id: str, now_ms: int) -> Person:
    """name: an ARN of a root, user, role or role session; an account id; `anonymous`; or, of the account `account_id`,
    `root`, `user/...`, `role/...`. Raises ValidationError for what is no name of a principal, NoSuchEntity for one that
    does not exist."""
    if name in (ANYONE, "*"):
        return Person(ANYONE, ANONYMOUS)
    found = _ARN.fullmatch(_whole(name, account_id))
    if found is None or not _OF_ACCOUNT.fullmatch(found["rest"]):
        raise RequestError("ValidationError", "The principal must be the ARN of a root, user, role or role session.")
    account = accounts.find_account(rows, found["account"])
    person = _of_account(rows, account, found, now_ms) if account else None
    if person is None:
        raise RequestError("NoSuchEntity", "There is no principal of this name.")
    return person


def _of_account(rows: Rows, account: AccountRow, found: re.Match[str], now_ms: int) -> Person | None:
    arn, rest = found[0], found["rest"]
    if found["service"] == "sts":
        session = _SESSION.fullmatch(rest)
        role = identities.find_role(rows, account.account_id, session["role"]) if session else None
        return Person(arn, of_role(account, role, now_ms, session["session"])) if role and session else None
    if rest == "root":
        return Person(arn, root_principal(account))
    user = identities.find_user_by_arn(rows, arn)
    if user is not None:
        return Person(arn, user_principal(account, user))
    role = identities.find_role_by_arn(rows, arn)
    return Person(arn, of_role(account, role, now_ms)) if role else None


def of_role(account: AccountRow, role: RoleRow, now_ms: int, session_name: str = SESSION) -> Principal:
    """A session of this role that began now."""
    return Principal(
        kind="assumed-role",
        account_id=account.account_id,
        arn=session_arn(role.arn, session_name),
        user_id=f"{role.role_id}:{session_name}",
        canonical_id=account.canonical_id,
        tags=role.tags,
        session_name=session_name,
        issuer_arn=role.arn,
        session=Session(now_ms, now_ms + _HOUR_MS),
    )


def principals(rows: Rows, account_id: str, now_ms: int) -> list[Person]:
    """The root, the users and the roles of an account, in this order. Raises NoSuchEntity."""
    account = accounts.find_account(rows, account_id)
    if account is None:
        raise RequestError("NoSuchEntity", "There is no such account.")
    users = identities.list_users(rows, account_id, limit=_MANY)
    roles = identities.list_roles(rows, account_id, limit=_MANY)
    return [
        Person(f"arn:aws:iam::{account_id}:root", root_principal(account)),
        *(Person(user.arn, user_principal(account, user)) for user in users),
        *(Person(role.arn, of_role(account, role, now_ms)) for role in roles),
    ]


def outsiders(rows: Rows, key: KeyRow, policy: Policy, now_ms: int, *, inside: Iterable[Person]) -> list[Person]:
    """Whom the key's policy or a grant names beside those inside its account, by ARN; anybody at all comes last."""
    named = {value for kind, value in policy.principal_names() if kind == "AWS"}
    named |= {grant.grantee for grant in _grants(rows, key)}
    people = {person.name: person for person in _named(rows, named - {"*"}, key.account_id, now_ms)}
    found = [people[name] for name in sorted(people.keys() - {person.name for person in inside})]
    return [*found, Person(ANYONE, ANONYMOUS)] if "*" in named else found


def _grants(rows: Rows, key: KeyRow) -> Iterator[key_grants.GrantRow]:
    after = ""
    while page := key_grants.list_grants(rows, key.key_id, key.region, after=after, limit=1000):
        yield from page
        after = page[-1].grant_id


def _named(rows: Rows, names: Iterable[str], account_id: str, now_ms: int) -> Iterator[Person]:
    for name in names:
        try:
            yield find_principal(rows, name, account_id=account_id, now_ms=now_ms)
        except RequestError:
            gone = by_name(name, account_id, now_ms)
            if gone is not None:
                yield replace(gone, exists=False)


def by_name(name: str, account_id: str, now_ms: int) -> Person | None:
    """The principal that a name means, whether it exists or not: without tags, policies or id. None for no name of a
    principal with an account. account_id: in which `root`, `user/...` and `role/...` are read."""
    found = _ARN.fullmatch(_whole(name, account_id))
    if found is None or not _OF_ACCOUNT.fullmatch(found["rest"]):
        return None
    arn, account, rest = found[0], found["account"], found["rest"]
    if rest == "root":
        return Person(arn, Principal("root", account, arn, account))
    if rest.startswith("user/"):
        return Person(arn, Principal("user", account, arn, ""))
    session = _SESSION.fullmatch(rest)
    if session is None and found["service"] == "sts":
        return None
    name_of_session = session["session"] if session else SESSION
    issuer = f"arn:aws:iam::{account}:role/{session['role']}" if session else arn
    principal = Principal(
        kind="assumed-role",
        account_id=account,
        arn=session_arn(issuer, name_of_session),
        user_id="",
        session_name=name_of_session,
        issuer_arn=issuer,
        session=Session(now_ms, now_ms + _HOUR_MS),
    )
    return Person(arn, principal)


def _whole(name: str, account_id: str) -> str:
    if re.fullmatch(r"\d{12}", name):
        return f"arn:aws:iam::{name}:root"
    if _OF_ACCOUNT.fullmatch(name):
        return f"arn:aws:{'sts' if name.startswith('assumed-role/') else 'iam'}::{account_id}:{name}"
    return name
