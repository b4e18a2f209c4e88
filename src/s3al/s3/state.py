"""A bucket with its settings, as of one change counter.

What lives here: `BucketState` and the worker's cache of them. What does not: decisions (access), the meaning
of a setting (its own file).

Laws: everything cached is valid for one value of the change counter, which every request reads afresh. A stored
policy that no longer parses (the grammar has become stricter since) shuts the bucket to all but the root of its
owner, who can replace it, and is logged.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from s3al.auth.decision import Decision
from s3al.auth.policy import Policy, PolicyKind
from s3al.auth.publicness import is_public
from s3al.errors import RequestError
from s3al.store import catalog
from s3al.store.catalog import BucketRow
from s3al.store.database import Rows

_CACHED_BUCKETS = 4096
_ANY_POLICY_BYTES = 1 << 20  # stored policies were bounded when they were put
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class BucketState:
    """A bucket and its settings; the policy is compiled once. policy_unreadable: there is one, and nobody can say
    what it permits. allowed: kept by `access` as long as the bucket is."""

    row: BucketRow
    settings: Mapping[str, bytes]
    policy: Policy | None = None
    policy_is_public: bool = False
    policy_unreadable: bool = False
    documents: dict[str, Any] = field(default_factory=dict)
    allowed: dict[tuple[str, str, str], Decision] = field(default_factory=dict)

    def document(self, setting: str) -> Any:
        """The setting's JSON, parsed once; None when unset."""
        if setting not in self.documents:
            raw = self.settings.get(setting)
            self.documents[setting] = None if raw is None else json.loads(raw)
        return self.documents[setting]

    @property
    def versioning(self) -> str:
        """One of "" (never set), "Enabled", "Suspended"."""
        status: str = (self.document("versioning") or {}).get("Status", "")
        return status


class BucketStates:
    """The buckets of one worker's recent requests; emptied whenever the change counter moves.

    Only the thread that made it reads and fills the cache. Other threads run write transactions, which may
    see, and undo, a counter that nobody else ever sees: they load what they need.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._stamp = -1
        self._states: dict[str, BucketState] = {}

    def get(self, rows: Rows, name: str) -> BucketState:
        """Raises NoSuchBucket."""
        if threading.get_ident() != self._thread:
            return _load(rows, name)
        stamp = catalog.change_counter(rows)
        if stamp != self._stamp or len(self._states) > _CACHED_BUCKETS:
            self._states, self._stamp = {}, stamp
        state = self._states.get(name)
        if state is None:
            state = self._states[name] = _load(rows, name)
        return state


def _load(rows: Rows, name: str) -> BucketState:
    row = catalog.find_bucket(rows, name)
    if row is None:
        raise RequestError("NoSuchBucket", BucketName=name)
    settings = catalog.get_settings(rows, row.bucket_id)
    state = BucketState(row, settings)
    if "policy" in settings:
        _read_policy(state, settings["policy"])
    return state


def _read_policy(state: BucketState, stored: bytes) -> None:
    try:
        state.policy = Policy.parse(
            stored, kind=PolicyKind.BUCKET, max_bytes=_ANY_POLICY_BYTES, bucket_name=state.row.name
        )
        state.policy_is_public = is_public(state.policy)
    except RequestError:
        state.policy_unreadable = True
        message = f"a stored bucket policy does not parse: bucket id {state.row.bucket_id.hex()}"
        _LOG.error(message)  # as one text: the server's log leaves arguments out
