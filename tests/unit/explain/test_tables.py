"""Decisions as text and picture: they change with the policy, and no name can change them."""

from __future__ import annotations

import re
import secrets
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from s3al.advice.key_policy import separated
from s3al.explain.matrix_picture import matrix_picture
from s3al.explain.tables import can_lines, joined, matrix_lines, why_lines
from support.people import allow, deny
from support.schemas import require_valid
from unit.explain.test_decisions import arn
from unit.explain.test_refused import refused_id, why
from unit.explain.test_remedies import stored
from unit.explain.world import World

UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def cells(document: Any, principal: str) -> dict[tuple[str, str], Any]:
    row = next(row for row in document["rows"] if row["principal"] == principal)
    columns = ((column["action"], column["via"]) for column in document["columns"])
    return dict(zip(columns, row["cells"], strict=True))


def marks(lines: list[str], action: str) -> str:
    return next(line for line in lines if line.strip().startswith(f"{action} ")).strip()


def test_one_changed_statement_changes_api_text_and_picture_alike(world: World) -> None:
    place = world.place()
    user = place.user("ann")
    key = place.key()
    policy = separated(place.account_id, users=[user.arn])
    seen = []
    for effect in ("Allow", "Deny"):
        policy["Statement"][-1]["Effect"] = effect
        world.key_policy(key, policy)
        document = joined([world.own("WhoMayUseKey", key=key)])
        require_valid("key-who", document)
        lines, picture = matrix_lines(document), matrix_picture(document)
        cell = cells(document, user.arn)["kms:Decrypt", "direct"]
        seen.append((cell["effect"], marks(lines, "Decrypt"), picture))
        statement = document["statements"][cell["statement"]]
        assert statement["sid"] == "UsersUse" and statement["statement"]["Effect"] == effect
        assert f"UsersUse of the key policy, which {effect.lower().replace('deny', 'denie')}s" in "\n".join(lines)
    (allowed, with_allow, drawn), (denied, with_deny, redrawn) = seen
    assert (allowed, denied) == ("allow", "explicit-deny")
    assert "\u2713" in with_allow and "\u2713" not in with_deny and "\u2717" in with_deny
    assert drawn != redrawn and "\u2717" not in drawn and "\u2717" in redrawn and "UsersUse" in drawn


def test_pages_joined_are_the_matrix_as_a_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from s3al.explain import asking

    place = world.place()
    for number in range(4):
        place.user(f"user-{number}", allow(["kms:Decrypt", "kms:DescribeKey"]))
    key = place.key()
    whole = joined([world.own("WhoMayUseKey", key=key)])
    monkeypatch.setattr(asking, "PAGE", 2)
    pages = [world.own("WhoMayUseKey", key=key)]
    while "next" in pages[-1]:
        require_valid("key-who", pages[-1])
        pages.append(world.own("WhoMayUseKey", key=key, after=pages[-1]["next"]))
    assert len(pages) == 3 and joined(pages) == whole


