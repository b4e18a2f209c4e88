"""The signature on a proof: it holds for what was signed, by whoever signed it, and for nothing else."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from s3al.errors import ConfigError, IntegrityError
from s3al.prove.proof import Proof, Seen
from s3al.prove.signing import signed, verified
from support.schemas import require_valid

SIGNER = Ed25519PrivateKey.from_private_bytes(b"p" * 32)
PROOF = Proof(store_id="00" * 16, at="2026-11-28T12:00:00+00:00", opened=True, findings=[Seen("unexplained", "x")])


def test_what_was_signed_is_believed_however_it_is_written():
    report = signed(PROOF, SIGNER)
    require_valid("prove", report)
    for text in (json.dumps(report), json.dumps(report, indent=3, sort_keys=True).encode()):
        assert verified(text) == report
    assert report["public_key"] == SIGNER.public_key().public_bytes_raw().hex()


def test_a_change_of_any_member_is_seen():
    report = signed(PROOF, SIGNER)
    for name, value in report.items():
        if name == "format":
            continue
        changed = report | {name: value + 1 if isinstance(value, int | float) else [] if value else "x"}
        with pytest.raises((IntegrityError, ConfigError)):
            verified(json.dumps(changed))
    with pytest.raises(IntegrityError):
        verified(json.dumps(report | {"more": 1}))
    with pytest.raises(IntegrityError):
        verified(json.dumps({name: value for name, value in report.items() if name != "findings"}))


def test_another_key_does_not_pass_for_the_signer():
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    with pytest.raises(IntegrityError):
        verified(json.dumps(signed(PROOF, SIGNER) | {"public_key": other}))


def test_without_the_root_key_there_is_no_signature_and_none_is_claimed():
    report = signed(PROOF, None)
    require_valid("prove", report)
    assert (report["public_key"], report["signature"]) == (None, None)
    with pytest.raises(ConfigError, match="not signed"):
        verified(json.dumps(report))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"format": "s3al proof v1"}', '{"format": 1}', b"\xff\xfe", "[" * 100_000]
)
def test_what_is_no_report_is_refused(text):
    with pytest.raises(ConfigError, match="no report"):
        verified(text)


@pytest.mark.parametrize("changed", [{"findings": None}, {"findings": 3}, {"at": 1}, {"store_id": ["x"]}])
def test_what_somebody_signed_is_no_report_for_that(changed):
    class Said:
        def document(self):
            return PROOF.document() | {"format": "s3al proof v1"} | changed

    with pytest.raises(ConfigError, match="no report"):
        verified(json.dumps(signed(Said(), SIGNER)))
