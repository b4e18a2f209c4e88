"""Lines of the log: their form, and what never stands in them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator

import pytest

from s3al.errors import StoreError
from s3al.server.logs import ForeignRecords, Log, RequestLine

NOON_NS = 1_767_268_800_123_456_789  # 2026-01-01T12:00:00.123Z


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def _log(pipe, **options) -> Log:
    return Log(fd=pipe[1], clock_ns=lambda: NOON_NS, **options)


def _lines(pipe) -> list[dict]:
    return [json.loads(line) for line in os.read(pipe[0], 65536).splitlines()]


LINE = RequestLine(
    request_id="R1",
    account="123456789012",
    service="s3",
    operation="GetObject",
    status=200,
    received_bytes=0,
    sent_bytes=10,
    ms=1.23456,
    bucket_id="b1",
    bucket="the-bucket",
    object_key="the-key",
)


def test_a_request_line_has_its_fields_and_utc_milliseconds(pipe):
    _log(pipe).request(LINE)
    assert _lines(pipe) == [
        {
            "time": "2026-01-01T12:00:00.123Z",
            "level": "info",
            "event": "request",
            "pid": os.getpid(),
            "request_id": "R1",
            "account": "123456789012",
            "service": "s3",
            "operation": "GetObject",
            "status": 200,
            "received_bytes": 0,
            "bytes": 10,
            "ms": 1.235,
            "bucket_id": "b1",
        }
    ]


@pytest.mark.parametrize("show_names", [False, True])
def test_names_appear_only_when_asked_for(pipe, show_names):
    _log(pipe, show_names=show_names).request(LINE)
    (line,) = _lines(pipe)
    assert ("bucket" in line, "object_key" in line) == (show_names, show_names)


def test_a_failure_tells_types_and_places_and_no_message(pipe):
    try:
        try:
            raise KeyError("the-secret")
        except KeyError as exc:
            raise StoreError("the-secret too") from exc
    except StoreError as exc:
        _log(pipe).failure("unforeseen", exc, request_id="R1")
    text = os.read(pipe[0], 65536).decode()
    assert "the-secret" not in text
    line = json.loads(text)
    assert line["exception"] == "StoreError from KeyError"
    assert "test_logs.py" in line["at"]


def test_names_with_line_breaks_and_bad_unicode_stay_one_json_line(pipe):
    log = _log(pipe)
    log.event("odd", name='a"b\nc\x00')
    log.event("odd", name="\udcff")
    first, second = _lines(pipe)
    assert first["name"] == 'a"b\nc\x00'
    assert "udcff" in second["name"]


def test_a_log_that_cannot_be_written_fails_nothing():
    read, write = os.pipe()
    os.close(read)
    Log(fd=write).event("lost")
    os.close(write)


def test_what_libraries_log_loses_arguments_and_messages(pipe):
    logger = logging.Logger("library")  # noqa: LOG001 - one that no configuration touches
    logger.addHandler(ForeignRecords(_log(pipe)))
    try:
        raise ValueError("the-secret")
    except ValueError:
        logger.exception("cannot parse %s\nsecond line", "the-secret")
    logger.error("Application callable raised an exception\nTraceback the-secret")
    text = os.read(pipe[0], 65536).decode()
    assert "the-secret" not in text
    (line,) = [json.loads(line) for line in text.splitlines()]
    assert (line["logger"], line["text"], line["exception"]) == ("library", "cannot parse %s", "ValueError")
