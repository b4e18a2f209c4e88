"""What a proof and a report tell: names that others chose cannot write to the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from s3al.commands.prove import _lines, _verify
from s3al.errors import IntegrityError
from s3al.prove.proof import Proof, Seen
from s3al.prove.signing import signed

HOSTILE = "x\x1b[2J\n0 findings\udcff"
ESCAPED = "x\\x1b[2J\\x0a0 findings\\udcff"
SIGNER = Ed25519PrivateKey.from_private_bytes(b"p" * 32)


def test_a_file_s_name_neither_hides_its_finding_nor_ends_the_proof() -> None:
    proof = Proof(windows=1, most_uneven_where=HOSTILE, findings=[Seen("unexplained", HOSTILE)])
    lines = _lines(signed(proof, None))
    assert all(line.isprintable() for line in lines)
    assert sum(ESCAPED in line for line in lines) == 2
    assert lines[-1].startswith("1 findings")


def test_a_report_of_somebody_s_own_making_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps(signed(Proof(store_id=HOSTILE, at=HOSTILE), SIGNER)))
    _verify(report, None, as_json=False)
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"as it was signed: store {ESCAPED}, {ESCAPED}, 0 findings"
    assert rest[0] == f"signed by {SIGNER.public_key().public_bytes_raw().hex()}"


def test_a_report_of_another_store_does_not_pass_for_this_one_s(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps(signed(Proof(store_id="00" * 16, at="now"), SIGNER)))
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    with pytest.raises(IntegrityError, match="another key"):
        _verify(report, other, as_json=False)
