"""`s3al prove` on real stores that hold every mode: sound ones are sound, and each kind of harm is named."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from s3al.app import open_database, open_keys
from s3al.config import ServeConfig, config_home
from s3al.store.database import Rows
from s3al.store.layout import open_folder
from support.schemas import require_valid
from support.server_process import ServerProcess
from support.settings import allow_sse_c, new_bucket, new_key

MIB = 1 << 20


def prove(server: ServerProcess, *flags: str, config_home: Path | None = None) -> tuple[int, dict[str, Any]]:
    environ = os.environ | {"XDG_CONFIG_HOME": str(config_home or server.config_home)}
    command = [sys.executable, "-m", "s3al", "prove", str(server.data), "--json", *flags]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 1), done.stderr
    document = json.loads(done.stdout)
    require_valid("prove", document)
    assert sum(document["covered_bytes"].values()) == document["file_bytes"]
    return done.returncode, document


def fill(server: ServerProcess) -> str:
    """Objects of every mode, small and large, in one piece and in parts, versions, a marker and an upload under way."""
    s3, bucket, kms_key = server.client(), new_bucket(server), new_key(server)
    allow_sse_c(s3, bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": os.urandom(32)}
    kms = {"SSEKMSKeyId": kms_key}
    modes: dict[str, dict[str, Any]] = {
        "sse-s3": {},
        "sse-kms": {"ServerSideEncryption": "aws:kms", **kms},
        "bucket-key": {"ServerSideEncryption": "aws:kms", **kms, "BucketKeyEnabled": True},
        "dsse": {"ServerSideEncryption": "aws:kms:dsse", **kms},
        "sse-c": customer,
    }
    for name, options in modes.items():
        for size in (0, 300 if name == "sse-c" else 100, 2 * MIB + 1):
            s3.put_object(Bucket=bucket, Key=f"{name}/{size}", Body=os.urandom(size), **options)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=os.urandom(5 * MIB))
    s3.delete_object(Bucket=bucket, Key="sse-s3/100")
    return bucket


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> ServerProcess:
    """A stopped server that all tests copy."""
    server = ServerProcess(tmp_path_factory.mktemp("filled"), ("--workers", "1", "--tls", "auto")).start()
    fill(server)
    server.stop()
    return server


@pytest.fixture
def stopped(filled, tmp_path) -> ServerProcess:
    return ServerProcess(Path(shutil.copytree(filled.folder, tmp_path / "copy")))


def blobs(server: ServerProcess) -> list[Path]:
    return sorted((server.data / "blobs").glob("[!.]*/*/*"))


def found(proof: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["what"], each["where"]) for each in proof["findings"]}


def test_a_store_of_every_mode_is_sound_running_and_stopped(start_server):
    server = start_server("--workers", "1", "--tls", "auto")
    fill(server)
    code, running = prove(server)
    assert (code, running["findings"], running["beside_a_server"]) == (0, [], True)
    server.stop()
    code, proof = prove(server)
    assert (code, proof["findings"], proof["opened"], proof["beside_a_server"]) == (0, [], True, False)
    assert (proof["versions"], proof["uploads"]) == (16, 1)
    assert proof["authenticated_bytes"] > 4 * 2 * MIB + 5 * MIB
    assert 2 * MIB < proof["closed_bytes"] < 3 * MIB  # SSE-C
    assert 2 * MIB < proof["covered_bytes"]["closed"] < 3 * MIB
    assert proof["covered_bytes"]["authenticated"] > 3 * 2 * MIB + 5 * MIB
    assert (proof["covered_bytes"]["looked_at"], proof["covered_bytes"]["unexplained"]) == (0, 0)
    assert proof["materials"] >= 2  # of the KMS key, and of the service key
    assert proof["trail_records"] > 5
    assert running["public_key"] == proof["public_key"]


def test_each_harm_is_named_by_its_path(stopped):
    # The part of the upload under way: SSE-S3. Of SSE-C a proof sees the length alone.
    flipped, planted_in = max(blobs(stopped), key=lambda blob: blob.stat().st_size), blobs(stopped)[0].parent
    raw = bytearray(flipped.read_bytes())
    raw[len(raw) // 2] ^= 1
    flipped.write_bytes(raw)
    (stopped.data / "notes.txt").write_text("plaintext " * 1000)
    planted = planted_in / (planted_in.name + "0" * 30)
    planted.write_text("plaintext " * 1000)
    code, proof = prove(stopped)
    assert code == 1
    within = [str(path.relative_to(stopped.data)) for path in (flipped, planted)]
    assert ("unexplained", "notes.txt") in found(proof)
    assert ("unexplained", within[1]) in found(proof)
    assert any(what in ("record-altered", "not-ciphertext") and where == within[0] for what, where in found(proof))


def test_truncated_and_missing_blobs_are_named_whoever_has_their_key(stopped):
    gone, *cuts = blobs(stopped)
    for cut in cuts:
        cut.write_bytes(cut.read_bytes()[:-1])
    gone.unlink()
    code, proof = prove(stopped)
    assert code == 1
    words = {what for what, _ in found(proof)}
    assert "blob-missing" in words
    assert len(cuts) == 5
    for cut in cuts:
        assert any(where.endswith(cut.name) for _, where in found(proof)), cut


def test_rows_that_were_exchanged_are_named(stopped):
    settings = ServeConfig(data=stopped.data, config_home=config_home({"XDG_CONFIG_HOME": str(stopped.config_home)}))
    folder = open_folder(stopped.data)
    database = open_database(folder, open_keys(folder, settings).catalog_key)
    try:
        exchanged = database.write_now(_exchange_two_bodies)
    finally:
        database.close()
    code, proof = prove(stopped)
    assert code == 1
    assert {where for what, where in found(proof) if what == "record-altered"} == exchanged


def _exchange_two_bodies(rows: Rows) -> set[str]:
    """Of two objects of 100 bytes each; none of them is SSE-C, whose bytes nobody here can open."""
    bodies = rows.all("SELECT object_id, sealed_body FROM streams WHERE sealed_body IS NOT NULL ORDER BY object_id")
    one, other = [body for body in bodies if len(body[1]) == 100 + 40 + 16][:2]
    for (object_id, _), (_, body) in ((one, other), (other, one)):
        rows.run("UPDATE streams SET sealed_body = ? WHERE object_id = ?", (body, object_id))
    return {bytes(one[0]).hex(), bytes(other[0]).hex()}


def test_without_the_root_key_plaintext_still_shows(stopped, tmp_path):
    code, proof = prove(stopped, config_home=tmp_path / "none")
    assert (code, proof["opened"], proof["findings"]) == (0, False, [])
    victim = blobs(stopped)[0]
    victim.write_text("plaintext " * (victim.stat().st_size // 10))
    code, proof = prove(stopped, config_home=tmp_path / "none")
    assert code == 1
    assert found(proof) == {("not-ciphertext", str(victim.relative_to(stopped.data)))}


def test_what_is_planted_beside_the_records_of_the_trail_is_named(stopped):
    chain = next((stopped.data / "trail").glob("*.0*"))
    with chain.open("ab") as file:
        file.write(b"plaintext " * 1000)
    (stopped.data / "trail" / "notes").write_text("plaintext " * 1000)
    code, proof = prove(stopped)
    assert code == 1
    where = {what: place for what, place in found(proof) if what != "trail-altered"}
    assert where == {"unexplained": "trail/notes", "not-ciphertext": f"trail/{chain.name}"}


def test_an_altered_record_of_the_trail_and_an_altered_material_are_named(stopped):
    chain = next((stopped.data / "trail").glob("*.0*"))
    raw = bytearray(chain.read_bytes())
    raw[400] ^= 1
    chain.write_bytes(raw)
    settings = ServeConfig(data=stopped.data, config_home=config_home({"XDG_CONFIG_HOME": str(stopped.config_home)}))
    folder = open_folder(stopped.data)
    database = open_database(folder, open_keys(folder, settings).catalog_key)
    try:
        database.write_now(_alter_a_material)
    finally:
        database.close()
    code, proof = prove(stopped)
    assert code == 1
    assert {what for what, _ in found(proof)} >= {"trail-altered", "material-altered"}


def _alter_a_material(rows: Rows) -> None:
    """Of a key of the KMS; the service key's own would leave nothing to open."""
    key_id, material_id, wrapped = rows.all(
        "SELECT m.key_id, m.material_id, m.wrapped FROM kms_materials m JOIN kms_keys k ON k.key_id = m.key_id"
        " WHERE k.manager = 'CUSTOMER'"
    )[0]
    altered = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
    changed = rows.run(
        "UPDATE kms_materials SET wrapped = ? WHERE key_id = ? AND material_id = ?", (altered, key_id, material_id)
    )
    assert changed == 1


