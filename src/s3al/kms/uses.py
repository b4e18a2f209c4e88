"""What every cryptographic operation ends with, and what none of them takes.

What lives here: `done`, which answers and remembers the use or ends a dry run, and the refusal of attested
recipients. What does not: the operations.

Law: a dry run is refused last, when everything was checked, and counts as no use.
"""

from __future__ import annotations

from s3al.errors import RequestError
from s3al.kms.ports import Kms
from s3al.service.operation import Call, Params, Reply
from s3al.store.keystore import KeyRow


def done(call: Call, kms: Kms, key: KeyRow | None, output: Params) -> Reply:
    """The answer, or the one of a dry run: everything was checked, nothing is given. key: None for random bytes."""
    if call.params.get("DryRun"):
        raise RequestError("DryRunOperationException")
    kms.count(call.operation)
    if key is not None:
        kms.usage.remember(key, call.operation, now_ms=call.now_ms, request_id=call.request_id)
    return Reply(output)


def refuse_recipient(params: Params) -> None:
    if params.get("Recipient"):
        raise RequestError("UnsupportedOperationException", "Attested recipients are not supported.")
