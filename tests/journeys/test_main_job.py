"""The main job in its small form: a tree of real files and a large one go up, the server is killed on the
way, all comes down equal, and no plaintext or name is found on the disk. `make main-job` runs it whole."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from support.main_job import MODES, Job
from support.needles import forms, search_all


@pytest.mark.client("aws-cli-v1")
@pytest.mark.parametrize("mode", MODES)
def test_killed_uploads_come_down_equal_and_nothing_lies_in_the_clear(tmp_path: Path, mode: str) -> None:
    source = Path(sysconfig.get_paths()["purelib"]) / "botocore"
    tree = tmp_path / "source"
    tree.mkdir()
    for number, file in enumerate(sorted(source.glob("*.py"))[:60]):
        (tree / f"{number}-{file.name}").write_bytes(file.read_bytes())
    job = Job(tmp_path / "job", tree, mode, big_bytes=48 << 20, canaries=60, say=lambda _: None)
    (tmp_path / "job").mkdir()
    try:
        job.run()
    finally:
        job.server.kill_group() if job.server.process.poll() is None else None
    assert len(job.scans) == 6
    assert all(size > 1 << 16 for _, size in job.scans), "a scan that reads nothing proves nothing"


@pytest.mark.parametrize("form", sorted(forms(b"0123456789abcdef")))
@pytest.mark.parametrize("offset", [0, 1, 7, (32 << 20) - 9, (32 << 20) + 3])
def test_the_scan_finds_a_needle_in_every_form_and_place(tmp_path: Path, form: str, offset: int) -> None:
    needle = b"s3al-Needle\x00\x01\x02\x03\x04"
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(bytes(offset) + forms(needle)[form] + b"tail" * 10)
    found, size = search_all({"planted": needle}, [tmp_path])
    assert f"planted ({form})" in [one.needle for one in found]
    assert size > offset


def test_the_scan_finds_a_needle_in_the_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a-name-of-some-length.txt").write_bytes(b"")
    found, _ = search_all({"name": b"a-name-of-some-length"}, [tmp_path])
    assert [one.path for one in found] == ["(names of files)"]
