"""The specs name every label, size and constant that the source uses, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from s3al.crypto import keys, records, stream

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "src" / "s3al"
HIERARCHY = (ROOT / "spec" / "key-hierarchy.md").read_text(encoding="utf-8")
OBJECTS = (ROOT / "spec" / "object-format.md").read_text(encoding="utf-8")

LABEL = re.compile(r"s3al [a-z ]+ v[0-9]+")
LITERAL = re.compile(r"b\"(s3al [a-z ]+ v[0-9]+)\"")
KIND_OF_PLACE = re.compile(r"_place\(b\"([a-z]+)\"")  # s3.records builds its labels from the kind


def labels_in_source() -> set[str]:
    found: set[str] = set()
    for file in SOURCE.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        found.update(LITERAL.findall(text))
        found.update(f"s3al {kind} v1" for kind in KIND_OF_PLACE.findall(text))
    return found


def test_every_label_of_the_source_stands_in_the_table_of_labels_and_no_other() -> None:
    section = HIERARCHY.split("## Labels")[1].split("\n## ")[0]
    assert set(LABEL.findall(section)) == labels_in_source()


def test_the_specs_use_no_label_that_the_table_does_not_name() -> None:
    assert set(LABEL.findall(HIERARCHY + OBJECTS)) == labels_in_source()


def test_sizes_in_the_specs_are_those_of_the_source() -> None:
    assert f"default {stream.DEFAULT_SEGMENT_BYTES // 1024} KiB" in OBJECTS
    assert (stream.MIN_SEGMENT_BYTES, stream.MAX_SEGMENT_BYTES) == (4 * 1024, 4 * 1024**2)
    assert "4 KiB to 4 MiB" in OBJECTS
    most = stream.MAX_SEGMENTS * (stream.MIN_SEGMENT_BYTES - stream.TAG_BYTES) - stream.HEADER_BYTES
    assert f"{most:,} bytes" in OBJECTS
    assert f"| overhead of a record | {records.OVERHEAD_BYTES}, and {keys.MATERIAL_ID_BYTES} for" in OBJECTS
    assert f"1 to {keys.MAX_KMS_PLAINTEXT_BYTES:,} bytes" in HIERARCHY
    assert f"{keys.MAX_KMS_BLOB_BYTES:,} bytes" in HIERARCHY
    assert keys.MAX_WRAPPED_PLAINTEXT_BYTES == 64 * 1024


def test_every_vector_file_is_described() -> None:
    for file in (ROOT / "spec" / "vectors").glob("*.json"):
        assert f"`{file.name}`" in OBJECTS, file.name
