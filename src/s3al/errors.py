"""Every error s3al raises, in five families by who must act.

What lives here: the root class and the families. What does not: the AWS status and default message of a code,
which stand in one table per protocol (`s3.errors`, `kms.errors`); the gateway joins the two.

Laws: an error never carries a key, a body, a signature or a secret; `advice` says what to do next;
all failures to decrypt look alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self


class S3alError(Exception):
    """The root of all errors of this package. `advice` is one sentence for a person."""

    advice: str = ""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        if advice:
            self.advice = advice


class ConfigError(S3alError):
    """The operator must act: a setting, a file or a permission is not as it must be."""


class StoreError(S3alError):
    """The infrastructure failed: disk, database or remote store. Nothing was half done."""

    def __init__(self, message: str, *, retryable: bool = True, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.retryable = retryable


class IntegrityError(S3alError):
    """Stored data cannot be trusted: altered, truncated, moved, or opened with another key."""


class RequestError(S3alError):
    """The caller must act. Answered as the AWS error `code`.

    message: None means the table's default for the code. fields: further elements of the error document,
    such as BucketName or Condition. headers: response headers the answer needs, such as Allow.
    """

    headers: Mapping[str, str] = {}

    def __init__(self, code: str, message: str | None = None, /, **fields: str) -> None:
        super().__init__(message or code)
        self.code = code
        self.message = message
        self.fields = fields

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        self.headers = {**self.headers, **headers}
        return self


class AccessError(RequestError):
    """The caller is known, or anonymous, and may not do this.

    weighed: what was asked and decided (an `auth.decision.Weighed`), for whoever may ask why; not shown with the error.
    """

    weighed: object | None = None

    def with_weighed(self, weighed: object) -> Self:
        self.weighed = weighed
        return self
