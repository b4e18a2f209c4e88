"""What a caller's own policies say: identity policies, boundary, session policies.

What lives here: `Identity`, the policies of one caller, compiled; `Identities`, which loads them and keeps them for one
value of the change counter. What does not: rows (store.identities), the decision (auth.evaluate), resource policies
(each service).

Laws: roots, anonymous callers and services have no policies of their own; only the thread that made the cache uses it,
since other threads run write transactions that may see, and undo, a counter that nobody else ever sees; a stored policy
that no longer parses denies everything to whomever it is about, because nobody can say what it denied, and is logged.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from s3al.auth.decision import AccessRequest, Decision
from s3al.auth.evaluate import evaluate, limited
from s3al.auth.policy import Policy, PolicyKind
from s3al.auth.principal import Principal, Session
from s3al.errors import RequestError
from s3al.store import catalog, identities
from s3al.store.database import Rows
from s3al.store.identities import NamedDocument

_CACHED_IDENTITIES = 512
_CACHED_POLICIES = 2048
_ANY_POLICY_BYTES = 1 << 20  # stored policies were bounded when they were put
_OBJECT_TAGS = "existingobjecttag"
_DENY_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """The policies of one caller. sessions: None where no session policy was given. asks_object_tags: whether one of
    them has a say about the tags of stored objects."""

    policies: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    sessions: tuple[Policy, ...] | None = None
    asks_object_tags: bool = False

    def evaluate(
        self,
        request: AccessRequest,
        *,
        resource_policy: Policy | None,
        resource_account: str | None,
        owner_allows: bool,
    ) -> Decision:
        """`auth.evaluate.evaluate` with these policies."""
        return evaluate(
            request,
            resource_policy=resource_policy,
            resource_account=resource_account,
            identity_policies=self.policies,
            boundary=self.boundary,
            session_policies=self.sessions,
            owner_allows=owner_allows,
        )

    def limited(self, request: AccessRequest) -> Decision | None:
        return limited(request, boundary=self.boundary, session_policies=self.sessions)


NO_POLICIES = Identity()
_WITH_POLICIES = frozenset({"user", "assumed-role", "federated"})


class Identities:
    """The callers that one worker met since the change counter last moved."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._stamp = -1
        self._known: dict[tuple[str, Session | None], Identity] = {}

    def of(self, rows: Rows, principal: Principal) -> Identity:
        """The policies of `principal` as of `rows`."""
        if principal.kind not in _WITH_POLICIES:
            return NO_POLICIES
        if threading.get_ident() != self._thread:
            return _load(rows, principal)
        stamp = catalog.change_counter(rows)
        if stamp != self._stamp or len(self._known) >= _CACHED_IDENTITIES:
            self._known, self._stamp = {}, stamp
        name = (principal.arn, principal.session)
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = _load(rows, principal)
        return found


def _load(rows: Rows, principal: Principal) -> Identity:
    holder = principal.issuer_arn or principal.arn
    documents = identities.identity_policies(rows, holder)
    boundary = identities.boundary_of(rows, holder)
    session = principal.session
    narrowing = list(_session_documents(rows, session)) if session is not None and session.is_narrowed else None
    texts = [document.text for document in (*documents, *(narrowing or ()), *((boundary,) if boundary else ()))]
    return Identity(
        policies=tuple(compiled(document, PolicyKind.IDENTITY) for document in documents),
        boundary=None if boundary is None else compiled(boundary, PolicyKind.BOUNDARY),
        sessions=None if narrowing is None else tuple(compiled(one, PolicyKind.SESSION) for one in narrowing),
        asks_object_tags=any(_OBJECT_TAGS in text.lower() for text in texts),
    )


def _session_documents(rows: Rows, session: Session) -> Iterable[NamedDocument]:
    """The session's own policy, and those managed policies that still exist: of a deleted one nothing is allowed."""
    if session.policy is not None:
        yield NamedDocument("session-policy", session.policy)
    for arn in session.policy_arns:
        document = managed_policy(rows, arn)
        if document is not None:
            yield document


def managed_policy(rows: Rows, arn: str) -> NamedDocument | None:
    """The default version of a managed policy; None if there is none of this ARN."""
    return identities.managed_policy_document(rows, arn)


def compiled(document: NamedDocument, kind: PolicyKind) -> Policy:
    """The text decides, so nothing here grows stale."""
    return _compiled(document.text, document.name, kind)


@lru_cache(maxsize=_CACHED_POLICIES)
def _compiled(text: str, name: str, kind: PolicyKind) -> Policy:
    try:
        return Policy.parse(text, kind=kind, max_bytes=_ANY_POLICY_BYTES, name=name)
    except RequestError:
        message = f"a stored {kind.value} does not parse: {name}"
        _LOG.error(message)  # as one text: the server's log leaves arguments out
        kind = PolicyKind.IDENTITY if kind is PolicyKind.TRUST else kind  # the deny names no principal
        return Policy.parse(_DENY_ALL, kind=kind, max_bytes=_ANY_POLICY_BYTES, name=name)
