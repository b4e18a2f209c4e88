"""Why a request was refused, by its id: who is told how much, on every worker, and how little is kept."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from s3al.auth.principal import ANONYMOUS, Principal
from s3al.errors import StoreError
from s3al.service import refusals as memory
from s3al.service.refusals import Refused
from s3al.store import identities, refusals
from s3al.store.refusals import RefusalRow
from support.people import Person, allow, deny, trust
from support.processes import eventually
from unit.explain.test_decisions import arn
from unit.explain.test_remedies import heal, stored
from unit.explain.world import World


def refused_id(ask: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as error:
        ask()
    assert "AccessDenied" in error.value.response["Error"]["Code"] or error.value.response["Error"]["Code"] == "403"
    found: str = error.value.response["ResponseMetadata"]["RequestId"]
    return found


def why(world: World, request_id: str, **more: Any) -> Any:
    return world.own("WhyDenied", request_id=request_id, **more)


def somebody(world: World, *statements: dict[str, Any], there: bool = False) -> Person:
    return (world.there if there else world.here).user(f"u-{secrets.token_hex(4)}", *statements)


def test_the_statement_that_denied_is_told_and_the_change_helps(world: World) -> None:
    here = world.here
    bucket, person = stored(here), somebody(world, allow("s3:*"))
    here.bucket_policy(bucket, deny("s3:GetObject", arn(bucket, "*"), Sid="Shut", Principal="*"))
    s3 = here.client("s3", person)
    request_id = refused_id(lambda: s3.get_object(Bucket=bucket, Key="k"))
    for keys in (None, here.root_keys):
        told = why(world, request_id, by=keys)
        assert (told["operation"], told["principal"], told["detail"]) == ("GetObject", person.arn, "full")
        assert told["then"]["effect"] == "explicit-deny" and told["then"]["statement"]["sid"] == "Shut"
        assert told["then"]["context"]["aws:SecureTransport"] == "true"
        assert told["now"]["verdicts"][0]["by"]["sid"] == "Shut"
    heal(world, told["now"])
    s3.get_object(Bucket=bucket, Key="k")
    again = why(world, request_id, by=here.root_keys)
    assert again["then"]["statement"]["sid"] == "Shut"
    assert again["now"]["allowed"] and again["hint"] == "It would be allowed now."


def test_another_worker_knows_it_soon_and_it_outlives_the_worker(world: World) -> None:
    bucket, person = stored(world.here), somebody(world)
    s3 = world.here.client("s3", person)
    request_id = refused_id(lambda: s3.get_object(Bucket=bucket, Key="k"))
    assert why(world, request_id)["operation"] == "GetObject"  # at once, where it was refused
    eventually("the other worker knows it", lambda: "operation" in why(world, request_id, worker=1))
    assert why(world, request_id, worker=1)["then"]["action"] == "s3:GetObject"


def test_the_use_of_a_key_that_was_refused_within_s3_is_what_is_explained(world: World) -> None:
    here = world.here
    key = here.key()
    bucket = stored(here, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    person = somebody(world, allow("s3:*"))
    s3 = here.client("s3", person)
    request_id = refused_id(lambda: s3.get_object(Bucket=bucket, Key="k"))
    told = why(world, request_id, by=here.root_keys)
    assert (told["operation"], told["then"]["action"], told["then"]["resource"]) == ("GetObject", "kms:Decrypt", key)
    assert told["then"]["context"]["kms:ViaService"] == "s3.us-east-1.amazonaws.com"
    heal(world, told["now"])
    s3.get_object(Bucket=bucket, Key="k")
    blob = here.client("kms").encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    stranger = here.client("kms", somebody(world))
    request_id = refused_id(lambda: stranger.decrypt(CiphertextBlob=blob))  # the KMS hides which key
    assert why(world, request_id, by=here.root_keys)["then"]["resource"] == key


def test_he_who_was_refused_is_told_what_he_was_told_and_whom_to_ask(world: World) -> None:
    here = world.here
    bucket, person = stored(here), somebody(world, allow("s3:GetObject"))
    here.bucket_policy(bucket, deny("s3:*", arn(bucket, "*"), Sid="Hidden", Principal="*"))
    s3 = here.client("s3", person)
    for object_key in ("k", "not-there"):
        request_id = refused_id(lambda object_key=object_key: s3.get_object(Bucket=bucket, Key=object_key))
        told = why(world, request_id, by=person.keys)
        assert told["detail"] == "own" and told["then"] is told["now"] is None
        assert "Hidden" not in json.dumps(told) and "root of the account" in told["hint"]
    let = here.user(f"let-{secrets.token_hex(4)}", allow("s3al:WhyDenied"))
    assert why(world, request_id, by=let.keys)["detail"] == "full"


def test_whoever_has_no_part_in_it_cannot_tell_it_from_none(world: World) -> None:
    bucket, person, other = stored(world.here), somebody(world), somebody(world)
    request_id = refused_id(lambda: world.here.client("s3", person).get_object(Bucket=bucket, Key="k"))
    absent = why(world, "0123456789ABCDEF", by=world.there.root_keys)
    assert absent["status"] == 404
    assert why(world, request_id, by=world.there.root_keys) == absent
    assert why(world, request_id, by=somebody(world, allow("s3al:*"), there=True).keys) == absent
    assert why(world, request_id, by=other.keys)["status"] == 403  # of the account, but not let


def test_of_a_guest_each_account_is_told_its_own_side(world: World) -> None:
    bucket = stored(world.here)
    guest = somebody(world, deny("s3:*", Sid="GuestSide"), there=True)
    request_id = refused_id(lambda: world.there.client("s3", guest).get_object(Bucket=bucket, Key="k"))
    host, home = (why(world, request_id, by=place.root_keys) for place in (world.here, world.there))
    assert "GuestSide" not in json.dumps(host) and host["then"]["effect"] == "implicit-deny"
    assert home["then"]["statement"]["sid"] == "GuestSide"
    assert why(world, request_id)["then"]["statement"]["sid"] == "GuestSide"
    own = why(world, request_id, by=guest.keys)
    assert own["detail"] == "own"


def test_what_is_there_in_another_account_does_not_follow_from_what_is_told(world: World) -> None:
    here, there = world.here, world.there
    key, guest = here.key(), somebody(world, allow(["s3:*", "kms:*"]), there=True)
    bucket = stored(here, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    here.bucket_policy(bucket, allow("s3:GetObject", arn(bucket, "*"), Principal={"AWS": there.root}))
    s3, kms = there.client("s3", guest), there.client("kms", guest)
    absent = key[:-36] + "00000000-0000-4000-8000-000000000000"
    asked = [
        [lambda name=name: s3.get_object(Bucket=bucket, Key=name) for name in ("k", "not-there")],
        [lambda arn=arn: kms.describe_key(KeyId=arn) for arn in (key, absent)],
    ]
    for pair in asked:
        told = []
        for ask in pair:
            document = why(world, refused_id(ask), by=there.root_keys)
            told.append({name: document[name] for name in ("detail", "then", "now", "hint", "operation")})
        assert told[0] == told[1] and told[0]["detail"] == "own" and key not in str(told)
    assert why(world, refused_id(asked[0][0]), by=here.root_keys)["then"]["action"] == "kms:Decrypt"


def test_a_namesake_is_not_the_one_who_was_refused(world: World) -> None:
    here, name = world.here, f"u-{secrets.token_hex(4)}"
    bucket, first = stored(here), here.user(name)
    request_id = refused_id(lambda: here.client("s3", first).get_object(Bucket=bucket, Key="k"))
    assert why(world, request_id, by=first.keys)["detail"] == "own"
    world.write(lambda rows: identities.delete_identity(rows, first.arn))
    second = here.user(name)
    assert second.arn == first.arn
    assert why(world, request_id, by=second.keys)["status"] == 403


def test_a_session_is_explained_with_its_own_policy(world: World) -> None:
    here = world.here
    bucket, boss = stored(here), somebody(world, allow("sts:AssumeRole"))
    role = here.role(f"r-{secrets.token_hex(4)}", trust({"AWS": here.root}), allow("s3:*"))
    narrow = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:ListBucket")]})
    taken = here.client("sts", boss).assume_role(RoleArn=role.arn, RoleSessionName="narrow", Policy=narrow)
    found = taken["Credentials"]
    s3 = world.house.client(
        aws_access_key_id=found["AccessKeyId"], aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )  # fmt: skip
    request_id = refused_id(lambda: s3.get_object(Bucket=bucket, Key="k"))
    told = why(world, request_id, by=here.root_keys)
    assert "session policy" in told["then"]["reason"] and not told["now"]["allowed"]
    assert told["principal"].endswith("/narrow")
    # The bucket's policy is limited by the session where it names the role, and only a session by its own name is not.
    assert told["now"]["remedy"]["verified"] is False


def test_anonymous_callers_and_head_requests_are_remembered_too(world: World) -> None:
    bucket = stored(world.here)
    answer = world.house.ask("HEAD", f"/{bucket}/k")
    assert answer.status == 403
    told = why(world, answer.headers["x-amz-request-id"], by=world.here.root_keys)
    assert (told["principal"], told["operation"]) == ("anonymous", "HeadObject")
    assert why(world, answer.headers["x-amz-request-id"], by=world.there.root_keys)["status"] == 404


def test_a_resource_that_is_gone_since_is_said_so(world: World) -> None:
    here = world.here
    bucket, person = here.bucket(), somebody(world)
    request_id = refused_id(lambda: here.client("s3", person).list_objects_v2(Bucket=bucket))
    here.client().delete_bucket(Bucket=bucket)
    told = why(world, request_id, by=here.root_keys)
    assert told["now"] is None and "cannot be decided again" in told["hint"]
    assert told["then"]["action"] == "s3:ListBucket"


def test_a_refusal_without_a_policy_says_so(world: World) -> None:
    here = world.here
    bucket, role = here.bucket(), here.role(f"r-{secrets.token_hex(4)}", trust({"AWS": "*"}))
    asked = here.client("sts").assume_role
    request_id = refused_id(lambda: asked(RoleArn=role.arn, RoleSessionName="root"))
    assert "message says why" in why(world, request_id)["hint"]
    wrong = here.client().list_objects_v2
    request_id = refused_id(lambda: wrong(Bucket=bucket, ExpectedBucketOwner="000000000000"))
    assert why(world, request_id)["then"] is None


@pytest.mark.parametrize("members", [{}, {"request_id": 7}, {"request_id": ""}])
def test_bad_questions_are_refused(world: World, members: dict[str, Any]) -> None:
    assert world.own("WhyDenied", **members)["status"] == 400


def test_a_wrong_signature_and_an_unknown_key_are_remembered_for_nobody(world: World) -> None:
    s3 = world.house.client(
        aws_access_key_id=world.here.root_key.access_key_id, aws_secret_access_key="wrong",
        config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip
    with pytest.raises(ClientError, match="SignatureDoesNotMatch") as error:
        s3.list_buckets()
    assert why(world, error.value.response["ResponseMetadata"]["RequestId"])["status"] == 404


def test_a_customers_key_is_not_remembered(world: World) -> None:
    here = world.here
    bucket, person, key = here.bucket(), somebody(world), secrets.token_bytes(32)
    s3 = here.client("s3", person)
    request_id = refused_id(
        lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"x", SSECustomerAlgorithm="AES256", SSECustomerKey=key)
    )
    eventually("the other worker knows it", lambda: "operation" in why(world, request_id, worker=1))
    [[text]] = world.read(lambda rows: rows.all("SELECT document FROM refusals WHERE request_id = ?", (request_id,)))
    assert base64.b64encode(key).decode() not in text and person.access_key.access_key_id not in text
    assert json.loads(text)["weighed"]["action"] == "s3:PutObject"


# --- bounds


def row(number: int, principal: str, at: int) -> RefusalRow:
    return RefusalRow(f"{number:016X}", at, principal, "1", "1", "{}")


def test_rows_are_bounded_by_age_by_principal_and_in_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "KEPT_OF_A_PRINCIPAL", 3)
    monkeypatch.setattr(refusals, "KEPT_IN_ALL", 5)
    now = 10 * refusals.KEPT_MS

    class Undone(Exception):
        pass

    def write(rows: Any) -> None:
        rows.run("DELETE FROM refusals")
        refusals.add_refusals(rows, [row(1, "old", now - refusals.KEPT_MS - 1)], now)
        assert refusals.find_refusal(rows, f"{1:016X}", now) is None
        refusals.add_refusals(rows, [row(n, "loud", now + n) for n in range(10, 20)], now)
        kept = rows.all("SELECT request_id FROM refusals ORDER BY 1")
        assert [int(name, 16) for (name,) in kept] == [17, 18, 19]
        refusals.add_refusals(rows, [row(n, f"p{n}", now + n) for n in range(30, 34)], now)
        kept = rows.all("SELECT request_id FROM refusals ORDER BY 1")
        assert [int(name, 16) for (name,) in kept] == [19, 30, 31, 32, 33]
        assert refusals.find_refusal(rows, f"{19:016X}", now) and not refusals.find_refusal(
            rows, f"{19:016X}", now + 2 * refusals.KEPT_MS
        )
        raise Undone

    with pytest.raises(Undone):
        world.write(write)


def test_one_who_is_refused_all_the_time_leaves_room_for_others() -> None:
    noted = memory.Refusals(None, lambda: 1)  # type: ignore[arg-type]
    noted._task = object()  # type: ignore[assignment]  # nothing is stored here
    other = Principal("user", "1", "arn:aws:iam::1:user/other", "AIDA")
    for number in range(10_000):
        noted.note(Refused(f"a{number}", 1, "s3", "GetObject", ANONYMOUS, "m"))
    noted.note(Refused("b", 1, "s3", "GetObject", other, "m"))
    assert len(noted._waiting) == memory._MOST_WAITING_OF_ONE + 1 and "b" in noted._waiting


class Database:
    """A catalog that keeps what is stored, or cannot. writes: how often it was tried."""

    def __init__(self, error: StoreError | None = None) -> None:
        self.error, self.writes = error, 0

    async def write(self, fn: Callable[[Any], Any]) -> None:
        self.writes += 1
        if self.error:
            raise self.error


def test_what_waits_is_stored_together_and_at_the_end() -> None:
    database = Database()

    async def run() -> None:
        noted = memory.Refusals(database, lambda: 1)  # type: ignore[arg-type]
        for number in range(5):
            noted.note(Refused(f"r{number}", 1, "s3", "GetObject", ANONYMOUS, "m"))
        await noted.stop()
        assert not noted._waiting
        await noted.stop()

    asyncio.run(run())
    assert database.writes == 1


def test_a_refusal_that_cannot_be_stored_is_said_and_let_go() -> None:
    told: list[StoreError] = []
    database = Database(StoreError("full"))

    async def run() -> None:
        noted = memory.Refusals(database, lambda: 1, told.append)  # type: ignore[arg-type]
        noted.note(Refused("r", 1, "s3", "GetObject", ANONYMOUS, "m"))
        await noted.stop()
        assert not noted._waiting

    asyncio.run(run())
    assert told == [database.error]


def test_too_much_context_is_left_out() -> None:
    big = Principal("user", "1", "arn:aws:iam::1:user/other", "AIDA", tags={"t": "x" * 100_000})
    text = Refused("b", 1, "s3", "GetObject", big, "m").to_row().document
    assert len(text) < memory._MAX_CHARACTERS
