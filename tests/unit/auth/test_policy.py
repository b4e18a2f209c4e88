"""The grammar: what each kind of policy must and may say, and what each service answers to a bad document."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3al.auth.evaluate import AccessRequest, evaluate
from s3al.auth.policy import Policy, PolicyKind
from s3al.auth.principal import ANONYMOUS
from s3al.errors import RequestError

ACCOUNT = "111122223333"
BUCKET, KEY, IDENTITY, TRUST = PolicyKind.BUCKET, PolicyKind.KEY, PolicyKind.IDENTITY, PolicyKind.TRUST
SESSION, BOUNDARY = PolicyKind.SESSION, PolicyKind.BOUNDARY
OBJECTS = "arn:aws:s3:::bucket/*"
GOOD = {
    BUCKET: {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": OBJECTS},
    KEY: {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "kms:*", "Resource": "*"},
    IDENTITY: {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
    SESSION: {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
    BOUNDARY: {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
    TRUST: {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"},
}
CODES = {
    BUCKET: "MalformedPolicy",
    KEY: "MalformedPolicyDocumentException",
    IDENTITY: "MalformedPolicyDocument",
    SESSION: "MalformedPolicyDocument",
    BOUNDARY: "MalformedPolicyDocument",
    TRUST: "MalformedPolicyDocument",
}


def parse(document: object, kind: PolicyKind = BUCKET, max_bytes: int = 20480) -> Policy:
    text = document if isinstance(document, str | bytes) else json.dumps(document)
    return Policy.parse(text, kind=kind, max_bytes=max_bytes, bucket_name="bucket" if kind is BUCKET else None)


def statement(kind: PolicyKind = BUCKET, /, **changes: object) -> dict[str, object]:
    """A good statement with elements changed; None takes one out."""
    changed = GOOD[kind] | changes
    return {
        "Version": "2012-10-17",
        "Statement": [{name: value for name, value in changed.items() if value is not None}],
    }


def refusal(document: object, kind: PolicyKind = BUCKET, max_bytes: int = 20480) -> tuple[str, str | None]:
    with pytest.raises(RequestError) as caught:
        parse(document, kind, max_bytes)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize("kind", PolicyKind)
def test_a_good_statement_of_each_kind_is_read(kind):
    policy = parse(statement(kind), kind)
    assert policy.kind is kind
    assert policy.name == kind.value
    assert policy.version == "2012-10-17"
    assert len(policy.statements) == 1


def test_a_single_statement_needs_no_list_and_the_version_defaults_to_the_old_one():
    policy = parse({"Id": "any text, with spaces", "Statement": GOOD[BUCKET] | {"Sid": "Read all"}})
    assert policy.version == "2008-10-17"
    assert policy.statements[0].decided_by.sid == "Read all"
    assert policy.statements[0].decided_by.policy == "bucket-policy"


def test_the_name_given_is_the_name_in_decisions():
    policy = Policy.parse(json.dumps(statement(IDENTITY)), kind=IDENTITY, max_bytes=6144, name="ReadOnly")
    assert policy.statements[0].decided_by.policy == policy.name == "ReadOnly"


def test_the_decision_quotes_the_statement():
    assert json.loads(parse(statement()).statements[0].decided_by.text) == GOOD[BUCKET]


NOT_JSON = "This policy contains invalid Json"
FIRST_BYTE = "Policies must be valid JSON and the first byte must be '{'"
SYNTAX = "Invalid policy syntax."


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", FIRST_BYTE),
        (b"[]", FIRST_BYTE),
        (b'"{}"', FIRST_BYTE),
        (b"\xef\xbb\xbf{}", FIRST_BYTE),
        (b"{", NOT_JSON),
        (b"{}x", NOT_JSON),
        (b'{"a":NaN}', NOT_JSON),
        (b'{"a":1e}', NOT_JSON),
        (b"{'Statement':[]}", NOT_JSON),
        (b'{"Statement":[],}', NOT_JSON),
        (b'{"Statement":[], "Statement":[]}', NOT_JSON),
        (b"\xff\xfe{}", NOT_JSON),
        (b'{"a":' * 500 + b"1" + b"}" * 500, NOT_JSON),
        (b'{"a":' + b"[" * 9000, NOT_JSON),
        (b"{}", "Missing required field Statement"),
        (b'{"Statement":[]}', "Could not parse the policy: Statement is empty!"),
        (b'{"Statement":"x"}', SYNTAX),
        (b'{"Statement":null}', SYNTAX),
        (b'{"Statement":["x"]}', SYNTAX),
        (b'{"Statement":[[]]}', SYNTAX),
        (b'{"Statement":[],"Extra":1}', "Unknown field Extra"),
        (b'{"statement":[]}', "Unknown field statement"),
        (b'{"Version":"2026-01-01","Statement":[]}', "The policy must contain a valid version string"),
        (b'{"Version":20121017,"Statement":[]}', "The policy must contain a valid version string"),
        (b'{"Version":["2012-10-17"],"Statement":[]}', "The policy must contain a valid version string"),
        (b'{"Id":7,"Statement":[]}', SYNTAX),
        (b'{"Id":"\\ud800","Statement":[]}', NOT_JSON),
    ],
)
def test_a_bad_document_is_refused_in_the_words_of_s3(document, message):
    assert refusal(document) == ("MalformedPolicy", message)


CONDITION_KEY = "Policy has an invalid condition key"
NO_ACTION = "Policy has invalid action"
NO_RESOURCE = "Policy has invalid resource"
NO_PRINCIPAL = "Invalid principal in policy"
UNFIT = "Action does not apply to any resource(s) in statement"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Effect": None}, "Missing required field Effect"),
        ({"Effect": "allow"}, "Invalid effect: allow"),
        ({"Effect": "Perhaps\x07"}, "Invalid effect: Perhaps?"),
        ({"Effect": True}, SYNTAX),
        ({"Effect": ["Allow"]}, SYNTAX),
        ({"Sid": 3}, SYNTAX),
        ({"Extra": "x"}, "Unknown field Extra"),
        ({"effect": "Allow"}, "Unknown field effect"),
        ({"Principal": None}, "Missing required field Principal"),
        ({"Principal": {}}, "Missing required field Principal cannot be empty!"),
        ({"Principal": {"AWS": []}}, "Missing required field Principal cannot be empty!"),
        ({"Principal": {"AWS": ""}}, "Missing required field Principal cannot be empty!"),
        ({"Principal": "bob"}, NO_PRINCIPAL),
        ({"Principal": ["*"]}, NO_PRINCIPAL),
        ({"Principal": {"aws": "*"}}, NO_PRINCIPAL),
        ({"Principal": {"AWS": "bob"}}, NO_PRINCIPAL),
        ({"Principal": {"AWS": ["*", "1234"]}}, NO_PRINCIPAL),
        ({"Principal": {"AWS": "arn:aws:iam::111122223333:user/*"}}, NO_PRINCIPAL),
        ({"Principal": {"AWS": "arn:aws:iam::*:root"}}, NO_PRINCIPAL),
        ({"Principal": {"AWS": "arn:aws:iam::111122223333:group/g"}}, NO_PRINCIPAL),
        ({"Principal": {"AWS": {"x": "y"}}}, SYNTAX),
        ({"Principal": {"Service": "*"}}, NO_PRINCIPAL),
        ({"Principal": {"Service": "example.com"}}, NO_PRINCIPAL),
        ({"Principal": {"CanonicalUser": "short"}}, NO_PRINCIPAL),
        ({"NotPrincipal": "*"}, "Statement has both Principal and NotPrincipal"),
        ({"Principal": None, "NotPrincipal": {"AWS": ACCOUNT}}, "Allow with NotPrincipal is not allowed."),
        ({"Action": None}, "Missing required field Action"),
        ({"Action": []}, "Missing required field Action cannot be empty!"),
        ({"Action": ""}, "Missing required field Action cannot be empty!"),
        ({"Action": 5}, SYNTAX),
        ({"Action": "GetObject"}, NO_ACTION),
        ({"Action": "s3:GetObjectt"}, NO_ACTION),
        ({"Action": "s3:Fetch*"}, NO_ACTION),
        ({"Action": "kms:Decrypt"}, NO_ACTION),
        ({"Action": "s?:GetObject"}, NO_ACTION),
        ({"Action": ["s3:GetObject", "ec2:*"]}, NO_ACTION),
        ({"NotAction": "s3:GetObject"}, "Statement has both Action and NotAction"),
        ({"Resource": None}, "Missing required field Resource"),
        ({"Resource": []}, "Missing required field Resource cannot be empty!"),
        ({"Resource": {}}, SYNTAX),
        ({"Resource": "bucket/*"}, NO_RESOURCE),
        ({"Resource": "arn:aws:s3:::other/*"}, NO_RESOURCE),
        ({"Resource": "arn:aws:s3:::bucket2/*"}, NO_RESOURCE),
        ({"Resource": "arn:aws:s3:::Bucket/*"}, NO_RESOURCE),
        ({"Resource": [OBJECTS, "arn:aws:s3:::other/*"]}, NO_RESOURCE),
        ({"Resource": "arn:aws:s3:us-east-1::bucket/*"}, NO_RESOURCE),
        ({"Resource": "arn:aws:*:::bucket/*"}, NO_RESOURCE),
        ({"Resource": "arn:aws:s3:::bucket/${aws:username"}, NO_RESOURCE),
        ({"Resource": "arn:aws:s3:${aws:x}::bucket/*"}, NO_RESOURCE),
        ({"NotResource": OBJECTS}, "Statement has both Resource and NotResource"),
        ({"Resource": "arn:aws:s3:::bucket"}, UNFIT),
        ({"Action": "s3:ListBucket"}, UNFIT),
        ({"Action": ["s3:GetObject", "s3:ListBucket"]}, UNFIT),
        ({"Action": "s3:ListAllMyBuckets", "Resource": "*"}, UNFIT),
        ({"Condition": []}, SYNTAX),
        ({"Condition": None, "condition": {}}, "Unknown field condition"),
        ({"Condition": {"StringIs": {"aws:SourceIp": "x"}}}, "Invalid Condition type : StringIs"),
        ({"Condition": {"StringEquals": "x"}}, SYNTAX),
        ({"Condition": {"StringEquals": {"aws:Sourceip2": "x"}}}, CONDITION_KEY),
        ({"Condition": {"StringEquals": {"s3:x-acl": "x"}}}, CONDITION_KEY),
        ({"Condition": {"StringEquals": {"s3:ExistingObjectTag/": "x"}}}, CONDITION_KEY),
        ({"Condition": {"StringEquals": {"": "x"}}}, CONDITION_KEY),
        ({"Condition": {"StringEquals": {"aws:Referer": None}}}, SYNTAX),
        ({"Condition": {"StringEquals": {"aws:Referer": {"x": "y"}}}}, SYNTAX),
        ({"Condition": {"StringEquals": {"aws:Referer": [["x"]]}}}, SYNTAX),
        (
            {"Condition": {"StringEquals": {"aws:Referer": "${x"}}},
            "Invalid value in Conditions for operator StringEquals",
        ),
        ({"Condition": {"Bool": {"aws:SecureTransport": "x"}}}, "Invalid value in Conditions for operator Bool"),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "x"}}}, "Invalid IP address in Conditions"),
    ],
)
def test_a_bad_statement_of_a_bucket_policy_is_refused_in_the_words_of_s3(changes, message):
    assert refusal(statement(**changes)) == ("MalformedPolicy", message)


@pytest.mark.parametrize(
    "changes",
    [
        {"Principal": {"AWS": "*"}},
        {"Principal": {"AWS": [ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:user/a/path/bob"]}},
        {"Principal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:role/r", f"arn:aws:sts::{ACCOUNT}:assumed-role/r/session"]}},
        {"Principal": {"AWS": f"arn:aws:sts::{ACCOUNT}:federated-user/bob"}},
        {"Principal": {"Service": ["cloudtrail.amazonaws.com"], "CanonicalUser": "ab" * 32}},
        {"Principal": {"Federated": ["graph.facebook.com", f"arn:aws:iam::{ACCOUNT}:saml-provider/corp"]}},
        {"Principal": None, "NotPrincipal": {"AWS": ACCOUNT}, "Effect": "Deny"},
        {"Action": "*"},
        {"Action": "s3:*"},
        {"Action": "S3:GETOBJECT"},
        {"Action": ["s3:Get*", "s3:PutObject?cl"]},
        {"Action": None, "NotAction": "s3:ListBucket"},
        {"Resource": "*"},
        {"Resource": "arn:aws:s3:::*"},
        {"Resource": ["arn:aws:s3:::bucket", OBJECTS], "Action": ["s3:ListBucket", "s3:GetObject"]},
        {"Resource": "arn:aws:s3:::bucket*", "Action": ["s3:ListBucket", "s3:GetObject"]},
        {"Resource": None, "NotResource": "arn:aws:s3:::bucket/public/*"},
        {"Resource": "arn:aws:s3:::bucket/${aws:username}/*"},
        {"Condition": {}},
        {"Condition": {"Bool": {"aws:SecureTransport": False}}},
        {"Condition": {"NumericLessThanEquals": {"aws:MultiFactorAuthAge": 3600}}},
        {"Condition": {"StringLikeIfExists": {"AWS:REFERER": ["a*", "b*"]}, "Null": {"aws:SourceVpc": "true"}}},
        {
            "Condition": {
                "StringEquals": {"s3:ExistingObjectTag/a b": "x", "s3:x-amz-server-side-encryption": "aws:kms"}
            }
        },
        {"Condition": {"StringEquals": {"aws:Referer": []}}},
    ],
)
def test_what_s3_accepts_is_accepted(changes):
    assert len(parse(statement(**changes)).statements) == 1


@pytest.mark.parametrize("kind", [IDENTITY, SESSION, BOUNDARY])
def test_policies_of_identities_name_no_principal(kind):
    assert refusal(statement(kind, Principal="*"), kind) == (
        "MalformedPolicyDocument",
        "Policy document should not specify a principal.",
    )
    assert refusal(statement(kind, NotPrincipal="*"), kind)[0] == "MalformedPolicyDocument"


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (IDENTITY, {"Action": None}, "Policy statement must contain actions."),
        (IDENTITY, {"Resource": None}, "Policy statement must contain resources."),
        (
            IDENTITY,
            {"Action": "GetObject"},
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (IDENTITY, {"Resource": "bucket"}, 'Resource bucket must be in ARN format or "*".'),
        (IDENTITY, {"Effect": "allow"}, "Syntax errors in policy."),
        (IDENTITY, {"Sid": "has spaces"}, "Syntax errors in policy."),
        (
            IDENTITY,
            {"Condition": {"StringEquals": {"nocolon": "x"}}},
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (IDENTITY, {"Condition": {"StringIs": {"aws:x": "x"}}}, "Invalid Condition type : StringIs"),
        (TRUST, {"Resource": "*"}, "Has prohibited field Resource"),
        (TRUST, {"Principal": None}, "AssumeRolePolicy must contain a principal."),
        (
            TRUST,
            {"Principal": None, "NotPrincipal": {"AWS": ACCOUNT}, "Effect": "Deny"},
            "Has prohibited field NotPrincipal",
        ),
        (TRUST, {"Principal": {"CanonicalUser": "ab" * 32}}, "Invalid principal in policy"),
        (KEY, {"Principal": {"AWS": "bob"}}, "Policy contains a statement with one or more invalid principals."),
        (
            KEY,
            {"Principal": {"CanonicalUser": "ab" * 32}},
            "Policy contains a statement with one or more invalid principals.",
        ),
        (KEY, {"Principal": None}, "Missing required field Principal"),
        (KEY, {"Sid": "text beyond Latin-1: \u0100"}, None),
    ],
)
def test_other_kinds_are_refused_in_the_words_of_their_service(kind, changes, message):
    document = json.dumps(statement(kind, **changes), ensure_ascii=False)
    code, found = refusal(document, kind)
    assert code == CODES[kind]
    if message is not None:
        assert found == message


def test_sids_are_unique_where_iam_demands_it():
    twice = {"Version": "2012-10-17", "Statement": [GOOD[IDENTITY] | {"Sid": "A"}] * 2}
    assert refusal(twice, IDENTITY) == (
        "MalformedPolicyDocument",
        "Statement IDs (SID) in a single policy must be unique.",
    )
    assert len(parse({"Statement": [GOOD[BUCKET] | {"Sid": "A"}] * 2}).statements) == 2
    assert len(parse({"Statement": [GOOD[IDENTITY], GOOD[IDENTITY]]}, IDENTITY).statements) == 2


def test_key_policies_may_leave_out_action_and_resource():
    policy = parse(statement(KEY, Action=None), KEY)
    assert not policy.statements[0].covers_action("kms:decrypt")
    assert parse(statement(KEY, Resource=None), KEY).statements[0].resources is None


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (BUCKET, "PolicyTooLarge"),
        (KEY, "LimitExceededException"),
        (IDENTITY, "LimitExceeded"),
        (SESSION, "PackedPolicyTooLarge"),
    ],
)
def test_a_policy_one_byte_over_its_limit_is_refused(kind, code):
    text = json.dumps(statement(kind), separators=(",", ":"))
    assert parse(text, kind, max_bytes=len(text)).kind is kind
    assert refusal(text, kind, max_bytes=len(text) - 1)[0] == code


def test_white_space_counts_for_s3_but_not_for_iam():
    for kind, accepted in ((IDENTITY, True), (BUCKET, False)):
        text = json.dumps(statement(kind), separators=(",", ":"))
        spaced = text.replace(",", ",\n    ")
        if accepted:
            assert parse(spaced, kind, max_bytes=len(text)).kind is kind
        else:
            assert refusal(spaced, kind, max_bytes=len(text)) == ("PolicyTooLarge", None)


def test_principals_are_listed_for_services_that_check_they_exist():
    policy = parse(statement(Principal={"AWS": [ACCOUNT, "*"], "Service": "s3.amazonaws.com"}))
    assert list(policy.principal_names()) == [("AWS", ACCOUNT), ("AWS", "*"), ("Service", "s3.amazonaws.com")]


def test_the_same_text_is_the_same_policy_but_not_in_another_bucket_or_kind():
    text = json.dumps(statement(Resource="*"))
    assert parse(text) is parse(text)
    assert Policy.parse(text, kind=BUCKET, max_bytes=20480, bucket_name="other") is not parse(text)
    assert refusal(text, IDENTITY)[0] == CODES[IDENTITY]
    assert refusal(text, max_bytes=10) == ("PolicyTooLarge", None)


@pytest.mark.parametrize(
    "changes",
    [
        {"Resource": "arn:aws:s3:::bucket/" + "*?" * 10000},
        {"Resource": "arn:*:s3:::" + "*a" * 10000},
        {"Resource": ["arn:aws:s3:::bucket/*" + str(number) for number in range(600)]},
        {"Action": [f"s3:*{chr(97 + number % 26)}?*" for number in range(1600)]},
        {"Condition": {"StringLike": {"aws:Referer": ["*a" * 9 + str(number) for number in range(800)]}}},
    ],
    ids=["stars and marks", "stars in segments", "resources", "actions", "values"],
)
def test_no_policy_within_its_limit_is_expensive(changes):
    began = time.perf_counter()
    try:
        policy = parse(statement(**changes))
    except RequestError as error:
        assert error.code == "MalformedPolicy"
    else:
        request = AccessRequest(ANONYMOUS, "s3:GetObject", OBJECTS[:-1] + "a" * 1024, {"aws:Referer": "a" * 4096})
        evaluate(request, resource_policy=policy, resource_account=ACCOUNT)
    assert time.perf_counter() - began < 5


def test_the_action_index_stays_bounded():
    policy = parse(statement())
    for number in range(3000):
        assert len(policy.on_action(f"s3:{number}").allows) == 0
    assert len(policy.on_action("s3:getobject").allows) == 1
    assert len(policy._by_action) <= 1024


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        [
            "*",
            ACCOUNT,
            OBJECTS,
            "s3:GetObject",
            "Allow",
            "Deny",
            "2012-10-17",
            "aws:SourceIp",
            "${aws:x}",
            "${",
            "\ud800",
        ]
    )
)
NAMES = st.sampled_from(
    [
        "Version",
        "Statement",
        "Effect",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Principal",
        "NotPrincipal",
        "AWS",
        "Condition",
        "StringLike",
        "IpAddress",
        "DateEquals",
        "Null",
        "aws:SourceIp",
        "Sid",
        "Id",
        "Service",
        "x",
    ]
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=25
)


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=5), st.sampled_from(PolicyKind))
def test_any_json_is_read_or_refused_with_request_error(document, kind):
    try:
        parse(json.dumps(document), kind)
    except RequestError as error:
        assert error.code == CODES[kind]


@settings(deadline=None)
@given(st.sampled_from(PolicyKind), st.lists(st.tuples(NAMES, VALUES), max_size=3))
def test_a_good_statement_with_anything_changed_is_read_or_refused(kind, changes):
    try:
        policy = parse({"Version": "2012-10-17", "Statement": [GOOD[kind] | dict(changes)]}, kind)
    except RequestError as error:
        assert error.code == CODES[kind]
    else:
        assert policy.statements


@settings(deadline=None)
@given(
    st.binary() | st.text().map(lambda text: ("{" + text).encode("utf-8", "surrogatepass")), st.sampled_from(PolicyKind)
)
def test_any_bytes_are_refused_with_request_error(raw, kind):
    with pytest.raises(RequestError):
        parse(raw, kind)
