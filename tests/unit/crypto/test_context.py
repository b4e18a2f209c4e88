"""Places: every id matters, and no place of one kind is a place of another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from s3al.crypto.context import (
    private_record_associated_data,
    public_record_associated_data,
    public_record_prefix,
    stream_associated_data,
    wrapped_key_associated_data,
)
from s3al.crypto.encoding import canonical

A, B, C, D = (bytes([n]) * 16 for n in range(4))
X = b"x" * 16

PLACES: dict[str, tuple[Callable[..., bytes], tuple[object, ...], tuple[object, ...]]] = {
    "stream": (stream_associated_data, (A, B, C, D), (X, X, X, X)),
    "public record": (public_record_associated_data, (A, B, b"key", "version", C), (X, X, b"ke", "yversion", X)),
    "private record of a part": (private_record_associated_data, (A, B, C, D), (X, X, X, b"")),
    "private record of an object": (private_record_associated_data, (A, B, C, b""), (X, X, X, D)),
    "wrapped key": (wrapped_key_associated_data, (A, B, C), (X, X, X)),
}


@pytest.mark.parametrize("name", PLACES)
def test_every_argument_is_bound(name: str) -> None:
    build, arguments, others = PLACES[name]
    places = {build(*arguments)}
    for position, other in enumerate(others):
        places.add(build(*arguments[:position], other, *arguments[position + 1 :]))
    assert len(places) == len(arguments) + 1


def test_kinds_and_layers_never_meet() -> None:
    places = [build(*arguments) for build, arguments, _ in PLACES.values()]
    places += [stream_associated_data(A, B, C, D, layer=layer) for layer in (1, 2)]
    assert len(set(places)) == len(places)


def test_bytes_do_not_run_from_object_key_into_version_id() -> None:
    one = public_record_associated_data(A, B, b"a/b", "null", C)
    assert one != public_record_associated_data(A, B, b"a/", "bnull", C)


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("wrong", [b"", b"\x00" * 15, b"\x00" * 17])
def test_ids_of_another_length_are_refused(name: str, wrong: bytes) -> None:
    build, arguments, _ = PLACES[name]
    for position, argument in enumerate(arguments):
        if argument in (A, B, C, D) and not (name.startswith("private") and position == 3 and wrong == b""):
            with pytest.raises(ValueError, match="16 bytes"):
                build(*arguments[:position], wrong, *arguments[position + 1 :])


@pytest.mark.parametrize("layer", [-1, 3, 256])
def test_there_are_three_layers(layer: int) -> None:
    with pytest.raises(ValueError, match="layers"):
        stream_associated_data(A, B, C, D, layer=layer)


def test_prefix_of_a_bucket_begins_every_public_record_of_it() -> None:
    store, bucket, place = b"s" * 16, b"b" * 16, (b"key", b"version", b"o" * 16)
    whole = public_record_associated_data(store, bucket, b"key", "version", b"o" * 16)
    assert public_record_prefix(store, bucket) + canonical(*place) == whole
    with pytest.raises(ValueError):
        public_record_prefix(store, b"short")
