"""Metrics: counters that every worker writes without locks between processes and any worker can sum and show.

What lives here: the shared memory, its layout, the table of families, and the Prometheus text. What does not: who
counts what (the gateway, the KMS) and the route that shows them (`health`).

Layout: one anonymous shared mapping, made before the fork, so that it lies in no folder. One region a slot (slot 0 is
the supervisor's, 1..N+1 the workers', one of which may be being replaced): a count of entries, then entries of 192
bytes: value (8), key length (8), key.

Laws: a region has one writer; an entry's key is complete before the count says so, and values are single aligned
8-byte stores, so a reader never sees half of one. A worker that replaces a killed one continues its region: counters
never fall; gauges start again at zero. Labels come from closed sets (operation names, status codes), never from names
that users choose. What does not fit is counted as dropped, never an error.

Source: Prometheus exposition format 0.0.4.
"""

from __future__ import annotations

import mmap
import struct
import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_REGION_BYTES = 1024 * 1024  # pages that are never touched cost nothing
_ENTRY_BYTES = 192
_ENTRY_WORDS = _ENTRY_BYTES // 8
_KEY_BYTES = _ENTRY_BYTES - 16
_MAX_ENTRIES = _REGION_BYTES // _ENTRY_BYTES - 1
_U64 = 2**64 - 1


class Kind(Enum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. Values are integers; `scale` turns them into the unit the name promises."""

    name: str
    kind: Kind
    help: str
    scale: float = 1


MICROSECONDS = 1e-6

REQUESTS = Family("s3al_requests_total", Kind.COUNTER, "Requests answered, by service, operation and status.")
RECEIVED = Family("s3al_received_bytes_total", Kind.COUNTER, "Bytes of request bodies received, by service.")
SENT = Family("s3al_sent_bytes_total", Kind.COUNTER, "Bytes of response bodies sent, by service.")
SECONDS = Family(
    "s3al_request_seconds", Kind.HISTOGRAM, "Time from a request's head to its response's last byte.", MICROSECONDS
)
IN_FLIGHT = Family("s3al_requests_in_flight", Kind.GAUGE, "Requests being worked on.")
ABORTED = Family("s3al_aborted_total", Kind.COUNTER, "Requests that did not end regularly, by reason.")
INTEGRITY = Family("s3al_integrity_events_total", Kind.COUNTER, "Stored data that could not be trusted, by kind.")
KMS_CALLS = Family("s3al_kms_calls_total", Kind.COUNTER, "Uses of KMS keys, by operation, also from within S3.")
WORKER_STARTS = Family("s3al_worker_starts_total", Kind.COUNTER, "Worker processes started.")
DROPPED = Family("s3al_metrics_dropped_total", Kind.COUNTER, "Samples for which a worker had no room.")

FAMILIES: tuple[Family, ...] = (
    REQUESTS, RECEIVED, SENT, SECONDS, IN_FLIGHT, ABORTED, INTEGRITY, KMS_CALLS, WORKER_STARTS, DROPPED,
)  # fmt: skip

# Upper bounds in microseconds: from a small GET out of the page cache to a large PUT.
BUCKETS_US = (
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000, 60_000_000,
)  # fmt: skip
_BUCKET_NAMES = (*map(str, BUCKETS_US), "inf")
_SUM = "sum"

Sample = tuple[str, str, str]  # family name, rendered labels, "" or the part of a histogram


class Metrics:
    """The shared memory of one server. Make it before forking; `attach` in each process before counting."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._map = mmap.mmap(-1, _REGION_BYTES * slots)
        self._words = memoryview(self._map).cast("Q")
        self._first_word = 0
        self._cells: dict[Sample, int] = {}
        self._rendered: dict[tuple[tuple[str, str], ...], str] = {}
        self._requests: dict[tuple[str, str, int, int], tuple[int, ...]] = {}
        self._lock = threading.Lock()
        self.attach(0)

    def attach(self, slot: int) -> None:
        """Count into this slot from now on, continuing what an earlier process of the slot left."""
        if not 0 <= slot < self._slots:
            raise ValueError(f"no slot {slot} among {self._slots}")
        self._lock = threading.Lock()  # the inherited one may have been held at the fork
        self._first_word = slot * _REGION_BYTES // 8
        self._cells = dict(self._entries(slot))
        self._requests.clear()
        gauges = {family.name for family in FAMILIES if family.kind is Kind.GAUGE}
        for (name, _, _), word in self._cells.items():
            if name in gauges:
                self._words[word] = 0

    def add(self, family: Family, amount: int = 1, /, **labels: str) -> None:
        """Add to a counter, or move a gauge by `amount`."""
        sample = (family.name, self._text(labels), "")
        with self._lock:
            self._add(sample, amount)

    def observe(self, family: Family, microseconds: int, /, **labels: str) -> None:
        """Put one duration into a histogram."""
        bound = _BUCKET_NAMES[bisect_left(BUCKETS_US, microseconds)]
        rendered = self._text(labels)
        with self._lock:
            self._add((family.name, rendered, bound), 1)
            self._add((family.name, rendered, _SUM), microseconds)

    def request_begun(self) -> None:
        self.add(IN_FLIGHT)

    def request_ended(
        self, service: str, operation: str, status: int, *, received_bytes: int, sent_bytes: int, microseconds: int
    ) -> None:
        """All that is counted of one request, in one step."""
        place = (service, operation, status, bisect_left(BUCKETS_US, microseconds))
        amounts = (-1, 1, received_bytes, sent_bytes, 1, microseconds)
        with self._lock:
            cells = self._requests.get(place)
            if cells is None:
                cells = self._cells_of_request(place, amounts)
                if cells is None:
                    return
            words = self._words
            for word, amount in zip(cells, amounts, strict=True):
                words[word] = (words[word] + amount) & _U64

    def _cells_of_request(self, place: tuple[str, str, int, int], amounts: tuple[int, ...]) -> tuple[int, ...] | None:
        """The words that a request of this place counts into. None where not all have room: then it is counted here."""
        service, operation, status, bucket = place
        of_service = self._text({"service": service})
        samples: tuple[Sample, ...] = (
            (IN_FLIGHT.name, "", ""),
            (REQUESTS.name, self._text({"service": service, "operation": operation, "status": str(status)}), ""),
            (RECEIVED.name, of_service, ""),
            (SENT.name, of_service, ""),
            (SECONDS.name, of_service, _BUCKET_NAMES[bucket]),
            (SECONDS.name, of_service, _SUM),
        )
        cells = tuple(word for sample in samples if (word := self._cells.get(sample) or self._append(sample)))
        if len(cells) == len(samples):
            self._requests[place] = cells  # bounded, because labels come from closed sets
            return cells
        for sample, amount in zip(samples, amounts, strict=True):
            self._add(sample, amount)
        return None

    def exposition(self) -> str:
        """The Prometheus text, summed over all slots."""
        totals: dict[Sample, int] = {}
        for slot in range(self._slots):
            for sample, word in self._entries(slot):
                totals[sample] = totals.get(sample, 0) + self._words[word]
        lines: list[str] = []
        for family in FAMILIES:
            samples = {key[1:]: _signed(value) for key, value in totals.items() if key[0] == family.name}
            if samples:
                lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind.value}"]
                lines += _histogram(family, samples) if family.kind is Kind.HISTOGRAM else _plain(family, samples)
        return "\n".join(lines) + "\n"

    def _text(self, labels: Mapping[str, str]) -> str:
        key = tuple(labels.items())
        text = self._rendered.get(key)
        if text is None:
            text = self._rendered[key] = _rendered(labels)  # bounded, because labels come from closed sets
        return text

    def _add(self, sample: Sample, amount: int) -> None:
        word = self._cells.get(sample)
        if word is None:
            word = self._append(sample)
            if word is None:
                if sample[0] != DROPPED.name:
                    self._add((DROPPED.name, "", ""), 1)
                return
        self._words[word] = (self._words[word] + amount) & _U64

    def _append(self, sample: Sample) -> int | None:
        key = "\x1f".join(sample).encode()
        used = self._words[self._first_word]
        # The last entry is kept for the counter of what did not fit.
        room = _MAX_ENTRIES if sample[0] == DROPPED.name else _MAX_ENTRIES - 1
        if used >= room or len(key) > _KEY_BYTES:
            return None
        word: int = self._first_word + _ENTRY_WORDS * (used + 1)
        start = word * 8
        self._words[word] = 0
        self._map[start + 8 : start + 16 + len(key)] = struct.pack("@Q", len(key)) + key
        self._words[self._first_word] = used + 1  # only now do readers see it
        self._cells[sample] = word
        return word

    def _entries(self, slot: int) -> Iterable[tuple[Sample, int]]:
        first_word = slot * _REGION_BYTES // 8
        for index in range(1, self._words[first_word] + 1):
            word = first_word + _ENTRY_WORDS * index
            start = word * 8 + 16
            name, labels, part = self._map[start : start + self._words[word + 1]].decode().split("\x1f")
            yield (name, labels, part), word


