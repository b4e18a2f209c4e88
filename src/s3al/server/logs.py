"""Logs: JSON lines on stderr, one `os.write` each, so that lines of several processes never mix.

What lives here: `Log` (the only way to write one), the shape of a request's line, and the net that catches what
libraries log. What does not: metrics; the audit trail, which is a record and not a log.

Laws: a line is an event with fields, never a sentence made of values. Query strings, headers, keys, signatures and
exception messages have no field to stand in. Names of buckets and objects appear only with `--log-names`.
A log that cannot be written never fails a request.
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import orjson

Level = Literal["debug", "info", "warning", "error"]
Scalar = str | int | float | bool | None

# Granian says this, with a traceback, whenever a response is cut off; the edge has then logged why.
_KNOWN_FOREIGN = frozenset({"Application callable raised an exception"})
_MAX_FOREIGN_CHARACTERS = 160
_MAX_FRAMES = 12


@dataclass(slots=True)
class RequestLine:
    """What is said of one request once it has ended.

    received_bytes and sent_bytes: of the bodies. ms: from the head's arrival to the last byte handed to the socket.
    aborted: why the response or the upload did not end regularly, as one word; None if it did.
    bucket and object_key are written only if the log shows names.
    """

    request_id: str
    account: str | None
    service: str | None
    operation: str | None
    status: int
    received_bytes: int
    sent_bytes: int
    ms: float
    error_code: str | None = None
    aborted: str | None = None
    bucket_id: str | None = None
    bucket: str | None = None
    object_key: str | None = None


class Log:
    """Writes JSON lines to a file descriptor. Values are scalars; None is left out."""

    def __init__(self, *, fd: int = 2, show_names: bool = False, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.show_names = show_names
        self._fd = fd
        self._clock_ns = clock_ns
        self._second = (-1, "")  # the last one written, and its text

    def event(self, name: str, /, *, level: Level = "info", **fields: Scalar) -> None:
        self._write(level, name, fields)

    def request(self, line: RequestLine) -> None:
        fields: dict[str, Scalar] = {
            "request_id": line.request_id,
            "account": line.account,
            "service": line.service,
            "operation": line.operation,
            "status": line.status,
            "received_bytes": line.received_bytes,
            "bytes": line.sent_bytes,
            "ms": round(line.ms, 3),
        }
        if line.error_code or line.aborted or line.bucket_id:
            fields |= {"error": line.error_code, "aborted": line.aborted, "bucket_id": line.bucket_id}
        if self.show_names:
            fields |= {"bucket": line.bucket, "object_key": line.object_key}
        self._write("error" if line.status >= 500 else "info", "request", fields)

    def failure(self, name: str, exc: BaseException, /, *, level: Level = "error", **fields: Scalar) -> None:
        """An exception nobody expected: its types and places, never its messages, which may quote what was stored."""
        self._write(level, name, fields | {"exception": _types_of(exc), "at": _places_of(exc)})

    def _write(self, level: Level, name: str, fields: dict[str, Scalar]) -> None:
        second, rest_ns = divmod(self._clock_ns(), 1_000_000_000)
        if second != self._second[0]:
            self._second = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        line: dict[str, Scalar] = {
            "time": f"{self._second[1]}.{rest_ns // 1_000_000:03}Z",
            "level": level,
            "event": name,
            "pid": os.getpid(),
        }
        line |= fields
        if None in fields.values():
            line = {key: value for key, value in line.items() if value is not None}
        try:
            os.write(self._fd, _encode(line))
        except OSError:
            return


class ForeignRecords(logging.Handler):
    """Turns what libraries log into our lines: logger, level, first line of the *template*, place of the exception.

    Arguments and exception messages are left out, because they may quote names, headers or stored data.
    """

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        text = str(record.msg).partition("\n")[0][:_MAX_FOREIGN_CHARACTERS]
        if text in _KNOWN_FOREIGN:
            return
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        exc = record.exc_info[1] if record.exc_info else None
        self._log.event(
            "library",
            level=level,
            logger=record.name,
            text=text,
            exception=_types_of(exc) if exc else None,
            at=_places_of(exc) if exc else None,
        )


def capture_foreign_records(log: Log) -> None:
    """Make `log` the only destination of Python's logging, warnings and above."""
    logging.root.handlers[:] = [ForeignRecords(log)]
    logging.root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _encode(line: dict[str, Scalar]) -> bytes:
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        # Lone surrogates: a name that is not UTF-8. Shown escaped rather than lost.
        readable = {key: ascii(value) if isinstance(value, str) else value for key, value in line.items()}
        return orjson.dumps(readable, option=orjson.OPT_APPEND_NEWLINE)


def _types_of(exc: BaseException) -> str:
    names: list[str] = []
    current: BaseException | None = exc
    while current is not None and len(names) < _MAX_FRAMES:
        names.append(type(current).__qualname__)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return " from ".join(names)


def _places_of(exc: BaseException) -> str:
    frames = traceback.extract_tb(exc.__traceback__)[-_MAX_FRAMES:]
    return " > ".join(f"{os.path.basename(frame.filename)}:{frame.lineno}:{frame.name}" for frame in frames)
