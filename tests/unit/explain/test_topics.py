"""Topics: answered for every store, with this store's own example where there is one."""

from __future__ import annotations

import re

import pytest

from s3al.explain.examples import EXAMPLES
from s3al.explain.topics import TOPICS
from s3al.explain.words import lines
from unit.explain.asking import Desk, ask, check


def explained(house, topic, **more):
    answer = ask(house, "ExplainTopic", topic=topic, **more)
    assert answer.status == 200, answer.body
    return check(answer.document)


ASKED = {"envelope", "rotation-control", "role-separation", "client-side", "server-side", "in-transit", "at-rest",
         "bucket-key", "sse-s3", "sse-kms", "dsse-kms", "sse-c", "data-key", "seal"}  # fmt: skip


def test_every_word_that_was_asked_about_is_there():
    assert set(TOPICS) >= ASKED


@pytest.mark.parametrize("topic", TOPICS.values(), ids=list(TOPICS))
def test_each_answer_is_whole_and_leads_on_to_others(topic):
    assert topic.question.endswith("?")
    assert topic.answer
    assert set(topic.see_also) <= set(TOPICS) - {topic.topic}
    assert topic.example == "" or topic.example in EXAMPLES
    assert check(topic.document())["example"] == []
    assert all(not re.search(r"\s{2,}", paragraph) for paragraph in topic.answer)


def test_the_exam_question_is_answered():
    answer = " ".join(TOPICS["encrypted-before-upload"].answer)
    assert answer.startswith("Client-side encryption, with a master key in KMS or one kept in the application.")
    assert "S3-managed keys: that does not exist" in answer


@pytest.mark.parametrize("topic", [name for name, topic in TOPICS.items() if topic.example])
def test_every_example_is_of_this_store(world, topic):
    document = explained(world.house, topic)
    assert document["example"]
    assert any(line in "\n".join(lines(document)) for line in document["example"])


def test_an_example_changes_with_the_store(world):
    desk = Desk(world.house)
    account_keys = desk.kms.list_keys()["Keys"]
    before = explained(world.house, "rotation-control")
    for key in account_keys[:8]:
        state = desk.kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        if state["KeyState"] == "Enabled" and state["Origin"] == "AWS_KMS" and state["KeyManager"] == "CUSTOMER":
            desk.kms.rotate_key_on_demand(KeyId=key["KeyId"])
    assert explained(world.house, "rotation-control")["example"] != before["example"]


def test_an_example_shows_nothing_that_the_caller_may_not_see(world):
    desk = Desk(world.house)
    _, keys = desk.user({"Effect": "Allow", "Action": "s3al:ExplainTopic", "Resource": "*"})
    for topic in ("rotation-control", "role-separation", "default-encryption", "key-policy"):
        document = ask(world.house, "ExplainTopic", keys, topic=topic).document
        text = "\n".join(document["example"])
        assert desk.bucket not in text
        assert "arn:aws:iam" not in text
        assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", text)


def test_unknown_topics_are_refused_and_without_one_all_are_listed(world):
    assert ask(world.house, "ExplainTopic", topic="everything").status == 404
    assert set(ask(world.house, "ExplainTopic").document["topics"]) == set(TOPICS)
