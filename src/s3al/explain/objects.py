"""One object version explained: found for somebody who may read it, and put together.

What lives here: who may ask, and the whole document. What does not: its parts (envelopes, thieves, readers, cautions).

Laws: whoever may not read the version by GetObject is answered as if it were not there, and so is a delete marker, a
bucket of another account and a bucket that does not exist: one error with one message.
"""

from __future__ import annotations

from dataclasses import dataclass

from s3al.errors import RequestError
from s3al.explain import readers
from s3al.explain.cautions import caution
from s3al.explain.envelopes import Opened, describe, open_version, salt_of
from s3al.explain.keys import rotates_never, state_cautions
from s3al.explain.thieves import ObjectNeeds, needs_of, outcomes
from s3al.explain.visible import Visible, absent
from s3al.s3 import sse
from s3al.s3.objects import Located, find_row, located
from s3al.s3.own import shows_md5
from s3al.service.operation import Params
from s3al.service.own import text
from s3al.store.catalog import StreamRow
from s3al.store.keystore import KeyRow


@dataclass(frozen=True, slots=True)
class Explained:
    """first: the object's first stream, whose header the document does not tell yet; None if it has no row."""

    document: Params
    first: StreamRow | None

    def with_header(self, header: bytes | None) -> Params:
        """header: the first bytes of the first stream; None if they could not be read."""
        if header is None:
            self.document["cautions"].insert(0, caution("damaged"))
        else:
            self.document["streams"]["salt"] = salt_of(header)
        return self.document


def find(visible: Visible) -> Located:
    """The version that the request names. Raises NoSuchKey for whatever the caller may not read."""
    call, s3 = visible.call, visible.ports.s3
    bucket, object_key = text(call.params, "bucket"), text(call.params, "key")
    version_id = call.params.get("version_id")
    if version_id is not None and not isinstance(version_id, str):
        raise RequestError("ValidationError", "The member version_id must be a text.")
    if not visible.may_s3("GetObject", Bucket=bucket, Key=object_key, VersionId=version_id):
        raise absent()
    state = s3.buckets.get(visible.rows, bucket)
    if state.row.account_id != call.principal.account_id:
        raise absent()
    row = find_row(visible.rows, state, object_key, version_id)
    if row is None or row.is_delete_marker:
        raise absent()
    return located(visible.rows, s3, state, row, with_streams=False)


def explain_object(visible: Visible) -> Explained:
    """All but what the bytes themselves say."""
    opened = open_version(visible, find(visible))
    document = describe(opened)
    needs = _needs(opened)
    says = readers.says_of(visible, opened, needs)
    taken = outcomes(needs, opened.seals, over_tls=visible.call.secure)
    if says is not None:
        taken += readers.administrators(says, needs)
    document["thieves"] = [one.document() for one in taken]
    document["readers"] = None if says is None else readers.document(says)
    document["cautions"] = _cautions(opened)
    document["withheld"] = visible.withheld
    document |= {"asked_at_ms": visible.call.now_ms, "over_tls": visible.call.secure}
    return Explained(document, opened.first)


_MODE_SECRETS = {sse.SSE_S3: (), sse.SSE_KMS: ("kms",), sse.DSSE_KMS: ("kms",), sse.SSE_C: ("customer",)}


def _needs(opened: Opened) -> ObjectNeeds:
    in_row = opened.first is not None and opened.first.sealed_body is not None
    return needs_of(_MODE_SECRETS[opened.envelope.mode], in_row=in_row, client_secret=_client_secret(opened))


def _client_secret(opened: Opened) -> str | None:
    """Which secret opens the client's layer: one of this store only if its KMS made the wrapped data key."""
    if opened.client is None:
        return None
    return "client-kms" if opened.client_kms_key is not None else "client"


def _cautions(opened: Opened) -> list[Params]:
    found = []
    record, envelope = opened.found.record, opened.envelope
    if shows_md5(record):
        found.append(caution("etag-is-md5", etag=record.etag))
    if (envelope.intermediate and not envelope.bucket_key_enabled) or shows_md5(record):
        found.append(caution("data-key-kept"))
    if envelope.mode == sse.SSE_C:
        found.append(caution("customer-key"))
    found += _key_cautions(opened)
    if envelope.mode == sse.DSSE_KMS:
        found.append(caution("one-root"))
    if opened.client is not None:
        found += _client_cautions(opened)
    return found + _seal_cautions(opened)


def _key_cautions(opened: Opened) -> list[Params]:
    """Of the KMS key of the server's layer, then of the client's."""
    account, found = opened.visible.call.principal.account_id, []
    if opened.envelope.kms_key_arn and opened.kms_key is None:
        found.append(caution("key-gone"))
    layers = (("kms-material", opened.kms_key), ("client-kms-material", opened.client_kms_key))
    nodes = {node["id"]: node for node in opened.keys}
    for node_id, key in layers:
        if key is not None and key.account_id != account:
            found.append(caution("foreign-key", account=key.account_id))
        elif key is not None and nodes[node_id]["known"]:
            found += _own_key_cautions(key, nodes[node_id], opened.visible.call.now_ms)
    return [one for number, one in enumerate(found) if one not in found[:number]]


def _own_key_cautions(key: KeyRow, node: Params, now_ms: int) -> list[Params]:
    found = state_cautions(key, now_ms)
    if node["made_at_ms"] is None:
        found.append(caution("material-gone"))
    if rotates_never(key):
        found.append(caution("no-rotation"))
    if not node["is_current"]:
        found.append(caution("older-material", sequence=node["sequence"], newest_sequence=node["newest_sequence"]))
    return found


def _client_cautions(opened: Opened) -> list[Params]:
    client = opened.client
    assert client is not None
    found = [caution("client-claims")]
    if opened.client_kms_key is not None:
        found.append(caution("client-key-here"))
    if not client.authenticated:
        found.append(caution("client-unauthenticated"))
    elif not client.commits:
        found.append(caution("client-uncommitted"))
    return found


def _seal_cautions(opened: Opened) -> list[Params]:
    found = [caution("seal-beside-data")] if any(seal.beside_data for seal in opened.seals) else []
    if len(opened.seals) == 1:
        found.append(caution("one-seal", seal=opened.seals[0].name))
    return found
