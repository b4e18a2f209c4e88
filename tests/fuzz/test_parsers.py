"""Arbitrary and mutilated bytes into every parser: only errors that are answered come out, and soon."""

# ruff: noqa: E501  (inputs are written as they are)
from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .targets import TARGETS, TIMES

_SOON_MS = 1000  # far above what any takes, so that a busy machine fails nothing


@st.composite
def mutilated(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """A seed with some pieces replaced, repeated or left out."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.integers(at, min(len(data), at + 12)))
        piece = draw(
            st.one_of(
                st.binary(max_size=6),
                st.sampled_from(_DICTIONARY),
                st.just(bytes(data[at:end]) * 3),
            )
        )
        data[at:end] = piece
    return bytes(data)


_DICTIONARY = [
    b"", b"%", b"%ff", b"\\ud800", b"\xff", b"\0", b"-1", b"1e400", b"99999999999999999999", b"NaN", b"null", b"[]", b"{}",
    b'"', b"&#0;", b"<![CDATA[", b"\r\n", b"\n", b";", b"=", b":", b"/", b"../", b"\xc3\xa9", b"\xed\xa0\x80", b"T25:61:61Z",
    b"0001-01-01T00:00:00Z", b"9999-12-31T23:59:59.999999999Z", "\u0663".encode(), "\u00b2".encode(), b"\xb2", b"*", b"${",
]  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
def test_only_errors_that_are_answered_come_out_of(name: str) -> None:
    target = TARGETS[name]
    inputs = st.binary(max_size=200)
    if target.seeds:
        inputs = st.one_of(mutilated(target.seeds), mutilated(target.seeds), inputs)

    with suppress(*target.expected):
        target.run(b"")  # whatever is made once is made now

    @settings(max_examples=80 * TIMES, deadline=_SOON_MS, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(inputs)
    def run(data: bytes) -> None:
        with suppress(*target.expected):
            target.run(data)

    for seed in target.seeds:
        with suppress(*target.expected):
            target.run(seed)
    run()
