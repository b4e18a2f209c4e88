"""What others named is shown as one harmless line."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.explain.shown import markup, shown


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("reports/2026 März.pdf", "reports/2026 März.pdf"),
        ("a\x1b[31mred\n", "a\\x1b[31mred\\x0a"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("a\u200bb\u2066c\u2069", "a\\u200bb\\u2066c\\u2069"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("back\\slash", "back\\\\slash"),
        ("no\u00a0break", "no\\xa0break"),
        ("\udc80", "\\udc80"),
    ],
)
def test_unseen_characters_are_written_out(written, seen):
    assert shown(written) == seen


@given(st.text())
def test_nothing_unseen_is_left_and_no_two_texts_look_alike(text):
    seen = shown(text)
    assert all(unicodedata.category(one)[0] not in "CZ" or one == " " for one in seen)
    assert seen.encode().decode("unicode_escape" if seen.isascii() else "utf-8") == text or not seen.isascii()


@given(st.text(max_size=80), st.integers(min_value=4, max_value=40))
def test_a_cut_keeps_its_length_and_both_ends(text, most):
    cut = shown(text, most=most)
    assert len(cut) <= most
    if len(shown(text)) > most:
        assert cut[0] == shown(text)[0]
        assert cut[-1] == shown(text)[-1]


def test_markup_cannot_end_its_element_or_its_attribute():
    assert markup('</text><script>alert(\'"&")') == ("&lt;/text&gt;&lt;script&gt;alert(&#x27;&quot;&amp;&quot;)")
