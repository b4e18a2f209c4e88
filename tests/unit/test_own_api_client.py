"""What a command makes of an answer, whoever gave it."""

from __future__ import annotations

import pytest

from s3al.errors import S3alError
from s3al.own_api_client import _answer


def test_an_error_is_told_in_the_server_s_words():
    with pytest.raises(S3alError, match=r"^NoSuchKey: it is not there$"):
        _answer(404, b'{"error":{"code":"NoSuchKey","message":"it is not there"}}')


@pytest.mark.parametrize("content", [b'{"error":[]}', b'{"error":"x"}', b"[]", b"<Error/>", b"\xff", b"[" * 100_000])
def test_what_no_server_of_ours_says_is_an_error_and_no_fault(content):
    for status in (200, 403) if content[:1] != b"{" else (403,):
        with pytest.raises(S3alError, match=rf"^{status}: the server gave no reason$"):
            _answer(status, content)
