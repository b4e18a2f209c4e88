"""ExplainKey: materials, rotation, what hangs from them, who has which say; and what is counted in pages."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from s3al.explain import counting
from s3al.explain.pictures import picture
from s3al.explain.words import lines
from unit.explain.asking import Desk, ask, cautions


@pytest.fixture
def desk(world):
    return Desk(world.house)


def materials(document):
    return [(one["made_by"], one["state"], one["objects"]) for one in document["materials"]]


def test_each_rotation_adds_a_material_and_objects_stay_where_they_are(desk):
    desk.put("first")
    before = desk.explain_key()
    assert materials(before) == [("creation", "encrypts", 1)]
    desk.kms.rotate_key_on_demand(KeyId=desk.key)
    desk.put("second")
    desk.put("third", "dsse-kms")
    desk.put("none of this key's", "sse-s3")
    after = desk.explain_key()
    assert materials(after) == [("creation", "decrypts", 1), ("on demand", "encrypts", 2)]
    assert after["objects"]["by_mode"] == {"aws:kms": 2, "aws:kms:dsse": 1}
    assert after["objects"]["by_bucket"] == {desk.bucket: 3}
    assert (after["rotation"]["on_demand_done"], after["rotation"]["on_demand_left"]) == (1, 24)
    assert "\n".join(lines(before)) != "\n".join(lines(after))
    assert picture(before) != picture(after)


def test_the_clock_of_rotation(desk):
    assert "no-rotation" in cautions(desk.explain_key())
    desk.kms.enable_key_rotation(KeyId=desk.key, RotationPeriodInDays=90)
    document = desk.explain_key()
    assert document["rotation"]["period_days"] == 90
    assert document["rotation"]["next_at_ms"] > document["asked_at_ms"]
    assert "no-rotation" not in cautions(document)


def import_material(desk, material, **more):
    given = desk.kms.get_parameters_for_import(
        KeyId=desk.key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    sealed = load_der_public_key(given["PublicKey"]).encrypt(material, oaep)
    desk.kms.import_key_material(
        KeyId=desk.key, ImportToken=given["ImportToken"], EncryptedKeyMaterial=sealed,
        ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE", **more,
    )  # fmt: skip


def test_imported_material_is_awaited_encrypts_waits_and_is_gone(desk):
    desk.key = desk.kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["Arn"]
    document = desk.explain_key()
    assert (document["state"], document["materials"]) == ("PendingImport", [])
    assert "key-pending-import" in cautions(document)
    lines(document), picture(document)
    import_material(desk, b"1" * 32)
    desk.put()
    assert materials(desk.explain_key()) == [("import", "encrypts", 1)]
    import_material(desk, b"2" * 32, ImportType="NEW_KEY_MATERIAL")
    assert materials(desk.explain_key()) == [("import", "encrypts", 1), ("import", "waits", 0)]
    desk.kms.rotate_key_on_demand(KeyId=desk.key)
    first = desk.explain_key()["materials"][0]["material_id"]
    desk.kms.delete_imported_key_material(KeyId=desk.key, KeyMaterialId=first)
    document = desk.explain_key()
    assert [one["state"] for one in document["materials"]] == ["gone", "encrypts"]
    lines(document), picture(document)
    assert {"material-gone", "key-pending-import"} <= cautions(desk.explain("object"))


def test_roles_that_are_apart_and_one_person_who_is_both(empty):
    desk = Desk(empty)
    administrator, _ = desk.user()
    user, _ = desk.user()
    manage = {"Sid": "Manage", "Effect": "Allow", "Principal": {"AWS": administrator},
              "Action": ["kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"], "Resource": "*"}  # fmt: skip
    use = {"Sid": "Use", "Effect": "Allow", "Principal": {"AWS": user}, "Action": "kms:Decrypt", "Resource": "*"}
    desk.key_policy(manage, use)
    apart = desk.explain_key()
    assert {"action": "kms:Decrypt", "by": "by key-policy Use"} in held(apart, "users")[user]
    assert administrator in held(apart, "administrators")
    assert not {administrator, user} & set(apart["people"]["both"])
    desk.key_policy(manage, use | {"Principal": {"AWS": [user, administrator]}})
    both = desk.explain_key()
    assert administrator in both["people"]["both"]
    assert any(administrator in one["says"] for one in both["cautions"] if one["id"] == "one-person")
    assert picture(apart) != picture(both)


def held(document, member):
    return {one["principal"]: one["by"] for one in document["people"][member]}


def test_names_of_a_key_all_lead_to_it(desk):
    alias = f"alias/{desk.bucket}"
    desk.kms.create_alias(AliasName=alias, TargetKeyId=desk.key)
    names = [desk.key, desk.key.rpartition("/")[2], alias]
    assert [desk.explain_key(key=name)["arn"] for name in names] == [desk.key] * 3


def test_a_key_that_may_not_be_described_is_answered_as_one_that_is_not_there(world, desk):
    _, keys = desk.user({"Effect": "Allow", "Action": "s3al:ExplainKey", "Resource": "*"})
    hidden = ask(desk.house, "ExplainKey", keys, key=desk.key)
    absent = ask(desk.house, "ExplainKey", keys, key="11111111-1111-1111-1111-111111111111")
    foreign = ask(desk.house, "ExplainKey", key=world.there.key())
    told = {(one.status, one.document["error"]["code"], one.document["error"]["message"])
            for one in (hidden, absent, foreign)}  # fmt: skip
    assert told == {(404, "NoSuchEntity", "There is no such KMS key, or you may not describe it.")}


def test_without_a_grant_a_key_that_exists_answers_like_one_that_does_not(desk):
    _, keys = desk.user()
    answers = [ask(desk.house, "ExplainKey", keys, key=name) for name in (desk.key, "alias/none")]
    assert [one.status for one in answers] == [403, 403]


def test_parts_take_the_permission_that_aws_asks_for_them(desk):
    describes = {"Effect": "Allow", "Action": ["s3al:ExplainKey", "kms:DescribeKey"], "Resource": "*"}
    _, keys = desk.user(describes)
    desk.put()
    document = desk.explain_key(keys)
    assert {one["part"] for one in document["withheld"]} == {"materials", "rotation", "last-use", "people"}
    assert document["materials"] is document["rotation"] is document["last_use"] is document["people"] is None
    assert document["objects"]["looked_at"] == 0  # nor may this caller list any bucket's versions
    lines(document), picture(document)


def test_counting_ends_with_a_page_and_goes_on_where_it_ended(desk, monkeypatch):
    monkeypatch.setattr(counting, "PAGE_VERSIONS", 3)
    other = Desk(desk.house)
    for number in range(4):
        desk.put(f"object-{number}")
        other.s3.put_object(Bucket=other.bucket, Key=f"object-{number}", Body=b"x", ServerSideEncryption="aws:kms",
                            SSEKMSKeyId=desk.key)  # fmt: skip
    desk.s3.delete_object(Bucket=desk.bucket, Key="object-0")
    pages, marker, found, looked_at = 0, None, 0, 0
    while pages == 0 or marker is not None:
        document = desk.key_page(**({} if marker is None else {"marker": marker}))
        assert document["objects"]["looked_at"] <= 3
        assert (document["people"] is None) is (marker is not None)
        found += document["objects"]["under_this_key"]
        looked_at += document["objects"]["looked_at"]
        marker, pages = document.get("next"), pages + 1
    assert found == 7
    whole = desk.explain_key()["objects"]
    assert (whole["under_this_key"], whole["looked_at"]) == (7, looked_at)
    assert whole["by_bucket"] == {desk.bucket: 3, other.bucket: 4}


@pytest.mark.parametrize("marker", [7, [], ["b"], ["b", "zz", None], [1, "", None], ["b", "", 3]])
def test_a_marker_that_is_none_is_refused(desk, marker):
    answer = ask(desk.house, "ExplainKey", key=desk.key, marker=marker)
    assert (answer.status, answer.document["error"]["code"]) == (400, "ValidationError")
