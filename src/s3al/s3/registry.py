"""The table of S3 operations, filled by the decorators beside the functions."""

from __future__ import annotations

from s3al.s3.ports import S3
from s3al.service.operation import Operations

OPERATIONS: Operations[S3] = Operations()
