"""Reading policy text into tokens."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3al.auth.variables import Context, Variable, Wildcard, expand, read_tokens

MANY, ONE = Wildcard.MANY, Wildcard.ONE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("a*b?", ("a", MANY, "b", ONE)),
        ("${aws:username}", (Variable("aws:username"),)),
        ("x/${aws:PrincipalTag/a b}/*", ("x/", Variable("aws:PrincipalTag/a b"), "/", MANY)),
        ("${aws:PrincipalTag/team, 'company wide'}", (Variable("aws:PrincipalTag/team", "company wide"),)),
        ("${aws:PrincipalTag/team,''}", (Variable("aws:PrincipalTag/team", ""),)),
        ("${*}${?}${$}{x}", ("*?${x}",)),
        ("a$b{c}", ("a$b{c}",)),
        ("${graph.facebook.com:id}", (Variable("graph.facebook.com:id"),)),
    ],
)
def test_text_is_read_into_literals_wildcards_and_variables(text, expected):
    assert read_tokens(text, wildcards=True, variables=True) == expected


@pytest.mark.parametrize(
    "text", ["${", "${aws:username", "${}", "${username}", "${aws:a, b}", "${aws:a, 'b}", "${${*}}", "${aws:*}"]
)
def test_malformed_variables_are_refused(text):
    with pytest.raises(ValueError):
        read_tokens(text, wildcards=True, variables=True)


@settings(deadline=None)
@given(st.text())
def test_text_without_wildcards_and_variables_is_itself(text):
    assert "".join(map(str, read_tokens(text, wildcards=False, variables=False))) == text


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_or_refused_with_value_error(text):
    try:
        tokens = read_tokens(text, wildcards=True, variables=True)
    except ValueError:
        assert "${" in text
    else:
        assert expand(tokens, Context({})) is not None or any(isinstance(token, Variable) for token in tokens)


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"aws:a": "v"}, ("<v>",)),
        ({"AWS:A": "v"}, ("<v>",)),
        ({"aws:a": ["v"]}, ("<v>",)),
        ({"aws:a": ["v", "w"]}, None),
        ({"aws:a": ""}, None),
        ({"aws:a": []}, None),
        ({}, None),
    ],
)
def test_a_variable_needs_exactly_one_value_that_is_not_empty(context, expected):
    found = expand(read_tokens("<${aws:a}>", wildcards=True, variables=True), Context(context))
    assert found is None if expected is None else "".join(map(str, found or ())) == expected[0]


def test_the_default_serves_where_the_key_has_no_value():
    tokens = read_tokens("${aws:a, 'd'}", wildcards=True, variables=True)
    assert expand(tokens, Context({})) == ("d",)
    assert expand(tokens, Context({"aws:a": ""})) == ("d",)
    assert expand(tokens, Context({"aws:a": "v"})) == ("v",)


def test_keys_that_differ_only_in_case_are_both_values_for_a_third_spelling():
    context = Context({"aws:PrincipalTag/Team": "a", "aws:PrincipalTag/TEAM": ["b", "c"]})
    assert context.values("aws:principaltag/team") == ("a", "b", "c")
    assert context.values("aws:PrincipalTag/Team") == ("a",)
    assert context.values("aws:PrincipalTag/other") == ()