def test_the_report_is_signed_and_one_that_was_changed_is_not_believed(stopped, tmp_path):
    kept = tmp_path / "report.json"
    code, proof = prove(stopped, "--report", str(kept))
    assert code == 0
    assert json.loads(kept.read_text()) == proof
    told = verify_report(kept, "--signer", proof["public_key"])
    assert told.returncode == 0
    assert json.loads(told.stdout)["store_id"] == proof["store_id"]
    assert verify_report(kept, "--signer", "00" * 32).returncode == 1
    kept.write_text(json.dumps(proof | {"closed_bytes": 0}))
    changed = verify_report(kept)
    assert changed.returncode == 1
    assert "not what was signed" in changed.stderr
    kept.write_text(json.dumps(proof | {"signature": None}))
    assert verify_report(kept).returncode == 2
    kept.write_text("{}")
    assert verify_report(kept).returncode == 2


def verify_report(path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "s3al", "prove", "--json", "--verify-report", str(path), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_strings_finds_nothing_of_what_was_stored(start_server):
    """What the tool of that name does: runs of at least four printable characters, in every file."""
    server = start_server("--workers", "1")
    s3, bucket = server.client(), new_bucket(server)
    words = [f"needle-{os.urandom(6).hex()}" for _ in range(4)]
    s3.put_object(Bucket=bucket, Key=words[0], Body=f"{words[1]} ".encode() * 10_000, Metadata={"m": words[2]})
    s3.put_object(Bucket=bucket, Key="small", Body=words[3].encode(), Tagging=f"t={words[2]}")
    server.client("kms").create_key(Description=words[3])
    server.stop()
    runs = {
        run.decode()
        for path in server.data.rglob("*")
        if path.is_file() and path.suffix != ".json"
        for run in re.findall(rb"[ -~]{4,}", path.read_bytes())
    }
    assert len(runs) > 100, "ciphertext has runs by chance; without any, nothing was read"
    for word in (*words, bucket, "needle", "AES256", "aws:kms", "PutObject", server.access_key_id):
        assert not [run for run in runs if word in run], word
    longest = max(runs, key=len)
    assert len(longest) < 40, longest  # by chance: a run of 20 in 16 MB


def test_what_cannot_run_says_so(tmp_path):
    command = [sys.executable, "-m", "s3al", "prove", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "holds no store" in done.stderr
