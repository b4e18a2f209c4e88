"""ExplainObject: computed from the store, true of every mode, and told only to who may know."""

from __future__ import annotations

import secrets
import statistics
import time

import pytest

from s3al.client import AesKeyring, KmsKeyring, S3EncryptionClient, S3EncryptionClientConfig
from s3al.explain import counting, objects, operations, readers
from s3al.explain.pictures import picture
from s3al.explain.words import lines
from support.modes import MODES
from support.settings import put_policy
from unit.explain.asking import Desk, ask, cautions, check, outcome


@pytest.fixture(scope="module")
def desk(world):
    made = Desk(world.house)
    made.put_every_mode(40_000)
    return made


def kinds(document):
    return [node["kind"] for node in document["keys"]]


CHAINS = {
    "sse-s3": ["data-key", "service-material", "root", "seal"],
    "sse-kms": ["data-key", "kms-material", "root", "seal"],
    "sse-kms with a bucket key": ["data-key", "bucket-key", "kms-material", "root", "seal"],
    "dsse-kms": ["data-key", "data-key", "kms-material", "service-material", "root", "seal"],
    "sse-c": ["data-key", "customer-key"],
}


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_has_its_chain_of_keys_each_opened_by_another(desk, mode):
    document = desk.explain(mode)
    assert kinds(document) == CHAINS[mode]
    names = {node["id"] for node in document["keys"]}
    assert all(set(node["opened_by"]) <= names for node in document["keys"])
    ends = {node["kind"] for node in document["keys"] if not node["opened_by"]}
    assert ends == {CHAINS[mode][-1]}


@pytest.mark.parametrize("mode", MODES)
def test_what_is_said_of_the_disk_is_what_lies_there(desk, mode):
    document = desk.explain(mode)
    [file] = document["disk"]["files"]
    raw = (desk.house.config.data / file).read_bytes()
    assert len(raw) == document["streams"]["sealed_bytes"]
    assert raw[1:33].hex() == document["streams"]["salt"]
    assert document["streams"]["plaintext_bytes"] == document["size_bytes"] == 40_000


# data folder, disk with the keyfile on it, rows in the clear, KMS key, memory
TAKEN = {
    "sse-s3": ("nothing", "bytes", "names", None, "bytes"),
    "sse-kms": ("nothing", "bytes", "names", "nothing", "bytes"),
    "sse-kms with a bucket key": ("nothing", "bytes", "names", "nothing", "bytes"),
    "dsse-kms": ("nothing", "bytes", "names", "nothing", "bytes"),
    "sse-c": ("nothing", "metadata", "names", None, "metadata"),
}


@pytest.mark.parametrize("mode", MODES)
def test_what_each_thief_reads(desk, mode):
    document = desk.explain(mode)
    thieves = ("data folder", "disk", "database", "KMS key", "server's memory")
    reads = {one["thief"]: one["reads"] for one in document["thieves"]}
    assert tuple(reads.get(thief) for thief in thieves) == TAKEN[mode]
    assert "seal-beside-data" in cautions(document)


def test_the_network_is_judged_by_how_the_request_came(desk):
    assert outcome(desk.explain("sse-s3"), "network") == "nothing"
    plain = ask(desk.house, "ExplainObject", secure=False, bucket=desk.bucket, key="sse-s3").document
    assert outcome(plain, "network") == "bytes"


def client_of(desk, keyring):
    return S3EncryptionClient(desk.s3, S3EncryptionClientConfig(keyring=keyring))


def test_of_a_clients_own_key_nothing_here_opens_the_bytes(desk):
    client_of(desk, AesKeyring(secrets.token_bytes(32))).put_object(Bucket=desk.bucket, Key="own", Body=b"x")
    document = desk.explain("own")
    assert document["client_side"]["format"] == "V3"
    assert [layer["who"] for layer in document["encrypted_by"]] == ["client", "server"]
    assert "bytes" not in {one["reads"] for one in document["thieves"]}
    assert document["readers"]["also_takes"] == ["client"]
    assert "client-key-here" not in cautions(document)


