"""What is answered while the store is sealed. Whole servers are in tests/journeys/test_seals.py."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3al.errors import StoreError
from s3al.kms.seals.opening import SealChoice
from s3al.server import root_keeper
from s3al.server.asgi import Request, RequestBody, Response
from s3al.server.logs import Log
from s3al.server.root_keeper import RootKeeper
from s3al.server.sealed import respond
from s3al.store.layout import create_folder


def answer(path: str, **headers: str) -> Response:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = RequestBody(receive, complete=True, idle_s=1)
    request = Request("GET", path, "", [], headers=named, client_ip="", secure=False, body=body, started=0)
    return asyncio.run(respond(request))


@pytest.mark.parametrize(
    ("path", "headers", "status", "text"),
    [
        ("/_s3al/health/live", {}, 200, b"live"),
        ("/_s3al/health/ready", {}, 503, b"sealed"),
        ("/bucket/key", {}, 503, b"<Code>ServiceUnavailable</Code>"),
        ("/", {"x_amz_target": "TrentService.Decrypt"}, 503, b'"__type": "DependencyTimeoutException"'),
        ("/_s3al/v1/ListAccounts", {}, 503, b"sealed"),
    ],
)
def test_it_lives_and_refuses_in_the_words_of_each_protocol(path, headers, status, text) -> None:
    response = answer(path, **headers)
    assert response.status == status
    assert isinstance(response.body, bytes)
    assert text in response.body
    if status == 503:
        assert "retry-after" in dict(response.headers)


class Waiting:
    entered = left = 0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        self.entered += 1
        yield
        self.left += 1


def test_a_new_store_whose_seal_cannot_be_reached_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing exists yet that anybody could wait for."""
    arn = "arn:aws:kms:us-east-1:000000000001:key/5b1c0c4e-0000-4000-8000-000000000000"
    waiting = Waiting()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with RootKeeper(while_sealed=waiting) as keeper:
        keeper.begin(create_folder(tmp_path / "data").path, SealChoice(f"kms:{arn}@http://127.0.0.1:1", tmp_path))
        with pytest.raises(StoreError, match="cannot be reached"):
            keeper.opened()
    assert waiting.entered == 0


def test_it_is_tried_again_until_it_opens_and_both_ends_are_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, seal = create_folder(tmp_path / "data").path, SealChoice(None, tmp_path / "config")
    with RootKeeper() as keeper:
        keeper.begin(data, seal)
        expected = keeper.opened()
    real, failures = root_keeper.opened, [StoreError("gone"), StoreError("still gone"), StoreError("and still")]

    def opened(message: bytes) -> tuple[bytes, bytes]:
        if failures:
            raise failures.pop()
        return real(message)

    monkeypatch.setattr(root_keeper, "opened", opened)
    waiting = Waiting()
    with (tmp_path / "log").open("wb") as file, RootKeeper(while_sealed=waiting, sealed_pause_s=0.01) as keeper:
        keeper.begin(data, seal)
        process = keeper._process
        assert process is not None
        process.kill()
        assert keeper.opened(Log(fd=file.fileno())) == expected
    assert (waiting.entered, waiting.left) == (1, 1)
    text = (tmp_path / "log").read_text()
    assert [text.count(f'"{event}"') for event in ("sealed", "still_sealed", "unsealed")] == [1, 2, 1]


def test_what_cannot_be_retried_ends_the_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, seal = create_folder(tmp_path / "data").path, SealChoice(None, tmp_path / "config")
    with RootKeeper() as keeper:
        keeper.begin(data, seal)
        keeper.opened()

    def opened(_message: bytes) -> tuple[bytes, bytes]:
        raise StoreError("for good", retryable=False)

    monkeypatch.setattr(root_keeper, "opened", opened)
    waiting = Waiting()
    with RootKeeper(while_sealed=waiting) as keeper, pytest.raises(StoreError, match="for good"):
        keeper.begin(data, seal)
        keeper.opened()
    assert waiting.entered == 0
