"""What the identity operations stand on, handed in by `app`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from s3al.iam.web_identity import ProviderKeys
from s3al.service.credentials import ServerKey
from s3al.store.database import Database


@dataclass(frozen=True, slots=True)
class Iam:
    db: Database
    server_key: ServerKey
    now_ms: Callable[[], int]
    random: Callable[[int], bytes] = field(default=secrets.token_bytes)
    provider_keys: ProviderKeys = field(default_factory=ProviderKeys)
