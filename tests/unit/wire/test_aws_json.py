"""KMS requests and answers: types before constraints, all violations in one message, in AWS's words."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.errors import RequestError
from s3al.wire.plan import Route
from s3al.wire.protocols.constraints import compiled_pattern


def parse(plans, operation, document, service="kms"):
    plan = plans[service].operations[operation]
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return plan.parse(Route(plan, operation, service), (), {}, body)


def refusal(plans, operation, document):
    with pytest.raises(RequestError) as refused:
        parse(plans, operation, document)
    return refused.value


def test_blobs_times_maps_and_lists_are_read(plans):
    assert parse(
        plans, "Encrypt", {"KeyId": "k", "Plaintext": "AAE=", "EncryptionContext": {"a": "b"}, "GrantTokens": []}
    ) == {
        "KeyId": "k",
        "Plaintext": b"\x00\x01",
        "EncryptionContext": {"a": "b"},
        "GrantTokens": [],
    }
    request = {"KeyId": "k", "ImportToken": "AA==", "EncryptedKeyMaterial": "AA==", "ValidTo": 1255369830.5}
    moment = datetime(2009, 10, 12, 17, 50, 30, 500000, tzinfo=UTC)
    assert parse(plans, "ImportKeyMaterial", request)["ValidTo"] == moment


def test_nulls_and_unknown_names_are_ignored(plans):
    assert parse(plans, "DescribeKey", {"KeyId": "k", "GrantTokens": None, "Color": 1}) == {"KeyId": "k"}


def test_an_empty_body_is_an_empty_request(plans):
    assert parse(plans, "ListKeys", b"") == {}
    assert parse(plans, "ListKeys", b"{}") == {}


# body or document, message
UNREADABLE = [
    (b"{", None),
    (b"[]", "Start of structure or map found where not expected."),
    (b'"x"', "Start of structure or map found where not expected."),
    (b"\xff", None),
    (b'{"KeyId": "a", "KeyId": "b"}', None),
    (b'{"KeyId": NaN}', None),
    (b'{"KeyId": "\\ud800"}', "STRING_VALUE can not be converted to a String"),
    (b"[" * 100_000, None),
    (b'{"a":' * 100_000, None),
    ({"KeyId": 1}, "NUMBER_VALUE can not be converted to a String"),
    ({"KeyId": True}, "BOOLEAN_VALUE can not be converted to a String"),
    ({"KeyId": {}}, "Start of structure or map found where not expected."),
    ({"KeyId": "k", "GrantTokens": "t"}, "Unexpected field type"),
    ({"KeyId": "k", "GrantTokens": [1]}, "NUMBER_VALUE can not be converted to a String"),
    ({"KeyId": "k", "Plaintext": "A"}, "STRING_VALUE can not be converted to a Blob"),
    ({"KeyId": "k", "Plaintext": "AA_-"}, "STRING_VALUE can not be converted to a Blob"),
    ({"KeyId": "k", "EncryptionContext": []}, "Unexpected field type"),
    ({"KeyId": "k", "DryRun": "true"}, "STRING_VALUE can not be converted to a Boolean"),
]


@pytest.mark.parametrize(("document", "message"), UNREADABLE)
def test_a_value_of_the_wrong_type_cannot_be_read(document, message, plans):
    refused = refusal(plans, "Encrypt", document)
    assert (refused.code, refused.message) == ("SerializationException", message)


@pytest.mark.parametrize("number", ["10", True, 1.5, 1e999, 2**63, []])
def test_an_integer_is_a_whole_number(number, plans):
    assert refusal(plans, "GenerateRandom", {"NumberOfBytes": number}).code == "SerializationException"
    assert parse(plans, "GenerateRandom", {"NumberOfBytes": 16.0}) == {"NumberOfBytes": 16}


def test_every_pattern_of_the_models_is_understood(models):
    for model in models.values():
        for shape in model._service_description["shapes"].values():
            if "pattern" in shape:
                assert compiled_pattern(shape["pattern"]) is not None


def test_patterns_mean_what_they_mean_in_java():
    tag_key = compiled_pattern(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+")
    for text in ("a b", "é_1", "\u4e2d\u00a0\u2160", "a+b-c@d"):
        assert tag_key.fullmatch(text)
    for text in ("a\nb", "a\tb", "a*b", ""):
        assert not tag_key.fullmatch(text)
    name = compiled_pattern(r"[\w+=,.@-]+")
    assert name.fullmatch("a_b") and not name.fullmatch("é")
    assert compiled_pattern(r"[\p{Unknown}]") is None


def violations(count, *rules):
    noun = "error" if count == 1 else "errors"
    return f"{count} validation {noun} detected: " + "; ".join(rules)


# operation, document, message
INVALID = [
    (
        "Encrypt",
        {},
        violations(
            2,
            "Value null at 'keyId' failed to satisfy constraint: Member must not be null",
            "Value null at 'plaintext' failed to satisfy constraint: Member must not be null",
        ),
    ),
    (
        "Encrypt",
        {"KeyId": "", "Plaintext": "AA=="},
        violations(
            1,
            "Value '' at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
    ),
    (
        "Encrypt",
        {"KeyId": "k", "Plaintext": base64.b64encode(bytes(4097)).decode()},
        violations(
            1,
            "Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096",
        ),
    ),
    (
        "Encrypt",
        {"KeyId": "k", "Plaintext": "AA==", "EncryptionAlgorithm": "ROT13"},
        violations(
            1,
            "Value 'ROT13' at 'encryptionAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: "
            "[SYMMETRIC_DEFAULT, RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256, SM2PKE]",
        ),
    ),
    (
        "GenerateRandom",
        {"NumberOfBytes": 1025},
        violations(
            1,
            "Value '1025' at 'numberOfBytes' failed to satisfy constraint: "
            "Member must have value less than or equal to 1024",
        ),
    ),
    (
        "GenerateRandom",
        {"NumberOfBytes": 0},
        violations(
            1,
            "Value '0' at 'numberOfBytes' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1",
        ),
    ),
    (
        "CreateAlias",
        {"AliasName": "alias/sp ace", "TargetKeyId": "k"},
        violations(
            1,
            "Value 'alias/sp ace' at 'aliasName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
        ),
    ),
    (
        "CreateAlias",
        {"AliasName": "alias/line\n", "TargetKeyId": "k"},
        violations(
            1,
            "Value 'alias/line\n' at 'aliasName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
        ),
    ),
    (
        "TagResource",
        {"KeyId": "k", "Tags": [{"TagKey": "a", "TagValue": ""}, {"TagKey": "", "TagValue": "x" * 257}]},
        violations(
            2,
            "Value '' at 'tags.2.member.tagKey' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
            f"Value '{'x' * 256}' at 'tags.2.member.tagValue' failed to satisfy constraint: "
            "Member must have length less than or equal to 256",
        ),
    ),
    (
        "Encrypt",
        {"KeyId": "k", "Plaintext": "AA==", "GrantTokens": ["t"] * 11},
        violations(
            1,
            "Value '[...]' at 'grantTokens' failed to satisfy constraint: "
            "Member must have length less than or equal to 10",
        ),
    ),
    (
        "CreateGrant",
        {"KeyId": "k", "GranteePrincipal": "p", "Operations": ["Encrypt", "Steal"]},
        None,
    ),
]


@pytest.mark.parametrize(("operation", "document", "message"), INVALID)
def test_broken_constraints_are_told_in_the_words_of_aws(operation, document, message, plans):
    refused = refusal(plans, operation, document)
    assert refused.code == "ValidationException"
    if message is not None:
        assert refused.message == message


def test_a_secret_is_never_repeated(plans):
    request = {"CustomKeyStoreName": "n", "KeyStorePassword": "short"}
    refused = refusal(plans, "CreateCustomKeyStore", request)
    assert refused.code == "ValidationException"
    assert "short" not in str(refused)


def test_a_message_stays_short_however_much_is_wrong(plans):
    refused = refusal(plans, "TagResource", {"KeyId": "k", "Tags": [{"TagKey": "", "TagValue": "v"}] * 5000})
    assert refused.message.startswith("5000 validation errors detected: ")
    assert len(refused.message) < 4000


@given(
    data=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_read_or_refused(data, plans):
    try:
        assert isinstance(parse(plans, "CreateKey", {"Tags": data, "Description": data}), dict)
    except RequestError as refused:
        assert refused.code in ("SerializationException", "ValidationException")


def test_an_answer_is_json_with_its_id(plans):
    response = (
        plans["kms"]
        .operations["Decrypt"]
        .serialize({"KeyId": "k", "Plaintext": b"\x00\x01", "EncryptionAlgorithm": None}, request_id="R1")
    )
    assert response.headers == [("x-amzn-requestid", "R1"), ("content-type", "application/x-amz-json-1.1")]
    assert response.body == b'{"KeyId":"k","Plaintext":"AAE="}'


def test_times_in_answers_are_seconds(plans):
    moment = datetime(2009, 10, 12, 17, 50, 30, 7999, tzinfo=UTC)
    response = plans["kms"].operations["ScheduleKeyDeletion"].serialize({"DeletionDate": moment}, request_id="R1")
    assert json.loads(response.body) == {"DeletionDate": 1255369830.008}


def test_an_operation_without_output_answers_nothing(plans):
    plan = plans["kms"].operations["EnableKey"]
    assert plan.serialize({}, request_id="R1").body == b""
    with pytest.raises(ValueError, match="has no output"):
        plan.serialize({"KeyId": "k"}, request_id="R1")


def test_a_member_the_model_does_not_have_is_a_mistake_of_the_handler(plans):
    with pytest.raises(ValueError, match="has no member Keyid"):
        plans["kms"].operations["DescribeKey"].serialize({"KeyMetadata": {"Keyid": "x"}}, request_id="R1")
