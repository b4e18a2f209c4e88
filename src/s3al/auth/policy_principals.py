"""The Principal and NotPrincipal elements: whom a statement of a resource policy concerns, and how directly.

What lives here: reading the element, `Principals.reach` and `Principals.exempts`. What does not: what a
reach is worth (evaluate).

Laws: no wildcard but a lone `*`; ARNs compare exactly; an account stands for everyone in it where a
statement denies, and delegates to it where a statement allows; NotPrincipal exempts only who is named in
every layer (account, role, session).

Source: IAM User Guide, "AWS JSON policy elements: Principal", "... NotPrincipal".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from s3al.auth.principal import Principal


class Reach(IntEnum):
    """How a Principal element names a caller; the larger, the less the caller's own policies matter."""

    NONE = 0
    ACCOUNT = 1  # names the caller's account: the account decides who of it may
    ISSUER = 2  # names the role or user behind the caller's session: boundary and session policies still limit
    DIRECT = 3  # names the caller, or everyone


_ACCOUNT = re.compile(r"(?:arn:aws[a-z-]*:iam::)?([0-9]{12})(?::root)?")
_ARN = re.compile(
    r"arn:aws[a-z-]*:(?:iam::[0-9]{12}:(?:user|role)/(?:[!-~]{1,511}/)?[\w+=,.@-]{1,64}"
    r"|sts::[0-9]{12}:(?:assumed-role/[\w+=,.@-]{1,64}/[\w+=,.@-]{2,64}|federated-user/[\w+=,.@-]{2,32}))",
    re.ASCII,
)
_SERVICE = re.compile(r"[a-z0-9.-]{1,128}\.amazonaws\.com(?:\.cn)?")
_PROVIDER = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:(?:saml|oidc)-provider/[!-)+->@-~]{1,256}|[a-zA-Z0-9./-]{1,256}")
_CANONICAL = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Principals:
    """names: every (type, value) as written."""

    names: tuple[tuple[str, str], ...]
    anyone: bool = False
    accounts: frozenset[str] = frozenset()
    arns: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    canonical_ids: frozenset[str] = frozenset()

    def reach(self, principal: Principal) -> Reach:
        if self.anyone or principal.arn in self.arns:
            return Reach.DIRECT
        if principal.kind == "service":
            return Reach.DIRECT if principal.arn in self.services else Reach.NONE
        if principal.provider is not None and principal.provider in self.providers:
            return Reach.DIRECT
        if principal.issuer_arn is not None and principal.issuer_arn in self.arns:
            return Reach.ISSUER
        if self._names_account(principal):
            return Reach.DIRECT if principal.kind == "root" else Reach.ACCOUNT
        return Reach.NONE

    def _names_account(self, principal: Principal) -> bool:
        return principal.account_id in self.accounts or principal.canonical_id in self.canonical_ids

    def exempts(self, principal: Principal) -> bool:
        """As NotPrincipal: whether the caller is named in every layer."""
        if self.anyone:
            return True
        if principal.kind == "service":
            return principal.arn in self.services
        if principal.account_id is None:
            return principal.provider is not None and principal.provider in self.providers
        if not self._names_account(principal):
            return False
        layers = {principal.arn, principal.issuer_arn} - {None}
        return principal.kind == "root" or all(layer in self.arns for layer in layers)


def read_principals(element: object, texts: Callable[[object], list[str]], *, canonical: bool) -> Principals:
    """texts: reads one or a list of strings. canonical: CanonicalUser is known. Raises ValueError if malformed."""
    if element == "*":
        return Principals((("AWS", "*"),), anyone=True)
    if not isinstance(element, dict):
        raise ValueError("neither * nor a map")  # noqa: TRY004 - a fault of the document, like the others
    names = tuple((kind, value) for kind, values in element.items() for value in texts(values))
    for kind, value in names:
        if kind == "CanonicalUser" and not canonical:
            raise ValueError("a kind this policy does not know")
        if kind not in _FORMS or not any(form.fullmatch(value) for form in _FORMS[kind]):
            raise ValueError("not a principal")
    accounts = (match[1] for match in map(_ACCOUNT.fullmatch, _of(names, "AWS")) if match)
    return Principals(
        names,
        anyone="*" in _of(names, "AWS"),
        accounts=frozenset(accounts),
        arns=frozenset(value for value in _of(names, "AWS") if _ARN.fullmatch(value)),
        services=frozenset(_of(names, "Service")),
        providers=frozenset(_of(names, "Federated")),
        canonical_ids=frozenset(_of(names, "CanonicalUser")),
    )


_FORMS: Mapping[str, tuple[re.Pattern[str], ...]] = {
    "AWS": (re.compile(r"\*|[0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:root"), _ARN),
    "Service": (_SERVICE,),
    "Federated": (_PROVIDER,),
    "CanonicalUser": (_CANONICAL,),
}


def _of(names: Iterable[tuple[str, str]], kind: str) -> list[str]:
    return [value for named, value in names if named == kind]
