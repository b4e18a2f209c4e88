"""Requirements: read strictly, and met only by what is known."""

from __future__ import annotations

import pytest

from s3al.errors import ConfigError
from s3al.posture.facts import Bucket, Under
from s3al.posture.requirements import load, unmet
from s3al.posture.rules import judge
from unit.posture.world import arn, key, objects, posture, sound, troubled


def lacking(tmp_path, text: str, given) -> list[tuple[str, str]]:
    path = tmp_path / "require.toml"
    path.write_text(text)
    return [(each.requirement, each.where) for each in unmet(load(path), given, judge(given))]


WHOLE = f"""
[objects]
modes = ["sse-kms", "dsse-kms"]
kms_keys = ["{arn("ledger")}"]
max_material_age_days = 30
complete = true
[buckets]
default_modes = ["sse-kms"]
[findings]
none_from = "low"
"""


def test_what_holds_meets_every_requirement(tmp_path):
    assert lacking(tmp_path, WHOLE, sound()) == []


def test_each_requirement_names_where_it_is_not_met(tmp_path):
    told = lacking(tmp_path, WHOLE, troubled())
    assert {name for name, _ in told} == {
        "objects.modes", "objects.kms_keys", "objects.max_material_age_days", "objects.complete",
        "buckets.default_modes", "findings.none_from",
    }  # fmt: skip
    assert ("objects.max_material_age_days", "arn:aws:s3:::ledger") in told
    assert ("objects.complete", "arn:aws:s3:::legacy") in told
    assert ("objects.modes", "arn:aws:s3:::ledger") not in told


def test_an_age_that_is_not_known_does_not_meet_an_age(tmp_path):
    unknown = Under("sse-kms", arn("k"), "other")
    given = posture(Bucket("b", objects({unknown: 1})), kms_keys=(key("k", 1),))
    assert lacking(tmp_path, "objects.max_material_age_days = 9999", given)


def test_findings_can_be_accepted_by_their_id(tmp_path):
    grave = '[findings]\nnone_from = "critical"\n'
    assert {where for _, where in lacking(tmp_path, grave, troubled())} == {
        "arn:aws:s3:::team-share", "arn:aws:s3:::legacy", arn("shared"),
    }  # fmt: skip
    accepted = grave + 'accepted = ["public-policy", "public-acl"]'
    assert [where for _, where in lacking(tmp_path, accepted, troubled())] == [arn("shared")]


REFUSED = {
    "not TOML": "objects",
    "nothing required": "",
    "an unknown section": "[object]\nmodes = []",
    "an unknown member": "[objects]\nmode = []",
    "an unknown mode": '[objects]\nmodes = ["aes"]',
    "a text for a list": '[objects]\nmodes = "sse-kms"',
    "a negative age": "[objects]\nmax_material_age_days = -1",
    "true for an age": "[objects]\nmax_material_age_days = true",
    "an unknown severity": '[findings]\nnone_from = "bad"',
    "an unknown rule": '[findings]\naccepted = ["plain-htp"]',
    "a value for a section": "objects = 3",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_is_not_known_is_refused(tmp_path, text):
    with pytest.raises(ConfigError):
        lacking(tmp_path, text, sound())


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")