def test_a_clients_key_in_this_kms_is_named_and_its_users_are_the_readers(desk):
    client_of(desk, KmsKeyring(desk.kms, desk.key)).put_object(Bucket=desk.bucket, Key="client-kms", Body=b"x")
    document = desk.explain("client-kms")
    [material] = [node for node in document["keys"] if node["kind"] == "kms-material"]
    assert material["key_arn"] == desk.key
    assert outcome(document, "disk") == "bytes"  # this server keeps the KMS key too
    assert outcome(document, "network") == "nothing"
    assert "client-key-here" in cautions(document)
    assert any(one["action"] == "kms:Decrypt" for one in document["readers"]["may_read"][0]["by"])


def test_both_layers_may_hang_from_kms_keys_each_with_its_own_state(world):
    desk = Desk(world.house)
    theirs = desk.kms.create_key()["KeyMetadata"]["Arn"]
    client = client_of(desk, KmsKeyring(desk.kms, theirs))
    client.put_object(Bucket=desk.bucket, Key="both", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=desk.key)
    desk.kms.rotate_key_on_demand(KeyId=desk.key)
    before = desk.explain("both")
    materials = {node["id"]: node["key_arn"] for node in before["keys"] if node["kind"] == "kms-material"}
    assert materials == {"kms-material": desk.key, "client-kms-material": theirs}
    assert "older-material" in cautions(before)
    assert len(before["readers"]["may_read"][0]["by"]) == 3  # GetObject, and Decrypt with each key
    desk.kms.disable_key(KeyId=theirs)
    after = desk.explain("both")
    assert "key-disabled" in cautions(after)
    assert not after["readers"]["may_read"]
    assert lines(before) != lines(after)
    assert picture(before) != picture(after)


def test_an_instruction_file_beside_the_object_is_seen(desk):
    desk.put("v1", "sse-s3")
    assert desk.explain("v1")["client_side"] is None
    desk.put("v1.instruction", "sse-s3", Metadata={"x-amz-crypto-instr-file": ""})
    assert desk.explain("v1")["client_side"]["key_place"] == "instruction file"


def test_explaining_takes_the_server_less_than_20_ms(empty, monkeypatch):
    """Of its processor: with as many people as are asked about at once, and two layers."""
    desk, spent = Desk(empty), []
    desk.put("wide", "dsse-kms")
    for number in range(counting.PAGE_VERSIONS):
        desk.put(f"{number}")
    for _ in range(readers.MOST_PEOPLE):
        desk.user({"Effect": "Allow", "Action": ["s3:*", "kms:*"], "Resource": "*"})

    def timed(work):
        def run(*given):
            begun = time.thread_time()
            done = work(*given)
            spent.append(time.thread_time() - begun)
            return done

        return run

    monkeypatch.setattr(objects, "explain_object", timed(objects.explain_object))
    monkeypatch.setattr(operations, "explain_key", timed(operations.explain_key))
    for explain in (lambda: desk.explain("wide"), desk.key_page):
        spent.clear()
        for _ in range(15):
            explain()
        assert len(spent) == 15
        assert statistics.median(spent) < 0.020


# --- one thing changes, and the document, the text and the picture change with it


def seen(document):
    """The explanation in its three forms, without what differs from call to call."""
    fixed = document | {"asked_at_ms": 0}
    return fixed, lines(fixed), picture(fixed)


def changed(desk, object_key, change):
    before = seen(desk.explain(object_key))
    assert before == seen(desk.explain(object_key)), "the same store gives the same explanation"
    change()
    after = seen(desk.explain(object_key))
    assert all(old != new for old, new in zip(before, after, strict=True))
    return before[0], after[0]


