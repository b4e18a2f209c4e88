"""The operations of this room, put together for `app`.

What lives here: the table, filled. What does not: any operation.
"""

from __future__ import annotations

from s3al.explain import asking, operations, refused
from s3al.explain.ports import OPERATIONS

__all__ = ["OPERATIONS", "TOPICS"]

# Importing a topic fills the table; naming them here keeps that from being an accident.
TOPICS = (asking, operations, refused)
