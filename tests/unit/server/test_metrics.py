"""Shared counters: summed over slots, continued after a death, never torn and never too many."""

from __future__ import annotations

import os

import pytest

from s3al.server.metrics import BUCKETS_US, DROPPED, IN_FLIGHT, KMS_CALLS, RECEIVED, REQUESTS, SECONDS, SENT, Metrics


def _line(metrics: Metrics, start: str) -> str:
    return next(line for line in metrics.exposition().splitlines() if line.startswith(start))


def test_counters_of_all_slots_are_summed():
    metrics = Metrics(3)
    for slot in range(3):
        metrics.attach(slot)
        metrics.add(REQUESTS, service="s3", operation="GetObject", status="200")
    metrics.add(REQUESTS, 4, service="s3", operation="PutObject", status="200")
    assert metrics.exposition().splitlines() == [
        "# HELP s3al_requests_total Requests answered, by service, operation and status.",
        "# TYPE s3al_requests_total counter",
        's3al_requests_total{service="s3",operation="GetObject",status="200"} 3',
        's3al_requests_total{service="s3",operation="PutObject",status="200"} 4',
    ]


def test_a_process_that_takes_over_a_slot_continues_counters_and_clears_gauges():
    metrics = Metrics(2)
    metrics.attach(1)
    metrics.add(KMS_CALLS, 5, operation="Decrypt")
    metrics.add(IN_FLIGHT, 3)
    metrics.attach(1)
    metrics.add(KMS_CALLS, operation="Decrypt")
    assert _line(metrics, "s3al_kms_calls_total{") == 's3al_kms_calls_total{operation="Decrypt"} 6'
    assert _line(metrics, "s3al_requests_in_flight ") == "s3al_requests_in_flight 0"


def test_what_is_counted_of_a_request_is_what_single_counters_would_say():
    one_step, steps = Metrics(1), Metrics(1)
    for status, microseconds in ((200, 400), (200, 800), (404, 70_000_000)):
        one_step.request_begun()
        one_step.request_ended(
            "s3", "GetObject", status, received_bytes=3, sent_bytes=5, microseconds=microseconds
        )
        steps.add(IN_FLIGHT)
        steps.add(IN_FLIGHT, -1)
        steps.add(REQUESTS, service="s3", operation="GetObject", status=str(status))
        steps.add(RECEIVED, 3, service="s3")
        steps.add(SENT, 5, service="s3")
        steps.observe(SECONDS, microseconds, service="s3")
    assert one_step.exposition() == steps.exposition()


def test_a_request_is_counted_in_the_slot_that_is_attached():
    metrics = Metrics(2)
    metrics.request_ended("s3", "GetObject", 200, received_bytes=0, sent_bytes=1, microseconds=9)
    metrics.attach(1)
    metrics.request_ended("s3", "GetObject", 200, received_bytes=0, sent_bytes=1, microseconds=9)
    metrics.attach(0)
    assert _line(metrics, "s3al_requests_total{").endswith(" 2")
    metrics.request_ended("s3", "GetObject", 200, received_bytes=0, sent_bytes=1, microseconds=9)
    assert _line(metrics, "s3al_requests_total{").endswith(" 3")


def test_a_request_for_which_there_is_no_room_is_counted_as_dropped():
    metrics = Metrics(1)
    metrics.request_ended("s3", "x" * 500, 200, received_bytes=2, sent_bytes=1, microseconds=9)
    assert _line(metrics, DROPPED.name).endswith(" 1")
    assert _line(metrics, "s3al_received_bytes_total{").endswith(" 2")


def test_a_gauge_goes_down_again():
    metrics = Metrics(1)
    metrics.add(IN_FLIGHT, 2)
    metrics.add(IN_FLIGHT, -3)
    assert _line(metrics, "s3al_requests_in_flight ") == "s3al_requests_in_flight -1"


def test_a_histogram_is_cumulative_and_in_seconds():
    metrics = Metrics(1)
    for microseconds in (400, 500, 501, 70_000_000):
        metrics.observe(SECONDS, microseconds, operation="GetObject")
    label = 'operation="GetObject"'
    assert _line(metrics, f's3al_request_seconds_bucket{{{label},le="0.0005"}}').endswith(" 2")
    assert _line(metrics, f's3al_request_seconds_bucket{{{label},le="0.001"}}').endswith(" 3")
    assert _line(metrics, f's3al_request_seconds_bucket{{{label},le="60"}}').endswith(" 3")
    assert _line(metrics, f's3al_request_seconds_bucket{{{label},le="+Inf"}}').endswith(" 4")
    assert _line(metrics, f"s3al_request_seconds_sum{{{label}}}").endswith(" 70.001401")
    assert _line(metrics, f"s3al_request_seconds_count{{{label}}}").endswith(" 4")
    assert metrics.exposition().count("_bucket{") == len(BUCKETS_US) + 1


def test_what_has_no_room_is_counted_and_never_raises():
    metrics = Metrics(1)
    for number in range(10_000):
        metrics.add(REQUESTS, service="s3", operation=str(number), status="200")
    metrics.add(REQUESTS, service="x" * 500)
    text = metrics.exposition()
    kept = text.count("s3al_requests_total{")
    assert f"{DROPPED.name} {10_001 - kept}" in text.splitlines()


def test_a_child_process_counts_into_memory_its_parent_reads():
    metrics = Metrics(2)
    pid = os.fork()
    if pid == 0:
        metrics.attach(1)
        for _ in range(1000):
            metrics.add(KMS_CALLS, operation="Encrypt")
        os._exit(0)
    os.waitpid(pid, 0)
    assert _line(metrics, "s3al_kms_calls_total{").endswith(" 1000")


def test_a_slot_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no slot 2"):
        Metrics(2).attach(2)
