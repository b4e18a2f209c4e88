"""The three open pages."""

from __future__ import annotations

import pytest

from s3al.server.asgi import request_of
from s3al.server.health import health_page
from s3al.server.metrics import KMS_CALLS, Metrics


async def _ready() -> str | None:
    return None


async def _not_ready() -> str | None:
    return "store"


async def _receive() -> dict:
    raise AssertionError("health pages read no body")


async def _page(method: str, path: str, *, ready=_ready):
    scope = {
        "method": method,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "http",
        "client": ("192.0.2.1", "1"),
        "headers": [],
    }
    metrics = Metrics(1)
    metrics.add(KMS_CALLS, operation="Decrypt")
    return await health_page(request_of(scope, _receive), ready=ready, metrics=metrics)


PAGES = [
    ("GET", "/_s3al/health/live", _not_ready, 200, b"live\n"),
    ("GET", "/_s3al/health/ready", _ready, 200, b"ready\n"),
    ("GET", "/_s3al/health/ready", _not_ready, 503, b"store\n"),
    ("POST", "/_s3al/health/ready", _ready, 405, b"method not allowed\n"),
]


@pytest.mark.parametrize(("method", "path", "ready", "status", "body"), PAGES)
def test_pages_answer(method, path, ready, status, body):
    page = _run(_page(method, path, ready=ready))
    assert (page.status, page.body) == (status, body)


def test_metrics_are_prometheus_text():
    page = _run(_page("GET", "/_s3al/metrics"))
    assert dict(page.headers)["content-type"].startswith("text/plain; version=0.0.4")
    assert b's3al_kms_calls_total{operation="Decrypt"} 1\n' in page.body


@pytest.mark.parametrize("path", ["/", "/bucket/key", "/_s3al/health/liver", "/_s3al/v1/x", "/_s3al/health/live/"])
def test_other_paths_are_left_to_the_pipeline(path):
    assert _run(_page("GET", path)) is None


def _run(coroutine):
    import asyncio

    return asyncio.run(coroutine)
