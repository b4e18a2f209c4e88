"""A call of an operation, what an operation declares, and the table a service is.

What lives here: `Call` (everything a handler may know of a request), `Reply`, `Operation` and `Service`.
What does not: HTTP (server), the wire format (wire), the decision (auth).

Laws: a handler's first argument is an `Authorized`, so that an operation without a check does not type-check;
every operation declares its checks beside its function; a write commits through `Call.commit`, which
authorizes again inside the transaction if anything that authorization read has changed since.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from s3al.auth.authorized import Authorized
from s3al.auth.principal import Principal
from s3al.store.catalog import change_counter
from s3al.store.database import Database, Rows

Params = dict[str, Any]
Ports = TypeVar("Ports")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Check:
    """One permission an operation needs: an IAM action on a resource ARN, with the condition keys it adds."""

    action: str
    resource: str
    context: Mapping[str, str | list[str]] = field(default_factory=dict)


class Body(Protocol):
    """The payload of a request, decoded (never `aws-chunked` framing), to be consumed once.

    decoded_bytes: None when the client announced no length. payload_sha256: hex, signed in the head, to be
    verified by whoever consumes the body; None when the signature does not cover it, or covers it chunk by
    chunk. trailers: complete after the last piece.
    """

    @property
    def decoded_bytes(self) -> int | None: ...

    @property
    def payload_sha256(self) -> str | None: ...

    @property
    def trailers(self) -> Mapping[str, str]: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


@dataclass(slots=True)
class Call:
    """One request after routing, authentication and parsing.

    now_ms: UTC milliseconds at arrival. region: of the signature scope. secure: TLS end to end as far as the
    server knows. signature_context: makes the condition keys that follow from the signature. bucket_owner: account
    of the bucket that the request names, once it is known. reauthorize: what the gateway ran before the handler, to
    be run again inside a write transaction.
    """

    service: str
    operation: str
    params: Params = field(repr=False)  # a customer's key may be among them
    principal: Principal
    request_id: str
    now_ms: int
    region: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Sequence[tuple[str, str]] = field(default=(), repr=False)
    secure: bool = False
    source_ip: str = ""
    body: Body | None = None
    signature_context: Callable[[], Mapping[str, str]] = dict
    bucket_owner: str = ""
    reauthorize: Callable[[Rows], Authorized] | None = field(default=None, repr=False)

    async def commit(self, database: Database, authorized: Authorized, write: Callable[[Rows], T]) -> T:
        """Run `write` in one durable transaction, authorized as of that transaction."""

        return await database.write(self._authorized(authorized, write))

    async def read(self, database: Database, authorized: Authorized, look: Callable[[Rows], T]) -> T:
        """Run `look` on one snapshot, authorized as of that snapshot."""
        return await database.read(self._authorized(authorized, look))

    def _authorized(self, authorized: Authorized, fn: Callable[[Rows], T]) -> Callable[[Rows], T]:
        def asked_again(rows: Rows) -> T:
            if change_counter(rows) != authorized.stamp:
                if self.reauthorize is None:
                    raise RuntimeError("a call that reads or commits needs reauthorize")
                self.reauthorize(rows)
            return fn(rows)

        return asked_again


@dataclass(slots=True)
class Reply:
    """What a handler answers: output members as botocore names them, and the body if it is a stream.

    status: None means the model's. headers: those the model does not know. body_bytes: exact length of a
    streamed body.
    """

    output: Params = field(default_factory=dict, repr=False)  # a new secret may be among them
    body: bytes | AsyncIterator[bytes] = field(default=b"", repr=False)
    body_bytes: int | None = None
    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)


Handler = Callable[[Authorized, Call, Ports], Awaitable[Reply]]
Checks = Callable[[Call, Rows, Ports], Iterable[Check]]


@dataclass(frozen=True, slots=True)
class Operation(Generic[Ports]):
    name: str
    checks: Checks[Ports]
    handle: Handler[Ports]


class Operations(dict[str, Operation[Ports]]):
    """The operations of one service by name; filled by the decorator beside each function."""

    def operation(self, name: str, checks: Checks[Ports]) -> Callable[[Handler[Ports]], Handler[Ports]]:
        def register(handle: Handler[Ports]) -> Handler[Ports]:
            if name in self:
                raise ValueError(f"operation {name} is declared twice")
            self[name] = Operation(name, checks, handle)
            return handle

        return register


def bound(operations: Mapping[str, Operation[Ports]], ports: Ports) -> dict[str, Operation[None]]:
    """The operations with their ports filled in, so that one service can be made of several rooms' operations."""

    def fill(operation: Operation[Ports]) -> Operation[None]:
        return Operation(
            operation.name,
            lambda call, rows, _: operation.checks(call, rows, ports),
            lambda authorized, call, _: operation.handle(authorized, call, ports),
        )

    return {name: fill(operation) for name, operation in operations.items()}


@dataclass(frozen=True, slots=True)
class Service(Generic[Ports]):
    """A service as the gateway sees it.

    authorize: evaluates every check of the operation against policies as of `rows`; raises AccessError.
    errors: code -> (HTTP status, default message).
    """

    name: str
    ports: Ports
    operations: Mapping[str, Operation[Ports]]
    authorize: Callable[[Rows, Call, Ports], Authorized]
    errors: Mapping[str, tuple[int, str]]