def test_every_person_and_action_stands_in_the_text_and_in_the_picture(world: World) -> None:
    place = world.place()
    people = [place.user(f"somebody-{number}") for number in range(9)]
    key = place.key()
    document = joined([world.own("WhoMayUseKey", key=key)])
    lines, picture = matrix_lines(document, verbose=True), matrix_picture(document)
    legend = next(at for at, line in enumerate(lines) if line.startswith("\u2713 allowed"))
    assert max(map(len, lines[1:legend])) <= 100
    for person in people:
        assert any(person.arn.rpartition(":")[2] in line for line in lines)
        assert person.arn.rpartition("/")[2] in picture
    for column in document["columns"]:
        assert any(column["action"].removeprefix("kms:") in line for line in lines)
    texts = [one.text for one in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert sum(text in ("\u00b7", "\u2713 1") for text in texts if text) == len(document["columns"]) * (len(people) + 1)


def test_a_key_that_is_disabled_says_so_beside_its_matrix(world: World) -> None:
    place = world.place()
    key = place.key()
    place.client("kms").disable_key(KeyId=key)
    lines = matrix_lines(world.own("WhoMayUseKey", key=key))
    assert any("Disabled: whatever is allowed here" in line for line in lines)


HOSTILE = ("\x1b[31m", "\x9b2J", "\u202e", "<script>alert(1)</script>", "\u2066", "&amp;", "\r", "a\nb", "\\x1b")


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_are_shown_escaped_and_as_themselves_in_json(world: World, name: str) -> None:
    here = world.here
    bucket, person = here.bucket(), here.user(f"u-{secrets.token_hex(4)}")
    condition = {"StringEquals": {"aws:UserAgent": name}}
    here.bucket_policy(
        bucket, allow("s3:GetObject", arn(bucket, "*"), Principal={"AWS": person.arn}, Condition=condition)
    )
    document = world.can(person.arn, "s3:GetObject", arn(bucket, name))
    require_valid("can", document)
    assert document["verdicts"][0]["resource"] == arn(bucket, name)
    lines = can_lines(document)
    assert lines and not any(UNSEEN.search(line) or "\n" in line for line in lines)


@pytest.mark.parametrize("name", ["\x9b2J", "<script>alert(1)</script>", "a\nb", "\xad", "&lt;"], ids=ascii)
def test_hostile_statement_ids_change_no_text_and_no_picture(world: World, name: str) -> None:
    place = world.place()
    key = place.key()
    statement = allow("kms:*", Sid=name, Principal={"AWS": place.root})
    world.key_policy(key, {"Version": "2012-10-17", "Statement": [statement]})
    document = joined([world.own("WhoMayUseKey", key=key)])
    assert document["statements"][0]["sid"] == name
    lines, picture = matrix_lines(document, verbose=True), matrix_picture(document)
    assert not any(UNSEEN.search(line) or "\n" in line for line in lines)
    drawn = ET.fromstring(picture)
    names = {one.tag.rpartition("}")[2] for one in drawn.iter()}
    assert names <= {"svg", "title", "desc", "style", "defs", "marker", "path", "rect", "text"}
    assert not UNSEEN.search(picture)


def test_decisions_and_refusals_read_as_sentences_and_are_what_their_schemas_say(world: World) -> None:
    here = world.here
    bucket, person = stored(here), here.user(f"u-{secrets.token_hex(4)}", allow("s3:*"))
    here.bucket_policy(bucket, deny("s3:GetObject", arn(bucket, "*"), Sid="Shut", Principal="*"))
    request_id = refused_id(lambda: here.client("s3", person).get_object(Bucket=bucket, Key="k"))
    told = {
        "operator": why(world, request_id), "owner": why(world, request_id, by=here.root_keys),
        "himself": why(world, request_id, by=person.keys),
    }  # fmt: skip
    for document in told.values():
        require_valid("why", document)
    text = "\n".join(why_lines(told["owner"]))
    assert f"{person.arn} was refused s3 GetObject at 2" in text and "statement 1 of bucket-policy" in text
    assert "1. the bucket policy" in text and f"put-bucket-policy --bucket {bucket}" in text
    assert "Shut" not in "\n".join(why_lines(told["himself"]))
    asked = [
        world.can(person.arn, "s3:PutObject", arn(bucket, "k")),
        world.can(person.arn, "kms:Decrypt", here.key()),
        world.can(world.there.root, "kms:DisableKey", here.key()),
        world.can(world.there.user(f"u-{secrets.token_hex(4)}").arn, "s3:GetObject", arn(bucket, "k"),
                  by=world.there.root_keys),
        world.can("anonymous", "s3:GetObject", arn(bucket, "k")),
    ]  # fmt: skip
    for document in asked:
        require_valid("can", document)
        assert can_lines(document)
    assert can_lines(asked[0])[0] == f"{person.arn} may s3:PutObject on {arn(bucket, 'k')}"
    assert "ask the account that owns the resource" in "\n".join(can_lines(asked[3]))
