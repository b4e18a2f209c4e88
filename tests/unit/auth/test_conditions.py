"""Every condition operator against the truth table of the IAM User Guide."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from s3al.auth.conditions import NULL, OPERATORS, Condition, read_network, read_operator
from s3al.auth.variables import Context

KEY = "aws:key"


def holds(
    operator: str, wanted: object, found: str | list[str] | None, *, variables: bool = True, **context: str
) -> bool:
    values = wanted if isinstance(wanted, list) else [wanted]
    condition = Condition(read_operator(operator), KEY, values, variables=variables)
    return condition.holds(Context(context | ({} if found is None else {KEY: found})))


# operator, the policy's values, the request's value, whether it matches. A negated row is the same table turned round.
POSITIVE = [
    ("StringEquals", "red", "red", True),
    ("StringEquals", "red", "Red", False),
    ("StringEquals", "re*", "red", False),
    ("StringEquals", "re*", "re*", True),
    ("StringEquals", ["red", "blue"], "blue", True),
    ("StringEquals", [], "red", False),
    ("StringEquals", "", "", True),
    ("StringEqualsIgnoreCase", "red", "RED", True),
    ("StringEqualsIgnoreCase", "red", "blue", False),
    ("StringEqualsIgnoreCase", "r?d", "red", False),
    ("StringLike", "re*", "red", True),
    ("StringLike", "re*", "re", True),
    ("StringLike", "r?d", "red", True),
    ("StringLike", "r?d", "reed", False),
    ("StringLike", "RE*", "red", False),
    ("StringLike", "*a*b*", "xxaxxbxx", True),
    ("StringLike", "*a*b", "bxa", False),
    ("StringLike", "a.c", "abc", False),
    ("StringLike", "a\nb*", "a\nbc", True),
    ("StringLike", "*", "", True),
    ("StringLike", "${*}x*", "*xy", True),
    ("StringLike", "${*}x*", "axy", False),
    ("NumericEquals", "10", "10", True),
    ("NumericEquals", "10", "10.0", True),
    ("NumericEquals", "10", "11", False),
    ("NumericEquals", "10", "ten", False),
    ("NumericLessThan", "10", "9", True),
    ("NumericLessThan", "10", "10", False),
    ("NumericLessThan", ["10", "20"], "15", True),
    ("NumericLessThanEquals", "10", "10", True),
    ("NumericLessThanEquals", "10", "10.1", False),
    ("NumericGreaterThan", "10", "100", True),
    ("NumericGreaterThan", "10", "9", False),
    ("NumericGreaterThan", "-1", "0", True),
    ("NumericGreaterThanEquals", "10", "10", True),
    ("NumericGreaterThanEquals", "10", "9.99", False),
    ("DateEquals", "2026-01-01T00:00:00Z", "2026-01-01", True),
    ("DateEquals", "2026-01-01T00:00:00Z", "1767225600", True),
    ("DateEquals", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", True),
    ("DateEquals", "2026-01-01T00:00:00Z", "2025-12-31T22:30:00-01:30", True),
    ("DateEquals", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z", False),
    ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", True),
    ("DateLessThan", "2026", "2026-01", False),
    ("DateLessThanEquals", "2026-01-01", "2026-01-01T00:00Z", True),
    ("DateGreaterThan", "2026-01-01", "2026-01-01T00:00:00.000000001Z", True),
    ("DateGreaterThan", "2026-01-01", "yesterday", False),
    ("DateGreaterThanEquals", "1767225600", "2026-01-01", True),
    ("Bool", "true", "true", True),
    ("Bool", "true", "True", True),
    ("Bool", "false", "true", False),
    ("Bool", "false", "no", False),
    ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", True),
    ("BinaryEquals", "QmluYXJ5", "QmluYXJ6", False),
    ("BinaryEquals", "QmluYXJ5", "not base64!", False),
    ("IpAddress", "203.0.113.0/24", "203.0.113.255", True),
    ("IpAddress", "203.0.113.0/24", "203.0.114.0", False),
    ("IpAddress", "203.0.113.7", "203.0.113.7", True),
    ("IpAddress", "203.0.113.7", "203.0.113.8", False),
    ("IpAddress", "203.0.113.7/24", "203.0.113.9", True),
    ("IpAddress", "2001:DB8:1234:5678::/64", "2001:db8:1234:5678::1", True),
    ("IpAddress", "2001:DB8:1234:5678::/64", "2001:db8:1234:5679::1", False),
    ("IpAddress", "0.0.0.0/0", "2001:db8::1", False),
    ("IpAddress", "10.0.0.0/8", "::ffff:10.1.2.3", True),
    ("IpAddress", "::ffff:10.0.0.0/104", "10.1.2.3", True),
    ("IpAddress", ["10.0.0.0/8", "::1"], "::1", True),
    ("IpAddress", "10.0.0.0/8", "", False),
    ("ArnEquals", "arn:aws:iam::111122223333:role/*", "arn:aws:iam::111122223333:role/a/b", True),
    ("ArnLike", "arn:aws:iam::111122223333:role/*", "arn:aws:iam::111122223333:user/a", False),
    ("ArnLike", "arn:aws:iam::1111*:role/x", "arn:aws:iam::111122223333:role/x", True),
    ("ArnLike", "arn:aws:iam::1111????3333:role/x", "arn:aws:iam::111122223333:role/x", True),
    ("ArnLike", "ARN:aws:iam::111122223333:role/x", "arn:aws:iam::111122223333:role/x", False),
    ("ArnLike", "arn:aws:sns:*:123456789012:t", "arn:aws:sns:us-east-1:123456789012:t", True),
    ("ArnLike", "arn:aws:s3:::b/*", "arn:aws:s3:::b/with:colons:inside", True),
    ("ArnLike", "*", "arn:aws:s3:::b", True),
    ("ArnLike", "arn:aws:iam::*", "arn:aws:iam::111122223333:role/x", True),
]
NEGATION = {
    "StringEquals": "StringNotEquals",
    "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase",
    "StringLike": "StringNotLike",
    "NumericEquals": "NumericNotEquals",
    "DateEquals": "DateNotEquals",
    "IpAddress": "NotIpAddress",
    "ArnEquals": "ArnNotEquals",
    "ArnLike": "ArnNotLike",
}
# The guide's own example of where the two differ.
GUIDE_PATTERN = "arn:aws:someservice:*:111122223333:finance/*"
GUIDE_VALUE = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"


@pytest.mark.parametrize(("operator", "wanted", "found", "expected"), POSITIVE)
def test_operator_matches_as_the_guide_says(operator, wanted, found, expected):
    assert holds(operator, wanted, found) is expected


@pytest.mark.parametrize(("operator", "wanted", "found", "expected"), [row for row in POSITIVE if row[0] in NEGATION])
def test_negated_operator_is_the_reverse_for_every_value(operator, wanted, found, expected):
    assert holds(NEGATION[operator], wanted, found) is not expected


def test_every_operator_has_a_row_in_these_tables():
    assert {row[0] for row in POSITIVE} | set(NEGATION.values()) == set(OPERATORS)


def test_arn_pattern_does_not_cross_segments_where_a_string_pattern_does():
    assert holds("StringLike", GUIDE_PATTERN, GUIDE_VALUE)
    assert not holds("ArnLike", GUIDE_PATTERN, GUIDE_VALUE)


SAMPLE = {"Numeric": "1", "Date": "2026", "Bool": "true", "Binary": "QQ==", "IpAddr": "10.0.0.1", "NotIpA": "10.0.0.1"}


def sample(operator: str) -> str:
    return next((value for prefix, value in SAMPLE.items() if operator.startswith(prefix)), "arn:aws:s3:::b")


@pytest.mark.parametrize("operator", OPERATORS)
def test_missing_key_fails_positive_operators_and_satisfies_negated_ones(operator):
    assert holds(operator, sample(operator), None) is OPERATORS[operator].negated


@pytest.mark.parametrize("operator", OPERATORS)
def test_if_exists_is_satisfied_by_a_missing_key_and_tests_a_present_one(operator):
    assert holds(f"{operator}IfExists", sample(operator), None)
    assert holds(f"{operator}IfExists", sample(operator), "?") is holds(operator, sample(operator), "?")


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("found", [None, [], [""]], ids=["missing", "empty", "empty text"])
def test_set_operators_treat_an_absent_set_as_the_guide_says(operator, found):
    assert holds(f"ForAllValues:{operator}", sample(operator), found)
    assert not holds(f"ForAnyValue:{operator}", sample(operator), found)
    assert holds(f"ForAllValues:{operator}IfExists", sample(operator), found)
    assert holds(f"ForAnyValue:{operator}IfExists", sample(operator), found)


@pytest.mark.parametrize(
    ("operator", "found", "expected"),
    [
        ("ForAllValues:StringEquals", ["a", "b"], True),
        ("ForAllValues:StringEquals", ["a", "c"], False),
        ("ForAllValues:StringEquals", "a", True),
        ("ForAnyValue:StringEquals", ["c", "b"], True),
        ("ForAnyValue:StringEquals", ["c", "d"], False),
        ("ForAllValues:StringNotEquals", ["c", "d"], True),
        ("ForAllValues:StringNotEquals", ["c", "b"], False),
        ("ForAnyValue:StringNotEquals", ["a", "c"], True),
        ("ForAnyValue:StringNotEquals", ["a", "b"], False),
        ("ForAnyValue:StringLike", ["x", "a"], True),
        ("StringEquals", ["c", "b"], True),
        ("StringEquals", ["c", "d"], False),
        ("StringNotEquals", ["c", "b"], False),
        ("StringNotEquals", ["c", "d"], True),
        ("StringNotEquals", [], True),
        ("StringEquals", [], False),
    ],
)
def test_multivalued_keys_are_quantified(operator, found, expected):
    assert holds(operator, ["a", "b"], found) is expected


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ("true", None, True),
        ("true", [], True),
        ("true", "x", False),
        ("false", None, False),
        ("false", "x", True),
        ("false", "", True),
        ("False", "x", True),
        (["true", "false"], None, True),
        (["true", "false"], "x", True),
    ],
)
def test_null_tests_presence(wanted, found, expected):
    assert holds(NULL, wanted, found) is expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Equals",
        "stringequals",
        "StringEqualsIfexists",
        "NullIfExists",
        "ForAllValues:Null",
        "ForSomeValues:StringEquals",
        "ForAllValues:",
        "ForAllValues:ForAnyValue:StringEquals",
        "StringEquals ",
        "StringEqualsIfExistsIfExists",
        "IfExists",
    ],
)
def test_names_that_are_no_operator_are_refused(name):
    with pytest.raises(KeyError):
        read_operator(name)


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("NumericEquals", "ten"),
        ("NumericEquals", "NaN"),
        ("NumericEquals", "1e9"),
        ("NumericEquals", "\u0661"),
        ("NumericEquals", "${aws:x}"),
        ("NumericEquals", ""),
        ("DateEquals", "2026-13-01"),
        ("DateEquals", "0000"),
        ("DateEquals", "2026-01-01 00:00:00"),
        ("DateEquals", "2026-01-01T25:00:00Z"),
        ("DateEquals", "${aws:CurrentTime}"),
        ("DateLessThan", "2026-*"),
        ("Bool", "yes"),
        ("Bool", "${aws:x}"),
        ("BinaryEquals", "&"),
        ("BinaryEquals", "é"),
        ("IpAddress", "10.0.0.0/33"),
        ("IpAddress", "10.0.0.256"),
        ("IpAddress", "10.0.0.0/255.0.0.0"),
        ("IpAddress", ""),
        ("NotIpAddress", "fe80::1%eth0"),
        ("IpAddress", "localhost"),
        ("Null", "maybe"),
        ("StringEquals", "${aws:username"),
        ("StringLike", "${}"),
        ("ArnLike", "${aws:a, b}"),
        ("StringEqualsIgnoreCase", "${username}"),
    ],
)
def test_values_of_another_type_are_refused(operator, value):
    with pytest.raises(ValueError):
        Condition(read_operator(operator), KEY, [value], variables=True)


def test_condition_keys_are_compared_without_case_but_an_exact_spelling_wins():
    condition = Condition(read_operator("StringEquals"), "AWS:principaltag/Team", ["red"], variables=True)
    assert condition.holds(Context({"aws:PrincipalTag/team": "red"}))
    assert condition.holds(Context({"AWS:principaltag/Team": "red", "aws:PrincipalTag/TEAM": "blue"}))
    assert not condition.holds(Context({"AWS:principaltag/Team": "blue", "aws:PrincipalTag/TEAM": "red"}))


@pytest.mark.parametrize(
    ("operator", "wanted", "found", "expected"),
    [
        ("StringEquals", "${aws:username}", "bob", True),
        ("StringEquals", "${AWS:UserName}", "bob", True),
        ("StringEquals", "home/${aws:username}/", "home/bob/", True),
        ("StringEquals", "${aws:username}", "alice", False),
        ("StringEqualsIgnoreCase", "${aws:username}", "BOB", True),
        ("StringLike", "${aws:username}/*", "bob/x", True),
        ("StringLike", "${aws:star}", "anything", False),
        ("StringLike", "${aws:star}", "*", True),
        ("StringLike", "${aws:star}*", "*x", True),
        ("StringNotEquals", "${aws:username}", "alice", True),
        ("StringNotEquals", "${aws:username}", "bob", False),
        ("StringEquals", "${aws:PrincipalTag/team}", "anything", False),
        ("StringLike", "*${aws:PrincipalTag/team}*", "anything", False),
        ("StringNotEquals", "${aws:PrincipalTag/team}", "anything", True),
        ("StringNotLike", "${aws:PrincipalTag/team}", "anything", True),
        ("StringEquals", "${aws:empty}", "", False),
        ("StringEquals", ["${aws:PrincipalTag/team}", "x"], "x", True),
        ("StringEquals", "${aws:PrincipalTag/team, 'company wide'}", "company wide", True),
        ("StringEquals", "${aws:username, 'nobody'}", "bob", True),
        ("StringEquals", "${$}{aws:username}", "${aws:username}", True),
        ("StringEquals", "${?}", "?", True),
        ("ArnLike", "arn:aws:iam::${aws:account}:role/*", "arn:aws:iam::111122223333:role/x", True),
        ("ArnLike", "arn:aws:iam::${aws:colons}:role/*", "arn:aws:iam::1:2:role/x", False),
        ("ArnLike", "arn:aws:iam::1:${aws:colons}*", "arn:aws:iam::1:1:2x", True),
    ],
)
def test_variables_take_the_request_value_literally_and_no_value_equals_nothing(operator, wanted, found, expected):
    context = {
        "aws:username": "bob",
        "aws:star": "*",
        "aws:empty": "",
        "aws:account": "111122223333",
        "aws:colons": "1:2",
    }
    assert holds(operator, wanted, found, **context) is expected


def test_a_multivalued_key_cannot_be_a_variable():
    condition = Condition(read_operator("StringEquals"), KEY, ["${aws:tags}"], variables=True)
    assert not condition.holds(Context({KEY: "a", "aws:tags": ["a", "b"]}))


def test_without_variables_their_text_is_literal():
    assert holds("StringEquals", "${aws:username}", "${aws:username}", variables=False, **{"aws:username": "bob"})
    assert not holds("StringEquals", "${aws:username}", "bob", variables=False, **{"aws:username": "bob"})
    assert holds("StringEquals", "${", "${", variables=False)


@settings(deadline=None)
@given(st.text(), st.text())
def test_any_request_value_is_answered_by_every_operator(value, other):
    for name in OPERATORS:
        assert holds(name, sample(name), [value, other]) in {True, False}


@settings(deadline=None)
@given(st.ip_addresses(), st.integers(0, 32))
def test_an_address_lies_in_the_range_made_from_it(address, prefix):
    assume(address.version == 4 or address.ipv4_mapped is None)  # IPv4 written as IPv6 is IPv4
    wanted = f"{address}/{prefix if address.version == 4 else prefix * 4}"
    assert holds("IpAddress", wanted, str(address))
    assert not holds("NotIpAddress", wanted, str(address))
    if address.version == 4:
        assert address in read_network(wanted)
