"""Our own API for what encrypts what: ExplainObject, ExplainKey, ExplainTopic.

What lives here: the operations, with what they need. What does not: what they answer (envelopes, keys, examples), what
a caller may know beyond being let ask (visible).

Laws: nothing is changed. To ask takes the action (s3al:Explain...), about what is of the caller's own account; what is
told takes besides what S3, the KMS and our own API ask for it. An object, version or key that may not be known is
answered as one that is not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from s3al.auth.authorized import Authorized
from s3al.crypto.stream import HEADER_BYTES
from s3al.errors import IntegrityError, RequestError
from s3al.explain import objects
from s3al.explain.answers import check_on
from s3al.explain.examples import explain_topic
from s3al.explain.keys import explain_key, named_key
from s3al.explain.ports import OPERATIONS, Explaining
from s3al.explain.topics import TOPICS
from s3al.explain.visible import Visible
from s3al.s3.access import object_arn
from s3al.service.operation import Call, Check, Params, Reply
from s3al.service.own import text
from s3al.store import catalog
from s3al.store.catalog import StreamRow
from s3al.store.database import Rows


def _on_object(call: Call, rows: Rows, ports: Explaining) -> Iterable[Check]:
    """A bucket of the caller's account is its business; of another's, and of none, the operator's."""
    bucket, object_key = text(call.params, "bucket"), text(call.params, "key")
    owned = catalog.find_bucket(rows, bucket)
    own = owned is not None and owned.account_id == call.principal.account_id
    return (check_on(call, object_arn(bucket, object_key), call.principal.account_id if own else None),)


def _on_key(call: Call, rows: Rows, ports: Explaining) -> Iterable[Check]:
    key = named_key(rows, call, text(call.params, "key"))
    return (check_on(call, key.arn if key else "*", key.account_id if key else None),)


def _on_words(call: Call, rows: Rows, ports: Explaining) -> Iterable[Check]:
    """The example is of the caller's own account."""
    return (check_on(call, "*", call.principal.account_id),)


@OPERATIONS.operation("ExplainObject", checks=_on_object)
async def explain_object(authorized: Authorized, call: Call, ports: Explaining) -> Reply:
    """Parameters: bucket, key, version_id. Answers: docs/schemas/explain-object.json."""

    def look(rows: Rows) -> objects.Explained:
        return objects.explain_object(Visible(rows, call, ports))

    found = await call.read(ports.db, authorized, look)
    header = await _header(ports, found.first)
    if header is None:  # perhaps because the object was replaced meanwhile, and its blob removed
        found = await call.read(ports.db, authorized, look)
        header = await _header(ports, found.first)
    return Reply(found.with_header(header))


async def _header(ports: Explaining, stream: StreamRow | None) -> bytes | None:
    """The first bytes of a stream; None if they are not there."""
    if stream is None:
        return None
    if stream.sealed_body is not None:
        return stream.sealed_body[:HEADER_BYTES]
    name = stream.blob_name or ""

    def first_bytes() -> bytes | None:
        try:
            with ports.s3.blobs.open(name) as blob:
                return blob.read(0, HEADER_BYTES)
        except IntegrityError:
            return None

    return await asyncio.get_running_loop().run_in_executor(ports.s3.executor, first_bytes)


@OPERATIONS.operation("ExplainKey", checks=_on_key)
async def explain_kms_key(authorized: Authorized, call: Call, ports: Explaining) -> Reply:
    """Parameters: key (id, ARN or alias), marker. Answers: docs/schemas/explain-key.json; next, to be given as marker,
    if there are more object versions to count."""
    identifier, marker = text(call.params, "key"), call.params.get("marker")

    def reader(rows: Rows) -> Reply:
        return Reply(explain_key(Visible(rows, call, ports), identifier, marker))

    return await call.read(ports.db, authorized, reader)


@OPERATIONS.operation("ExplainTopic", checks=_on_words)
async def explain_a_topic(authorized: Authorized, call: Call, ports: Explaining) -> Reply:
    """Parameters: topic; without one, the topics with their questions. Answers: docs/schemas/explain-topic.json."""
    if call.params.get("topic") is None:
        listed: Params = {"topics": {topic.topic: topic.question for topic in TOPICS.values()}}
        return Reply(listed)
    topic = TOPICS.get(text(call.params, "topic"))
    if topic is None:
        raise RequestError("NoSuchEntity", "There is no such topic. ExplainTopic without one lists them.")
    return Reply(await call.read(ports.db, authorized, lambda rows: explain_topic(Visible(rows, call, ports), topic)))
