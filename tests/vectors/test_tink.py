"""Streams cross between s3al and PyPI `tink` in both directions, at every boundary size."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3al.crypto.context import LAYER_INNER, LAYER_OUTER, stream_associated_data
from s3al.crypto.keys import stream_key
from s3al.crypto.stream import DEFAULT_SEGMENT_BYTES, StreamOpener, StreamSealer, plaintext_bytes, sealed_bytes
from vectors import independent
from vectors.fixed import fixed, plain

KEY, PLACE = fixed("tink key"), fixed("tink place", 100)
RANDOM = fixed("tink random", 39)


def sealed_by_s3al(plaintext: bytes, segment_bytes: int) -> bytes:
    sealer = StreamSealer(KEY, PLACE, random=RANDOM, segment_bytes=segment_bytes)
    return sealer.update(plaintext) + sealer.finalize()


def opened_by_s3al(sealed: bytes, segment_bytes: int) -> bytes:
    opener = StreamOpener(KEY, PLACE, segment_bytes=segment_bytes)
    return opener.update(sealed) + opener.finalize()


def sizes_at_boundaries(segment_bytes: int) -> list[int]:
    first, further = segment_bytes - 56, segment_bytes - 16
    ends = [first, first + further, first + 2 * further]
    return [0, 1, 15, 16, 17, 39, 40, 41] + [end + step for end in ends for step in (-17, -16, -1, 0, 1, 16, 17)]


@pytest.mark.parametrize("segment_bytes", [4096, DEFAULT_SEGMENT_BYTES, 5000])
def test_tink_opens_what_s3al_seals_at_every_boundary_size(segment_bytes: int) -> None:
    for size in sizes_at_boundaries(segment_bytes):
        plaintext = plain(size)
        sealed = sealed_by_s3al(plaintext, segment_bytes)
        assert independent.open_stream(KEY, sealed, PLACE, segment_bytes) == plaintext, size


@pytest.mark.parametrize("segment_bytes", [4096, DEFAULT_SEGMENT_BYTES, 5000])
def test_s3al_opens_what_tink_seals_at_every_boundary_size(segment_bytes: int) -> None:
    for size in sizes_at_boundaries(segment_bytes):
        plaintext = plain(size)
        sealed = independent.seal_stream(KEY, plaintext, PLACE, segment_bytes)
        assert len(sealed) == sealed_bytes(size, segment_bytes), size
        assert plaintext_bytes(len(sealed), segment_bytes) == size
        assert opened_by_s3al(sealed, segment_bytes) == plaintext, size


@settings(max_examples=40, deadline=None)
@given(size=st.integers(0, 40_000), segment_bytes=st.integers(4096, 9000))
def test_tink_and_s3al_agree_on_any_size(size: int, segment_bytes: int) -> None:
    plaintext = plain(size)
    sealed = sealed_by_s3al(plaintext, segment_bytes)
    assert independent.open_stream(KEY, sealed, PLACE, segment_bytes) == plaintext
    assert opened_by_s3al(independent.seal_stream(KEY, plaintext, PLACE, segment_bytes), segment_bytes) == plaintext


def test_tink_refuses_another_place() -> None:
    with pytest.raises(independent.Refused):
        independent.open_stream(KEY, sealed_by_s3al(b"plaintext", 4096), PLACE + b"x", 4096)


def test_two_layers_open_with_tink_from_the_outside_in() -> None:
    """DSSE-KMS: the inner stream is the outer one's plaintext; neither key nor place opens the other's layer."""
    ids = [fixed(name, 16) for name in ("store", "bucket", "object", "stream")]
    places = [stream_associated_data(*ids, layer=layer) for layer in (LAYER_INNER, LAYER_OUTER)]
    keys = [stream_key(fixed(name), ids[3]) for name in ("inner data key", "outer data key")]
    plaintext = plain(10_000)
    sealed = plaintext
    for key, place, random in zip(keys, places, (RANDOM, RANDOM[::-1]), strict=True):
        sealer = StreamSealer(key, place, random=random, segment_bytes=4096)
        sealed = sealer.update(sealed) + sealer.finalize()
    assert len(sealed) == sealed_bytes(sealed_bytes(10_000, 4096), 4096)
    inner = independent.open_stream(keys[1], sealed, places[1], 4096)
    assert independent.open_stream(keys[0], inner, places[0], 4096) == plaintext
    for layer, key, place in ((sealed, keys[0], places[0]), (sealed, keys[1], places[0]), (inner, keys[0], places[1])):
        with pytest.raises(independent.Refused):
            independent.open_stream(key, layer, place, 4096)
