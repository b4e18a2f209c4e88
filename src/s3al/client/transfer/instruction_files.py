"""Writing an instruction file and its object: two requests, of which the second may fail.

What lives here: what is done so that a refused object leaves the old one readable. What does not: bodies of instruction
files (envelopes).

Laws: the file goes first, so that no object is ever without its key. If S3 then refuses the object (an answer of 4xx),
the file that was there is put back, or the new one removed: the old object's key is not lost to a write that did not
happen. Who may not read the file cannot put it back. After other failures nobody knows whether the object was written,
and the new file stays.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from botocore.exceptions import ClientError

from s3al.client.transfer.envelopes import INSTRUCTION_MARK
from s3al.client.transfer.parameters import for_instruction_file

Restoring: TypeAlias = tuple[str, dict[str, Any]]  # the call, and its parameters

_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
_FORBIDDEN: Final = frozenset({"AccessDenied", "403", "Forbidden"})
_NOT_PUT_BACK: Final = "the instruction file that was there could not be put back"


@dataclass(frozen=True, slots=True)
class BesideObject:
    """The requests around one instruction file. parameters: of the object's write."""

    s3: Any
    parameters: Mapping[str, Any]
    suffix: str

    def look(self) -> dict[str, Any]:
        return for_instruction_file(self.s3, "GetObject", self.parameters, self.suffix)

    def write(self, body: bytes, metadata: Mapping[str, str] | None = None) -> dict[str, Any]:
        request = for_instruction_file(self.s3, "PutObject", self.parameters, self.suffix)
        return {**request, "Body": body, "Metadata": {INSTRUCTION_MARK: ""} if metadata is None else dict(metadata)}

    def restoring(self, found: tuple[bytes, Mapping[str, str]]) -> Restoring:
        return "put_object", self.write(*found)

    def restoring_nothing(self, exc: ClientError) -> Restoring | None:
        """What restores the state in which looking raised `exc`; None if that did not tell. Raises what else it was."""
        if is_missing(exc):
            return "delete_object", for_instruction_file(self.s3, "DeleteObject", self.parameters, self.suffix)
        if exc.response.get("Error", {}).get("Code") in _FORBIDDEN:
            return None
        raise exc


def is_missing(exc: ClientError) -> bool:
    return exc.response.get("Error", {}).get("Code") in _MISSING


def was_refused(exc: BaseException) -> bool:
    """Whether S3 itself said that the object was not written."""
    if not isinstance(exc, ClientError):
        return False
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return 400 <= int(status) < 500


@contextmanager
def written_beside(s3: Any, parameters: Mapping[str, Any], instruction: bytes | None, suffix: str) -> Iterator[None]:
    """Write the instruction file, if there is one; the block writes the object."""
    if instruction is None:
        yield
        return
    beside = BesideObject(s3, parameters, suffix)
    before = _look(beside)
    s3.put_object(**beside.write(instruction))
    try:
        yield
    except BaseException as exc:
        if was_refused(exc):
            _put_back(s3, before, exc)
        raise


@asynccontextmanager
async def awritten_beside(
    s3: Any, parameters: Mapping[str, Any], instruction: bytes | None, suffix: str
) -> AsyncIterator[None]:
    """The same, with a client of aiobotocore."""
    if instruction is None:
        yield
        return
    beside = BesideObject(s3, parameters, suffix)
    before = await _alook(beside)
    await s3.put_object(**beside.write(instruction))
    try:
        yield
    except BaseException as exc:
        if was_refused(exc):
            await _aput_back(s3, before, exc)
        raise


def _look(beside: BesideObject) -> Restoring | None:
    try:
        answer = beside.s3.get_object(**beside.look())
    except ClientError as exc:
        return beside.restoring_nothing(exc)
    with answer["Body"] as body:
        return beside.restoring((body.read(), answer.get("Metadata") or {}))


def _put_back(s3: Any, before: Restoring | None, because: BaseException) -> None:
    try:
        if before is not None:
            getattr(s3, before[0])(**before[1])
    except Exception as exc:  # noqa: BLE001  # told as a note of the failure that is raised
        because.add_note(f"{_NOT_PUT_BACK}: {exc}")
    else:
        if before is None:
            because.add_note(_NOT_PUT_BACK)


async def _alook(beside: BesideObject) -> Restoring | None:
    try:
        answer = await beside.s3.get_object(**beside.look())
    except ClientError as exc:
        return beside.restoring_nothing(exc)
    return beside.restoring((await answer["Body"].read(), answer.get("Metadata") or {}))


async def _aput_back(s3: Any, before: Restoring | None, because: BaseException) -> None:
    try:
        if before is not None:
            await getattr(s3, before[0])(**before[1])
    except Exception as exc:  # noqa: BLE001  # told as a note of the failure that is raised
        because.add_note(f"{_NOT_PUT_BACK}: {exc}")
    else:
        if before is None:
            because.add_note(_NOT_PUT_BACK)
