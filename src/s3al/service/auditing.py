"""The seam between those who do things and the trail that records them.

What lives here: what is said of a key's use or change (`KeyUse`), the port by which the KMS says it (`KeyRecorder`),
and the port by which the gateway records a request (`Auditor`). What does not: records and their files (trail).

Law: a key's use is said before whoever asked for it is answered, whether it was allowed or refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from s3al.auth.principal import Principal
from s3al.errors import RequestError
from s3al.service.operation import Call


@dataclass(slots=True)  # not frozen, as one is made for each use and a frozen one costs three times as much to make
class KeyUse:
    """One use of a KMS key for S3. key_name: as it was asked for. key_arn: None if no key was found.

    refused: why it was; None when it was done. material_id: hex, where it is known.
    """

    operation: str
    region: str
    key_name: str
    key_arn: str | None
    context: Mapping[str, str] = field(repr=False)
    refused: RequestError | None = None
    material_id: str | None = None


class KeyRecorder(Protocol):
    """What the KMS tells the trail. May be called on any thread, also within a transaction."""

    def used(self, call: Call, use: KeyUse) -> None:
        """Kept until the request of `call` is answered, and recorded before."""
        ...

    def touched(self, call: Call, key_arn: str) -> None:
        """The request of `call` is about this key."""
        ...

    def happened(self, event_name: str, key_arn: str, now_ms: int, details: Mapping[str, Any]) -> None:
        """A key was changed by no request. Recorded durably at once; raises StoreError if that cannot be."""
        ...


class _Unrecorded:

    def used(self, call: Call, use: KeyUse) -> None:
        """Nothing."""

    def touched(self, call: Call, key_arn: str) -> None:
        """Nothing."""

    def happened(self, event_name: str, key_arn: str, now_ms: int, details: Mapping[str, Any]) -> None:
        """Nothing."""


UNRECORDED: Final[KeyRecorder] = _Unrecorded()
"""For offline commands and tests."""


@dataclass(slots=True)  # likewise
class Answered:
    """What the gateway knows of a request that is about to be answered.

    call: None if it was refused before its parameters were understood. output: of the handler; None if refused.
    """

    service: str
    operation: str
    request_id: str
    principal: Principal
    source_ip: str
    user_agent: str
    call: Call | None = None
    output: Mapping[str, Any] | None = field(default=None, repr=False)
    error_code: str | None = None
    error_message: str | None = None


class Auditor(Protocol):
    """What the gateway asks of the trail."""

    def reserve(self, call: Call) -> None:
        """Before a handler runs. Raises StoreError if it would change something that could not be recorded."""
        ...

    def concerns(self, service: str, operation: str, request_id: str) -> bool:
        """Whether `record` would record anything of this request; cheap."""
        ...

    def record(self, answered: Answered) -> Awaitable[None] | None:
        """Before the answer. Something to wait for when the record must be durable. Raises StoreError."""
        ...

    def settle(self, request_id: str) -> None:
        """The request has ended, perhaps without an answer: what is left of it is recorded."""
        ...
