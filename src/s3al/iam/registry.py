"""The table of IAM's operations, filled by the decorators in `operations`."""

from __future__ import annotations

from s3al.iam.ports import Iam
from s3al.service.operation import Operations

OPERATIONS: Operations[Iam] = Operations()
