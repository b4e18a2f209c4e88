"""Files that only grow, copied into a folder that may have some of them."""

from __future__ import annotations

from pathlib import Path

from s3al.store.copying import copy_files


def test_a_copy_that_was_interrupted_is_made_anew_and_what_went_on_after_it_stays(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for folder in (source, target):
        folder.mkdir()
    for name in ("absent", "short", "same", "longer", "not chosen"):
        (source / name).write_bytes(b"0123456789")
    (target / "short").write_bytes(b"0123")
    (target / "same").write_bytes(b"0123456789")
    (target / "longer").write_bytes(b"0123456789abc")
    assert copy_files(source, target, lambda name: name != "not chosen") == 2
    assert {file.name: file.read_bytes() for file in target.iterdir()} == {
        "absent": b"0123456789",
        "short": b"0123456789",
        "same": b"0123456789",
        "longer": b"0123456789abc",
    }


def test_what_is_no_file_is_not_followed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "folder").mkdir(parents=True)
    (tmp_path / "elsewhere").write_bytes(b"x")
    (source / "link").symlink_to(tmp_path / "elsewhere")
    assert copy_files(source, tmp_path / "target", lambda _: True) == 0
    assert copy_files(tmp_path / "nowhere", tmp_path / "target", lambda _: True) == 0