def test_a_statement_of_the_key_policy(empty):
    desk = Desk(empty)
    arn, _ = desk.user({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    desk.put()
    share = {"Sid": "ShareWithTheAdministrator", "Effect": "Allow", "Principal": {"AWS": arn},
             "Action": "kms:Decrypt", "Resource": "*"}  # fmt: skip
    before, after = changed(desk, "object", lambda: desk.key_policy(share))

    def who(document):
        return {one["principal"]: one["by"] for one in document["readers"]["may_read"]}

    assert arn not in who(before)
    assert {"action": "kms:Decrypt", "by": "by key-policy ShareWithTheAdministrator"} in who(after)[arn]
    [administrator] = [one for one in after["thieves"] if one["thief"] == "S3 administrator"]
    assert f"{arn} may decrypt, by key-policy ShareWithTheAdministrator" in administrator["because"]


def test_a_deny_of_the_bucket_policy(empty):
    desk = Desk(empty)
    arn, _ = desk.user({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    desk.put(mode="sse-s3")
    deny = {"Sid": "NotHim", "Effect": "Deny", "Principal": {"AWS": arn}, "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{desk.bucket}/*"}  # fmt: skip
    before, after = changed(desk, "object", lambda: put_policy(desk.s3, desk.bucket, deny))
    assert arn in {one["principal"] for one in before["readers"]["may_read"]}
    assert arn in {one["principal"] for one in after["readers"]["may_not"]}


def test_a_rotation(world):
    desk = Desk(world.house)
    desk.put()
    before, after = changed(desk, "object", lambda: desk.kms.rotate_key_on_demand(KeyId=desk.key))
    assert "older-material" not in cautions(before)
    assert "older-material" in cautions(after)
    [material] = [node for node in after["keys"] if node["kind"] == "kms-material"]
    assert (material["sequence"], material["newest_sequence"], material["is_current"]) == (1, 2, False)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda desk: desk.kms.disable_key(KeyId=desk.key), "key-disabled"),
        (lambda desk: desk.kms.schedule_key_deletion(KeyId=desk.key), "key-pending-deletion"),
    ],
    ids=["disabled", "scheduled for deletion"],
)
def test_a_state_of_the_key(world, change, told):
    desk = Desk(world.house)
    desk.put()
    before, after = changed(desk, "object", lambda: change(desk))
    assert told not in cautions(before)
    assert told in cautions(after)
    assert before["readers"]["may_read"]
    assert not after["readers"]["may_read"]
    assert outcome(before, "account's root") == "bytes"
    assert outcome(after, "account's root") == "metadata"


def test_administrators_apart_from_the_root_of_their_account(world):
    desk = Desk(world.house)
    desk.put()
    keeper, _ = desk.user({"Effect": "Allow", "Action": "s3:PutBucketPolicy", "Resource": "*"})
    admin, _ = desk.user()
    manage = {"Sid": "Manage", "Effect": "Allow", "Principal": {"AWS": admin}, "Action": "kms:PutKeyPolicy",
              "Resource": "*"}  # fmt: skip
    before, after = changed(desk, "object", lambda: desk.key_policy(manage))
    thieves = {one["thief"]: one for one in after["thieves"]}
    assert outcome(before, "key administrator") == outcome(after, "key administrator") == "nothing"
    assert admin in thieves["key administrator"]["has"]
    assert admin not in str(before["thieves"])
    assert keeper in thieves["S3 administrator"]["has"]
    assert outcome(after, "S3 administrator") == "metadata"
    assert outcome(after, "account's root") == "bytes"


def test_rotation_by_the_clock(world):
    desk = Desk(world.house)
    desk.put()
    before, after = changed(desk, "object", lambda: desk.kms.enable_key_rotation(KeyId=desk.key))
    assert "no-rotation" in cautions(before)
    assert "no-rotation" not in cautions(after)


def test_a_data_key_and_an_etag_that_were_kept(world):
    desk = Desk(world.house)
    desk.put(mode="sse-s3")
    target = {"SSEKMS": {"KMSKeyArn": desk.key}}

    def update():
        desk.s3.update_object_encryption(Bucket=desk.bucket, Key="object", ObjectEncryption=target)

    _, after = changed(desk, "object", update)
    assert {"etag-is-md5", "data-key-kept"} <= cautions(after)
    assert "one-off-key" in kinds(after)
    source = {"Bucket": desk.bucket, "Key": "object"}
    desk.s3.copy_object(Bucket=desk.bucket, Key="object", CopySource=source, ServerSideEncryption="aws:kms",
                        SSEKMSKeyId=desk.key)  # fmt: skip
    assert not {"etag-is-md5", "data-key-kept"} & cautions(desk.explain("object"))


def test_parts_are_streams_each_with_its_file(world):
    desk, s3 = Desk(world.house), world.house.client()
    parts = {"Bucket": desk.bucket, "Key": "parts"}
    upload = s3.create_multipart_upload(**parts, ServerSideEncryption="aws:kms:dsse", SSEKMSKeyId=desk.key)["UploadId"]
    sizes = [5 << 20] * 2 + [300]
    tags = [
        s3.upload_part(**parts, UploadId=upload, PartNumber=number, Body=b"x" * size)["ETag"]
        for number, size in enumerate(sizes, 1)
    ]
    listed = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
    s3.complete_multipart_upload(**parts, UploadId=upload, MultipartUpload={"Parts": listed})
    document = desk.explain("parts")
    streams = document["streams"]
    assert (streams["count"], streams["in_blobs"], streams["in_rows"], streams["more"]) == (3, 2, 1, 0)
    assert [one["plaintext_bytes"] for one in streams["shown"]] == sizes
    found = [(desk.house.config.data / file).stat().st_size for file in document["disk"]["files"]]
    assert found == [one["sealed_bytes"] for one in streams["shown"][:2]]
    assert streams["sealed_bytes"] == sum(one["sealed_bytes"] for one in streams["shown"])
    assert len(lines(document)) > 20
    assert "and 2 more" in picture(document)


def test_each_version_is_explained_as_it_is(world):
    desk = Desk(world.house)
    desk.s3.put_bucket_versioning(Bucket=desk.bucket, VersioningConfiguration={"Status": "Enabled"})
    desk.put(mode="sse-s3")
    desk.put(mode="dsse-kms")
    versions = desk.s3.list_object_versions(Bucket=desk.bucket)["Versions"]
    found = [desk.explain("object", version_id=one["VersionId"])["mode"] for one in versions]
    assert found == ["aws:kms:dsse", "AES256"]


def test_an_object_that_is_open_to_all_says_so(world):
    desk = Desk(world.house)
    desk.put(mode="sse-s3")
    assert "anonymous" not in {one["principal"] for one in desk.explain("object")["readers"]["may_read"]}
    desk.s3.delete_public_access_block(Bucket=desk.bucket)
    everybody = {"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
                 "Resource": f"arn:aws:s3:::{desk.bucket}/*"}  # fmt: skip
    _, after = changed(desk, "object", lambda: put_policy(desk.s3, desk.bucket, everybody))
    [anybody] = [one for one in after["readers"]["may_read"] if one["principal"] == "anonymous"]
    assert anybody["by"] == [{"action": "s3:GetObject", "by": "by bucket-policy Open"}]
    desk.put()  # under a KMS key
    assert "anonymous" not in {one["principal"] for one in desk.explain("object")["readers"]["may_read"]}


def test_somebody_of_another_account_reads_if_both_policies_name_him_and_his_account_agrees(world):
    desk, them = Desk(world.house), world.there.root
    desk.put()
    theirs = {"Sid": "Them", "Effect": "Allow", "Principal": {"AWS": them}, "Action": "s3:GetObject",
              "Resource": f"arn:aws:s3:::{desk.bucket}/*"}  # fmt: skip
    put_policy(desk.s3, desk.bucket, theirs)
    [refused] = [one for one in desk.explain("object")["readers"]["may_not"] if one["principal"] == them]
    assert [one["action"] for one in refused["refused"]] == ["kms:Decrypt"]
    desk.key_policy({"Sid": "Them", "Effect": "Allow", "Principal": {"AWS": them}, "Action": "kms:*", "Resource": "*"})
    document = desk.explain("object")
    [reader] = [one for one in document["readers"]["may_read"] if one["principal"] == them]
    assert reader["elsewhere"]
    assert any(f"{them} (if that account lets it)" in line for line in lines(document))
    assert them in {one["principal"] for one in desk.explain_key()["people"]["users"]}


# --- who is told


def absent(answer):
    return (answer.status, answer.document["error"])


def test_what_may_not_be_read_is_answered_as_what_is_not_there(desk):
    explains = {"Effect": "Allow", "Action": "s3al:ExplainObject", "Resource": "*"}
    _, keys = desk.user(explains)
    refused = ask(desk.house, "ExplainObject", keys, bucket=desk.bucket, key="sse-s3")
    missing = ask(desk.house, "ExplainObject", keys, bucket=desk.bucket, key="nothing")
    elsewhere = ask(desk.house, "ExplainObject", keys, bucket="no-such-bucket-at-all", key="x")
    assert absent(refused) == absent(missing) == absent(elsewhere)
    assert refused.status == 404


def test_without_the_operators_grant_nothing_is_told_not_even_by_the_error(desk):
    _, keys = desk.user({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    answers = [ask(desk.house, "ExplainObject", keys, bucket=desk.bucket, key=name) for name in ("sse-s3", "nothing")]
    assert [one.status for one in answers] == [403, 403]
    messages = {one.document["error"]["message"].replace("sse-s3", "X").replace("nothing", "X") for one in answers}
    assert len(messages) == 1


def test_parameters_of_the_question_are_no_condition_keys_of_it(world):
    """Who may read only with a condition met cannot meet it by a member of the question."""
    desk = Desk(world.house)
    desk.put(mode="sse-s3")
    only = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*",
            "Condition": {"StringEquals": {"s3:prefix": "a/"}}}  # fmt: skip
    _, keys = desk.user({"Effect": "Allow", "Action": "s3al:*", "Resource": "*"}, only)
    answer = ask(desk.house, "ExplainObject", keys, bucket=desk.bucket, key="object", Prefix="a/", prefix="a/")
    assert answer.status == 404


def test_parts_that_the_caller_may_not_know_are_left_out_and_named(desk):
    reads = {"Effect": "Allow", "Action": ["s3al:ExplainObject", "s3:GetObject"], "Resource": "*"}
    _, keys = desk.user(reads)
    document = desk.explain("sse-kms", keys)
    assert document["readers"] is None
    assert "S3 administrator" not in {one["thief"] for one in document["thieves"]}
    assert {one["part"] for one in document["withheld"]} == {"kms-key", "readers", "seals"}
    [material] = [node for node in document["keys"] if node["kind"] == "kms-material"]
    assert material == {"id": "kms-material", "kind": "kms-material", "key_arn": desk.key, "known": False,
                        "opened_by": []}  # fmt: skip
    lines(document), picture(document)


def test_another_account_explains_its_own_objects_without_the_stores_seals(world, desk):
    bucket = world.there.bucket()
    world.there.client().put_object(Bucket=bucket, Key="x", Body=b"x")
    answer = ask(desk.house, "ExplainObject", world.there.root_keys, bucket=bucket, key="x")
    document = check(answer.document)
    assert {"part": "seals", "needs": ["s3al:GetSealStatus"]} in document["withheld"]
    assert "seal" not in kinds(document)
    assert not {"one-seal", "seal-beside-data"} & cautions(document)
    [disk] = [one for one in document["thieves"] if one["thief"] == "disk"]
    assert "may not be told" in disk["unless"]
    told = {one["principal"] for one in document["readers"]["may_read"]}
    assert world.there.root in told
    assert all(f"::{world.there.account_id}:" in name for name in told)
    theirs = [ask(desk.house, "ExplainObject", world.there.root_keys, bucket=name, key="x").status
              for name in (desk.bucket, "no-such-bucket-at-all")]  # fmt: skip
    assert theirs == [403, 403]


def test_an_object_of_another_account_is_not_there(world, desk):
    name = world.there.bucket()
    world.there.client().put_object(Bucket=name, Key="x", Body=b"x")
    allow = {"Effect": "Allow", "Principal": {"AWS": desk.account}, "Action": "s3:GetObject",
             "Resource": f"arn:aws:s3:::{name}/*"}  # fmt: skip
    world.there.bucket_policy(name, allow)
    assert desk.s3.get_object(Bucket=name, Key="x")["Body"].read() == b"x"
    assert ask(desk.house, "ExplainObject", bucket=name, key="x").status == 404


def test_a_missing_blob_is_said_and_the_rest_is_told(world):
    desk = Desk(world.house)
    desk.put(mode="sse-s3", Body=b"x" * 40_000)
    [file] = desk.explain("object")["disk"]["files"]
    (desk.house.config.data / file).unlink()
    document = desk.explain("object")
    assert "damaged" in cautions(document)
    assert document["streams"]["salt"] is None
    desk.s3.delete_object(Bucket=desk.bucket, Key="object")


@pytest.mark.parametrize(
    "members", [{}, {"bucket": "b"}, {"bucket": "b", "key": 7}, {"bucket": "b", "key": "k", "version_id": 7}]
)
def test_malformed_questions_are_refused(desk, members):
    answer = ask(desk.house, "ExplainObject", **members)
    assert (answer.status, answer.document["error"]["code"]) == (400, "ValidationError")