def _rendered(labels: Mapping[str, str]) -> str:
    """Label values are names of operations, codes and the like, in which nothing needs escaping."""
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


def _signed(value: int) -> int:
    """Gauges go down by wrapping around."""
    return value - 2**64 if value >= 2**63 else value


def _braced(*labels: str) -> str:
    text = ",".join(label for label in labels if label)
    return f"{{{text}}}" if text else ""


def _number(value: int, scale: float) -> str:
    return str(value) if scale == 1 else f"{value * scale:.6f}"


def _plain(family: Family, samples: Mapping[tuple[str, str], int]) -> list[str]:
    return [
        f"{family.name}{_braced(labels)} {_number(value, family.scale)}"
        for (labels, _), value in sorted(samples.items())
    ]


def _histogram(family: Family, samples: Mapping[tuple[str, str], int]) -> list[str]:
    lines = []
    for labels in sorted({labels for labels, _ in samples}):
        count = 0
        for limit in BUCKETS_US:
            count += samples.get((labels, str(limit)), 0)
            bound = f'le="{limit * family.scale:g}"'
            lines.append(f"{family.name}_bucket{_braced(labels, bound)} {count}")
        count += samples.get((labels, "inf"), 0)
        infinite = _braced(labels, 'le="+Inf"')
        lines += [
            f"{family.name}_bucket{infinite} {count}",
            f"{family.name}_sum{_braced(labels)} {_number(samples.get((labels, _SUM), 0), family.scale)}",
            f"{family.name}_count{_braced(labels)} {count}",
        ]
    return lines
