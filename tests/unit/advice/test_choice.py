"""The advisor on questions as an exam would ask them; each answer is what AWS's page says, which is named beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3al.advice.choice import advise
from s3al.advice.options import CLIENT_S3_MANAGED, OPTIONS
from s3al.advice.requirements import EXISTS, REQUIREMENTS
from s3al.errors import ConfigError
from support.schemas import require_valid

ALL = {"sse-s3", "sse-kms", "dsse-kms", "sse-c", "client-kms", "client-own-key"}
CLIENT = {"client-kms", "client-own-key"}
KMS = {"sse-kms", "dsse-kms", "client-kms"}

# Question, requirements, the options that are right, the page of AWS's documentation that says so.
QUESTIONS = [
    ("Objects must be encrypted before they are uploaded.", ["encrypt-before-upload"], CLIENT,
     "UsingClientSideEncryption"),
    ("An auditor wants a record of each use of the key.", ["audit"], KMS, "UsingKMSEncryption"),
    ("Encryption at rest with no keys to look after.", ["no-key-management", "no-kms-call-per-object"],
     {"sse-s3", "sse-kms"}, "UsingServerSideEncryption"),
    ("Two layers of server-side encryption, for a regulation.", ["two-layers"], {"dsse-kms"}, "UsingDSSEncryption"),
    ("We provide the key, S3 does the encrypting, and there is no KMS.",
     ["no-kms", "own-key-material", "rotation-control"], {"sse-c", "client-own-key"},
     "ServerSideEncryptionCustomerKeys"),
    ("Keys and encryption stay wholly with the application.", ["key-never-leaves-application"], {"client-own-key"},
     "amazon-s3-encryption-client concepts"),
    ("The key administrator must not read data, nor the data administrator without the key.", ["role-separation"], KMS,
     "kms key-policy-default"),
    ("Rotate on our own schedule, with a record of use.", ["rotation-control", "audit"], KMS, "kms rotate-keys"),
    ("Rotation control without changing uploading programs.", ["rotation-control", "bucket-default"],
     {"sse-kms", "dsse-kms"}, "bucket-encryption"),
    ("The key rotates by itself, and nobody calls a KMS for each object.",
     ["automatic-rotation", "no-kms-call-per-object"], {"sse-s3", "sse-kms"}, "bucket-key"),
    ("Anybody may download without credentials.", ["public-readers"], {"sse-s3"}, "UsingKMSEncryption"),
    ("Whoever has a presigned URL reads it in a browser; uses of the key are recorded.", ["any-reader", "audit"],
     {"sse-kms", "dsse-kms"}, "ServerSideEncryptionCustomerKeys"),
    ("Encrypt before upload, and record who decrypts.", ["encrypt-before-upload", "audit"], {"client-kms"},
     "UsingClientSideEncryption"),
    ("Encrypt before upload, with no KMS at all.", ["encrypt-before-upload", "no-kms"], {"client-own-key"},
     "UsingClientSideEncryption"),
    ("Disable the key and nobody reads any more.", ["revoke-at-once"], KMS, "kms enabling-keys"),
    ("The ETag shall remain the MD5 of the content.", ["etag-is-md5"], {"sse-s3"}, "API_Object"),
    ("Access to an object shall not be enough to read it.", ["separate-permission"], KMS, "UsingKMSEncryption"),
    ("Key material is made on our premises, and guarded by policies.", ["own-key-material", "separate-permission"], KMS,
     "kms importing-keys"),
    ("The storage provider must be unable to read, even under order.", ["storage-never-sees-plaintext"], CLIENT,
     "UsingClientSideEncryption"),
    ("A default for the bucket, and customer-provided keys.", ["bucket-default", "no-kms", "rotation-control"], set(),
     "ServerSideEncryptionCustomerKeys"),
    ("Two layers and encryption before upload by the same mechanism.", ["two-layers", "encrypt-before-upload"], set(),
     "UsingDSSEncryption"),
    ("A rotated key leaves old objects as they are.", ["rotation-without-rewriting", "separate-permission"], KMS,
     "kms rotate-keys"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "required", "right", "page"), QUESTIONS, ids=[each[0][:40] for each in QUESTIONS])
def test_a_question_is_answered_as_the_documentation_does(question, required, right, page):
    advice = advise(required)
    assert set(advice.chosen) == right
    assert {each.option_id for each in advice.rejected} == set(OPTIONS) - right


def test_the_exam_question_gives_a_reason_for_each_wrong_answer():
    advice = advise(["encrypt-before-upload"])
    reasons = {each.option_id: (each.requirement_id, each.reason) for each in advice.rejected}
    assert advice.chosen == ("client-kms", "client-own-key")
    assert reasons[CLIENT_S3_MANAGED][0] == "exists"
    assert "never leave the server" in reasons[CLIENT_S3_MANAGED][1]
    for server_side in ("sse-s3", "sse-kms", "dsse-kms", "sse-c"):
        assert reasons[server_side][0] == "encrypt-before-upload"
        assert "after" in reasons[server_side][1]


def test_what_does_not_exist_is_never_chosen():
    for requirement_id in REQUIREMENTS:
        assert CLIENT_S3_MANAGED not in advise([requirement_id]).chosen
    assert set(advise([]).chosen) == ALL


def test_every_line_of_the_table_has_a_source_and_tells_options_apart():
    for each in (EXISTS, *REQUIREMENTS.values()):
        assert each.source.startswith("https://docs.aws.amazon.com/")
        assert each.question.endswith("?")
        assert 0 < len(each.fails) < len(OPTIONS)
        assert all(reason.endswith(".") for reason in each.fails.values())


def test_the_first_failed_requirement_in_the_order_asked_is_named():
    first = {each.option_id: each.requirement_id for each in advise(["audit", "two-layers"]).rejected}
    other = {each.option_id: each.requirement_id for each in advise(["two-layers", "audit"]).rejected}
    assert (first["sse-s3"], other["sse-s3"]) == ("audit", "two-layers")


def test_the_document_has_the_stable_shape():
    document = advise(["encrypt-before-upload"]).document()
    assert set(document) == {"chosen", "rejected"}
    assert all(set(each) == {"id", "requirement", "reason"} for each in document["rejected"])


def test_every_answer_is_what_its_schema_says():
    for required in ([], *([each] for each in REQUIREMENTS), ["audit", "no-kms"]):
        require_valid("advise", advise(required).document())


def test_the_reference_names_the_source_of_each_line():
    page = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "advise.md").read_text()
    rows = [
        f"| `{each.requirement_id}` | {each.question} | {', '.join(each.fails)} | "
        f"[{each.source.rpartition('/')[2]}]({each.source}) |"
        for each in (EXISTS, *REQUIREMENTS.values())
    ]
    assert [line for line in page.splitlines() if "](https://docs.aws.amazon.com/" in line] == rows


def test_an_unknown_requirement_is_refused_with_those_that_are_known():
    with pytest.raises(ConfigError) as refused:
        advise(["encrypt-befor-upload"])
    assert "encrypt-before-upload" in refused.value.advice
