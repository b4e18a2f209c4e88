"""Globs and ARN patterns against a plain oracle, and their cost."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3al.auth.policy_patterns import Patterns, can_match, can_match_prefix
from s3al.auth.variables import Context, read_tokens

SMALL = st.text(alphabet="ab*?:/", max_size=12)


def tokens(pattern: str):
    return read_tokens(pattern, wildcards=True, variables=True)


def matches(pattern: str, text: str, *, arns: bool = False) -> bool:
    return Patterns([tokens(pattern)], arns=arns).match(text)


def oracle(pattern: str, text: str) -> bool:
    """The textbook definition, by dynamic programming."""
    row = [True] + [False] * len(text)
    for wanted in pattern:
        after = [row[0] and wanted == "*"]
        for index, character in enumerate(text):
            if wanted == "*":
                after.append(after[index] or row[index + 1])
            else:
                after.append(row[index] and wanted in {"?", character})
        row = after
    return row[-1]


@settings(deadline=None)
@given(SMALL, st.text(alphabet="ab:/", max_size=12))
def test_a_glob_matches_what_its_definition_says(pattern, text):
    assert matches(pattern, text) is oracle(pattern, text)


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab*?", max_size=4), min_size=6, max_size=8), st.text(alphabet="ab:", max_size=16))
def test_an_arn_pattern_is_six_globs_of_which_the_last_holds_the_rest(parts, text):
    pattern = ":".join(parts)
    wanted, found = pattern.split(":", 5), text.split(":", 5)
    expected = len(found) == 6 and all(oracle(one, other) for one, other in zip(wanted, found, strict=True))
    assert matches(pattern, text, arns=True) is expected


@settings(deadline=None)
@given(st.lists(SMALL, max_size=4), st.text(alphabet="ab:/", max_size=12))
def test_a_set_of_patterns_matches_if_one_does(patterns, text):
    compiled = Patterns([tokens(pattern) for pattern in patterns])
    assert compiled.match(text) is any(oracle(pattern, text) for pattern in patterns)


@settings(deadline=None)
@given(SMALL, st.text(alphabet="ab:/", max_size=8), st.text(alphabet="ab:/", max_size=8))
def test_can_match_prefix_holds_wherever_an_extension_matches(pattern, prefix, rest):
    if oracle(pattern, prefix + rest):
        assert can_match_prefix(tokens(pattern), prefix)
    assert can_match(tokens(pattern), prefix) is oracle(pattern, prefix)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("ab*ba", "aba", False),
        ("ab*ba", "abba", True),
        ("*ab*ab*", "ab", False),
        ("*ab*ab*", "abab", True),
        ("*aa*aa*", "aaa", False),
        ("a*a", "a", False),
        ("*a", "ba", True),
        ("**a**", "a", True),
        ("?*?", "a", False),
        ("?*?", "ab", True),
        ("*?a*?a*", "aaa", False),
        ("*?a*?a*", "aaaa", True),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_runs_of_a_glob_do_not_overlap(pattern, text, expected):
    assert matches(pattern, text) is expected is oracle(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "prefix", "expected"),
    [
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/", True),
        ("arn:aws:s3:::bucket", "arn:aws:s3:::bucket/", False),
        ("arn:aws:s3:::*", "arn:aws:s3:::bucket/", True),
        ("arn:aws:s3:::buck*", "arn:aws:s3:::bucket/", True),
        ("arn:aws:s3:::bucket2/*", "arn:aws:s3:::bucket/", False),
        ("arn:aws:s3:::bucket/${aws:username}/*", "arn:aws:s3:::bucket/", True),
        ("arn:aws:s3:::${aws:username}/*", "arn:aws:s3:::bucket/", True),
    ],
)
def test_can_match_prefix_knows_what_lies_in_a_bucket(pattern, prefix, expected):
    assert can_match_prefix(tokens(pattern), prefix) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/", True),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b", False),
        ("arn:aws:s3:::b/*/test/*", "arn:aws:s3:::b/1/2/test/3/object.jpg", True),
        ("arn:aws:s3:::b/*/test/*", "arn:aws:s3:::b//test/object.jpg", True),
        ("arn:aws:s3:::b/*/test/*", "arn:aws:s3:::b/1-test/object.jpg", False),
        ("arn:aws:s3:::b/*/test/*", "arn:aws:s3:::b/test/object.jpg", False),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/line\nbreak\u2028and more", True),
        ("arn:aws:s3:::b/a?c", "arn:aws:s3:::b/a\nc", True),
        ("arn:aws:s3:::b/[ab].*", "arn:aws:s3:::b/[ab].x", True),
        ("arn:aws:s3:::b/[ab]*", "arn:aws:s3:::b/a", False),
        ("arn:aws:s3:*", "arn:aws:s3:::b/k", True),
        ("arn:aws:s3:::B/*", "arn:aws:s3:::b/k", False),
        ("*", "anything at all", True),
    ],
)
def test_resource_patterns_of_the_guide(pattern, text, expected):
    assert matches(pattern, text, arns=True) is expected


def test_a_variable_inserts_text_without_wildcards_and_without_moving_segments():
    patterns = Patterns([tokens("arn:aws:s3:::b/${aws:username}/*")], arns=True)
    assert patterns.match("arn:aws:s3:::b/bob/x", Context({"aws:username": "bob"}))
    assert not patterns.match("arn:aws:s3:::b/bob/x", Context({"aws:username": "*"}))
    assert patterns.match("arn:aws:s3:::b/*/x", Context({"aws:username": "*"}))
    assert patterns.match("arn:aws:s3:::b/a:b/x", Context({"aws:username": "a:b"}))
    assert not patterns.match("arn:aws:s3:::b//x", Context({}))
    assert not patterns.match("arn:aws:s3:::b/bob/x")


@pytest.mark.parametrize("arns", [False, True])
def test_no_pattern_makes_a_long_key_expensive(arns):
    pattern = "arn:aws:s3:::b/" + "*a" * 500 + "b"
    text = "arn:aws:s3:::b/" + "a" * 1024
    began = time.perf_counter()
    assert not matches(pattern, text, arns=arns)
    assert not Patterns([tokens("*:" * 5 + "*a" * 500 + "${aws:x}b")], arns=arns).match(text, Context({"aws:x": "*"}))
    assert time.perf_counter() - began < 1
