"""Places: what each sealed thing is bound to, as associated data.

What lives here: the associated data of streams, records and wrapped data keys. What does not: the encoding (encoding),
and the places of records that one room alone knows (that room builds them with `canonical` and a label of its own).

Laws: each kind of thing has a label with a format version, so that nothing opens as something else; ids are 16 random
bytes and never used again; what is bound here is the whole promise against moving bytes about. The encoding is part of
the stored format and never changes.

Source: spec/object-format.md, Places.
"""

from __future__ import annotations

from typing import Final

from s3al.crypto.encoding import canonical

ID_BYTES = 16

LAYER_SINGLE: Final = 0
LAYER_INNER: Final = 1  # of DSSE: nearer to the plaintext
LAYER_OUTER: Final = 2  # of DSSE: what lies on the disk

_STREAM = b"s3al stream v1"
_PUBLIC_RECORD = b"s3al public record v1"
_PRIVATE_RECORD = b"s3al private record v1"
_WRAPPED_KEY = b"s3al wrapped data key v1"


def stream_associated_data(
    store_id: bytes, bucket_id: bytes, object_id: bytes, stream_id: bytes, *, layer: int = LAYER_SINGLE
) -> bytes:
    """Binds one sealed stream to its object and attempt. layer: 0 alone; DSSE 1 inner, 2 outer."""
    if layer not in (LAYER_SINGLE, LAYER_INNER, LAYER_OUTER):
        raise ValueError("layers are 0, 1 and 2")
    _check_ids(store_id, bucket_id, object_id, stream_id)
    return canonical(_STREAM, bytes((layer,)), store_id, bucket_id, object_id, stream_id)


def public_record_associated_data(
    store_id: bytes, bucket_id: bytes, object_key: bytes, version_id: str, object_id: bytes
) -> bytes:
    """Binds a public record to the version it describes. object_key: UTF-8. version_id: "null" or opaque."""
    _check_ids(store_id, bucket_id, object_id)
    return canonical(_PUBLIC_RECORD, store_id, bucket_id, object_key, version_id.encode(), object_id)


def public_record_prefix(store_id: bytes, bucket_id: bytes) -> bytes:
    """What the associated data of all public records of a bucket begin with; `canonical` of the other three fields
    completes it."""
    _check_ids(store_id, bucket_id)
    return canonical(_PUBLIC_RECORD, store_id, bucket_id)


def private_record_associated_data(store_id: bytes, bucket_id: bytes, object_id: bytes, stream_id: bytes) -> bytes:
    """Binds a private record to its part attempt, or with b"" for the stream id to the whole object."""
    _check_ids(store_id, bucket_id, object_id)
    if stream_id:
        _check_ids(stream_id)
    return canonical(_PRIVATE_RECORD, store_id, bucket_id, object_id, stream_id)


def wrapped_key_associated_data(store_id: bytes, bucket_id: bytes, object_id: bytes) -> bytes:
    """Binds a wrapped data key to its object."""
    _check_ids(store_id, bucket_id, object_id)
    return canonical(_WRAPPED_KEY, store_id, bucket_id, object_id)


def _check_ids(*identifiers: bytes) -> None:
    for identifier in identifiers:
        if len(identifier) != ID_BYTES:
            raise ValueError("identifiers are 16 bytes")
