"""The envelope of one object version, from its bytes to the seal, as a document.

What lives here: which layers and keys an object has, where they lie, and what each is opened by. What does not: who may
use them (readers), what a thief makes of them (thieves), words and pictures for people (words, pictures).

Laws: everything is read from the object's own record, its rows and the store's document; nothing is decrypted but the
public record, and no key is opened; ids of materials are hex, times UTC ms, sizes bytes. `opened_by` names nodes of
`keys` by id; the chain ends at the seals, or outside this store.

Source: spec/object-format.md; spec/key-hierarchy.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from s3al.crypto.keys import parse_kms_blob
from s3al.crypto.stream import HEADER_BYTES, SALT_BYTES, TAG_BYTES, sealed_bytes
from s3al.explain import hierarchy
from s3al.explain.client_side import INSTRUCTION_SUFFIX, ClientSide, recognise
from s3al.explain.thieves import Seal
from s3al.explain.visible import Visible
from s3al.kms.access import Context, encryption_context
from s3al.kms.identifiers import existing_key
from s3al.kms.store_document import StoreDocument
from s3al.s3 import sse
from s3al.s3.names import object_key_bytes
from s3al.s3.objects import Located, open_manifest
from s3al.s3.records import Envelope, Stream
from s3al.service.operation import Params
from s3al.store import catalog
from s3al.store.catalog import StreamRow
from s3al.store.keystore import KeyRow

MODE_NAMES: Final = {
    sse.SSE_S3: "SSE-S3",
    sse.SSE_KMS: "SSE-KMS",
    sse.DSSE_KMS: "DSSE-KMS",
    sse.SSE_C: "SSE-C",
}
_SHOWN_STREAMS: Final = 10
_STREAM_CIPHER: Final = "AES-256-GCM in segments, key by HKDF-SHA256 (Tink streaming AEAD)"


@dataclass(slots=True)
class Opened:
    """One object version with all that its document is made of."""

    visible: Visible
    found: Located
    streams: Sequence[Stream]
    first: StreamRow | None
    client: ClientSide | None
    kms_key: KeyRow | None  # of the server-side envelope, if this server has it
    client_kms_key: KeyRow | None  # that which the client's data key is wrapped under, likewise
    seals: list[Seal] = field(default_factory=list)
    keys: list[Params] = field(default_factory=list)

    @property
    def envelope(self) -> Envelope:
        return self.found.record.envelope

    @property
    def object_key(self) -> str:
        return self.found.row.object_key.decode("utf-8", "replace")

    @property
    def key_uses(self) -> list[KeyUse]:
        """Each KMS key of this server that a reader must be allowed to use: by S3 for him, and by his own client."""
        uses = []
        if self.kms_key is not None:
            region = self.found.state.row.region
            through: Context = {"kms:ViaService": f"s3.{region}.amazonaws.com", "aws:ViaAWSService": "true"}
            uses.append(KeyUse(self.kms_key, encryption_context(self.envelope.context) | through))
        if self.client is not None and self.client_kms_key is not None:
            uses.append(KeyUse(self.client_kms_key, encryption_context(self.client.context)))
        return uses


@dataclass(frozen=True, slots=True)
class KeyUse:
    """context: the condition keys of the KMS request."""

    key: KeyRow
    context: Context


def open_version(visible: Visible, found: Located) -> Opened:
    rows, row, record = visible.rows, found.row, found.record
    streams = streams_of(visible, found)
    first = catalog.find_stream(rows, row.object_id, streams[0].stream_id)
    client = recognise(record.metadata, has_instruction_file=_has_instruction_file(visible, found))
    opened = Opened(visible, found, streams, first, client, *_kms_keys(visible, record.envelope, client))
    document = hierarchy.document_of(visible.ports.store.read_document())
    if visible.may_know_seals():
        opened.seals = hierarchy.seals_of(document, visible.ports.store.seal_place())
    opened.keys = _Chain(opened, document).nodes()
    return opened


def streams_of(visible: Visible, found: Located) -> Sequence[Stream]:
    """In order; at least one, since even an object of nothing has a stream."""
    if found.record.stream:
        return [found.record.stream]
    return open_manifest(visible.rows, visible.ports.s3, found.row, found.record)


def _has_instruction_file(visible: Visible, found: Located) -> bool:
    name = found.row.object_key.decode() + INSTRUCTION_SUFFIX
    bucket = found.state.row
    key = object_key_bytes(name) if len(name.encode()) <= 1024 else None
    row = catalog.current_version(visible.rows, bucket.bucket_id, key) if key else None
    if row is None or row.is_delete_marker or not visible.may_s3("GetObject", Bucket=bucket.name, Key=name):
        return False
    metadata = visible.ports.s3.records.open_public(row.bucket_id, row.object_key, row).metadata
    return any(name.lower() == "x-amz-crypto-instr-file" for name in metadata)


def _kms_keys(visible: Visible, envelope: Envelope, client: ClientSide | None) -> tuple[KeyRow | None, KeyRow | None]:
    """(of the server-side envelope, of the client's), each if this server has it."""
    rows, call = visible.rows, visible.call
    arn = envelope.kms_key_arn
    mine = existing_key(rows, *_id_and_region(arn), call.now_ms) if arn else None
    if client is None or not client.kms_key_id:
        return mine, None
    theirs = existing_key(rows, client.kms_key_id, call.region, call.now_ms)
    own = theirs is not None and theirs.account_id == call.principal.account_id
    return mine, theirs if own else None


def _id_and_region(key_arn: str) -> tuple[str, str]:
    return key_arn.rpartition("/")[2], key_arn.split(":")[3]


class _Chain:
    """The keys of one object, each after what it opens."""

    def __init__(self, opened: Opened, document: StoreDocument) -> None:
        self._opened = opened
        self._document = document
        self._nodes: dict[str, Params] = {}

    def nodes(self) -> list[Params]:
        envelope = self._opened.envelope
        self._client()
        if envelope.mode == sse.SSE_S3:
            self._data_key("data-key", envelope.wrapped, envelope.commitment, self._service(envelope.material_id))
        elif envelope.mode == sse.SSE_C:
            self._data_key("data-key", envelope.wrapped, envelope.commitment, self._customer())
        else:
            self._data_key("data-key", envelope.wrapped, envelope.commitment, self._above_kms())
        if envelope.mode == sse.DSSE_KMS:
            above = self._service(envelope.material_id)
            self._data_key("outer-data-key", envelope.outer, envelope.outer_commitment, above)
        return sorted(self._nodes.values(), key=lambda node: _ORDER.index(node["kind"]))

    def _add(self, node_id: str, node: Params, opened_by: Sequence[str]) -> str:
        self._nodes.setdefault(node_id, {"id": node_id, **node, "opened_by": list(opened_by)})
        return node_id

    def _data_key(self, node_id: str, wrapped: bytes, committed: bytes, above: str) -> None:
        layers = sse.layers_of(self._opened.envelope.mode)
        node = {
            "kind": "data-key",
            "layer": 2 if node_id == "outer-data-key" else (1 if layers == 2 else 0),
            "bits": 256,
            "wrapped_bytes": len(wrapped),
            "commitment": committed.hex(),
            "lies": "wrapped, in the object's public record",
        }
        self._add(node_id, node, [above])

    def _above_kms(self) -> str:
        envelope = self._opened.envelope
        blob = envelope.intermediate or envelope.wrapped
        named = (envelope.kms_key_arn, self._opened.kms_key)
        material = self._kms_material("kms-material", named, parse_kms_blob(blob).material_id)
        if not envelope.intermediate:
            return material
        kind = "bucket-key" if envelope.bucket_key_enabled else "one-off-key"
        node = {
            "kind": kind,
            "bits": 256,
            "wrapped_bytes": len(blob),
            "shared_by": "objects of this bucket" if envelope.bucket_key_enabled else "this object alone",
            "lies": "as KMS ciphertext, in the object's public record",
        }
        return self._add(kind, node, [material])

    def _kms_material(self, node_id: str, named: tuple[str, KeyRow | None], material_id: bytes) -> str:
        visible, (key_arn, key) = self._opened.visible, named
        if key is None or key.account_id != visible.call.principal.account_id or not visible.may_describe(key.arn):
            return self._add(node_id, {"kind": "kms-material", "key_arn": key_arn, "known": False}, [])
        node = hierarchy.material_node(visible.rows, key, material_id, visible.call.now_ms) | {"known": True}
        return self._add(node_id, node, [self._root(node["root_version"])])

    def _service(self, material_id: bytes) -> str:
        node = hierarchy.service_node(self._opened.visible.rows, material_id)
        return self._add("service-material", node, [self._root(node["root_version"])])

    def _root(self, version: int | None) -> str:
        node = hierarchy.root_node(self._document, version)
        seals = [self._add(f"seal-{seal.name}", hierarchy.seal_node(seal), []) for seal in self._opened.seals]
        return self._add(f"root-{node['version']}", node, seals)

    def _customer(self) -> str:
        node = {
            "kind": "customer-key",
            "bits": 256,
            "salt": self._opened.envelope.salt.hex(),
            "lies": "nowhere here: it comes with each request and is forgotten after it",
        }
        return self._add("customer-key", node, [])

    def _client(self) -> None:
        client = self._opened.client
        if client is None:
            return
        key = self._opened.client_kms_key
        if key is not None:
            above = self._kms_material("client-kms-material", (key.arn, key), client.material_id)
        else:
            master = {"kind": "client-master-key", "master_key": client.master_key or "unknown", "lies": "not here"}
            above = self._add("client-master-key", master, [])
        node: Params = {
            "kind": "client-data-key",
            "wrapping": client.wrapping,
            "lies": f"wrapped, in the {client.key_place}",
            "commits": client.commits,
        }
        self._add("client-data-key", node, [above])


_ORDER: Final = (
    *("client-data-key", "client-master-key", "data-key", "bucket-key", "one-off-key", "customer-key"),
    *("kms-material", "service-material", "root", "seal"),
)


def salt_of(header: bytes) -> str:
    """Of a stream, from its first bytes."""
    return header[1 : 1 + SALT_BYTES].hex()


def describe(opened: Opened) -> Params:
    """The part of the document that concerns bytes and keys; the salt, which only the bytes tell, is left open."""
    found, record, row = opened.found, opened.found.record, opened.found.row
    return {
        "explains": "object",
        "bucket": found.state.row.name,
        "object_key": opened.object_key,
        "version_id": row.version_id,
        "is_current": bool(row.is_current),
        "size_bytes": record.size_bytes,
        "etag": record.etag,
        "last_modified_ms": row.last_modified,
        "mode": record.envelope.mode,
        "encrypted_by": _encrypted_by(opened),
        "client_side": None if opened.client is None else _client_side(opened.client),
        "streams": _streams(opened),
        "keys": opened.keys,
        "encryption_context": dict(record.envelope.context),
        "disk": _disk(opened),
    }


def _encrypted_by(opened: Opened) -> list[Params]:
    """From the inside out."""
    name = MODE_NAMES[opened.envelope.mode]
    where = "in the server, after the upload and before the disk"
    layers = [
        {"who": "server", "way": name, "layer": layer, "where": where, "algorithm": _STREAM_CIPHER}
        for layer in range(1, sse.layers_of(opened.envelope.mode) + 1)
    ]
    if opened.client is None:
        return layers
    client = opened.client
    before = {
        "who": "client",
        "way": f"client-side, {client.format}",
        "layer": 0,
        "where": "in the client, before the upload",
        "algorithm": client.content,
    }
    return [before, *layers]


def _client_side(client: ClientSide) -> Params:
    can = ["that the metadata names this format and these algorithms", "the size of the ciphertext"]
    can += ["the encryption context, which is not secret"] if client.context else []
    can += ["which KMS key of this store wrapped the data key"] if client.kms_key_id else []
    return {
        "format": client.format,
        "content": client.content,
        "wrapping": client.wrapping,
        "master_key": client.master_key,
        "key_place": client.key_place,
        "commits": client.commits,
        "authenticated": client.authenticated,
        "context": dict(client.context),
        "server_knows": can,
        "server_cannot_know": [
            "a byte of the content, or its checksums"
            + (", as long as its own KMS is not asked for the data key" if client.kms_key_id else ""),
            "whether what was uploaded is ciphertext at all",
            "who has the client's master key" if not client.kms_key_id else "what the client did with the data key",
        ],
    }


def _streams(opened: Opened) -> Params:
    layers = sse.layers_of(opened.envelope.mode)
    total, in_blobs = catalog.count_streams(opened.visible.rows, opened.found.row.object_id)
    shown = [_stream(opened, stream, layers) for stream in opened.streams[:_SHOWN_STREAMS]]
    # Of ten thousand parts almost all have one size.
    sizes = Counter((stream.size_bytes, stream.segment_bytes) for stream in opened.streams)
    return {
        "count": len(opened.streams),
        "in_rows": total - in_blobs,
        "in_blobs": in_blobs,
        "layers": layers,
        "segment_bytes": opened.streams[0].segment_bytes,
        "segments": sum(_segments(*lengths, layers) * count for lengths, count in sizes.items()),
        "plaintext_bytes": sum(lengths[0] * count for lengths, count in sizes.items()),
        "sealed_bytes": sum(_sealed(*lengths, layers) * count for lengths, count in sizes.items()),
        "salt": None,
        "shown": shown,
        "more": len(opened.streams) - len(shown),
    }


def _stream(opened: Opened, stream: Stream, layers: int) -> Params:
    row = catalog.find_stream(opened.visible.rows, opened.found.row.object_id, stream.stream_id)
    return {
        "stream_id": stream.stream_id.hex(),
        "part_number": stream.part_number or None,
        "plaintext_bytes": stream.size_bytes,
        "sealed_bytes": _sealed(stream.size_bytes, stream.segment_bytes, layers),
        "segments": _segments(stream.size_bytes, stream.segment_bytes, layers),
        "file": None if row is None or row.blob_name is None else _file(row.blob_name),
    }


def _file(blob_name: str) -> str:
    """Below the data folder."""
    incarnation, _, rest = blob_name.partition("/")
    return f"blobs/{incarnation}/{rest[:2]}/{rest}"


def _sealed(size_bytes: int, segment_bytes: int, layers: int) -> int:
    for _ in range(layers):
        size_bytes = sealed_bytes(size_bytes, segment_bytes)
    return size_bytes


def _segments(size_bytes: int, segment_bytes: int, layers: int) -> int:
    """Of the outermost layer."""
    inner = _sealed(size_bytes, segment_bytes, layers - 1)
    return (sealed_bytes(inner, segment_bytes) - HEADER_BYTES - inner) // TAG_BYTES


def _disk(opened: Opened) -> Params:
    row = opened.found.row
    files = [file for file in (_stream(opened, one, 1)["file"] for one in opened.streams[:_SHOWN_STREAMS]) if file]
    body = opened.first.sealed_body if opened.first else None
    sees = ["that the database exists and how large it is"]
    if files:
        sees += [
            "of each file its size, which tells the size of the object or part to the byte, and when it was written",
            "not whose it is: its name is random and no file says which object it belongs to",
        ]
    else:
        sees.append("of this object nothing: its bytes lie in a row of the encrypted database")
    return {
        "row_bytes": {
            "public_record": len(row.public_record),
            "private_record": len(row.private_record),
            "tags": len(row.tag_record or b""),
            "body": len(body) if body is not None else None,
        },
        "files": files,
        "onlooker_sees": sees,
    }
