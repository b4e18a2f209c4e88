"""Content: sealing plaintext and opening ciphertext of every format, by chunks of any size.

What lives here: sealers (V2, V3, stream), openers (V1, V2, V3, stream), and the keys they make of a data key. What does
not: where bytes come from and go to (transfer).

Laws: the commitment is compared, in constant time, before the content key is made. `Opener.update` releases what is
not yet authenticated unless `authenticates_chunks`; who calls decides what may be seen. Every failure to open is one
DecryptionError with one message, also of paddings.

Source: Amazon S3 Encryption Client specification; spec/client-stream-format.md.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, AEADEncryptionContext, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC as CBC_MODE
from cryptography.hazmat.primitives.ciphers.modes import GCM as GCM_MODE
from cryptography.hazmat.primitives.padding import PKCS7

from s3al.client.errors import CommitmentError, DecryptionError, ObjectTooLargeError
from s3al.client.formats.derivation import FIXED_IV, MESSAGE_ID_BYTES, SUITE_ID, derive
from s3al.client.formats.envelope import STREAM_ID_BYTES, Envelope
from s3al.client.formats.suites import (
    CBC,
    COMMITTING_GCM,
    GCM_TAG_BYTES,
    MAX_GCM_PLAINTEXT_BYTES,
    STREAM,
    AlgorithmSuite,
)
from s3al.crypto.encoding import canonical
from s3al.crypto.keys import derive as derive_sp800_108
from s3al.crypto.stream import STREAM_RANDOM_BYTES, StreamOpener, StreamSealer
from s3al.errors import IntegrityError

Buffer: TypeAlias = bytes | bytearray | memoryview

_STREAM_LABEL: Final = b"s3al client stream v1"
_STREAM_COMMITMENT_LABEL: Final = b"s3al client stream commitment v1"


class Sealer(Protocol):
    """Plaintext in, ciphertext out. The outputs, joined, are the object's body."""

    def update_into(self, plaintext: Buffer, into: bytearray | memoryview) -> int:
        """Bytes written at the start of `into`, which holds `room_bytes`."""

    def finalize(self) -> bytes: ...

    def room_bytes(self, plaintext_bytes: int) -> int:
        """Bytes that `update_into` can need for so many."""


class Opener(Protocol):
    """Ciphertext in, plaintext out."""

    authenticates_chunks: bool

    def update(self, ciphertext: Buffer) -> bytes: ...

    def finalize(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Randomness:
    """What one write draws: bytes for IV or message id, and for the stream's header."""

    message: bytes
    stream: bytes = b""

    @staticmethod
    def bytes_needed(suite: AlgorithmSuite) -> tuple[int, int]:
        if suite is STREAM:
            return STREAM_ID_BYTES, STREAM_RANDOM_BYTES
        return (MESSAGE_ID_BYTES if suite is COMMITTING_GCM else 12), 0


def keys_of(suite: AlgorithmSuite, data_key: bytes, message_id: bytes) -> tuple[bytes, bytes]:
    """(key of the content, what the object shall commit to); no commitment for suites that commit to nothing."""
    if suite is COMMITTING_GCM:
        return derive(data_key, message_id)
    if suite is STREAM:
        return data_key, derive_sp800_108(data_key, _STREAM_COMMITMENT_LABEL, message_id)
    return data_key, b""


def stream_associated_data(message_id: bytes, segment_bytes: int) -> bytes:
    """Associated data of a stream: its label, its id, its segment size."""
    return canonical(_STREAM_LABEL, message_id, segment_bytes.to_bytes(4, "big"))


def sealer(envelope: Envelope, content_key: bytes, *, stream_random: bytes = b"") -> Sealer:
    """What seals the content of a new object. content_key: of `keys_of`. The envelope's IV or message id must be fresh
    random bytes."""
    if envelope.suite is STREAM:
        associated_data = stream_associated_data(envelope.message_id, envelope.segment_bytes)
        return _StreamContent(content_key, associated_data, stream_random, envelope.segment_bytes)
    return _GcmSealer(content_key, *_iv_and_associated_data(envelope))


def opener(envelope: Envelope, data_key: bytes, *, ciphertext_bytes: int | None = None) -> Opener:
    """What opens the content. Raises CommitmentError if the data key is not the one committed to.

    ciphertext_bytes: of the whole body, if known: then the tag is found without copying, and no other length opens.
    """
    content_key = check_commitment(envelope, data_key)
    if len(data_key) not in {16, 24, 32}:
        raise DecryptionError
    if envelope.suite is CBC:
        return _CbcOpener(content_key, envelope.iv)
    if envelope.suite is STREAM:
        associated_data = stream_associated_data(envelope.message_id, envelope.segment_bytes)
        return _StreamContentOpener(content_key, associated_data, envelope.segment_bytes)
    return _GcmOpener(content_key, *_iv_and_associated_data(envelope), ciphertext_bytes)


def check_commitment(envelope: Envelope, data_key: bytes) -> bytes:
    """The key of the content. Raises CommitmentError if the data key is not the one committed to."""
    content_key, expected = keys_of(envelope.suite, data_key, envelope.message_id)
    if envelope.suite.committing and not hmac.compare_digest(expected, envelope.commitment):
        raise CommitmentError
    return content_key


def _iv_and_associated_data(envelope: Envelope) -> tuple[bytes, bytes]:
    return (FIXED_IV, SUITE_ID) if envelope.suite is COMMITTING_GCM else (envelope.iv, b"")


class _GcmSealer:
    __slots__ = ("_bytes", "_context")

    def __init__(self, key: bytes, iv: bytes, associated_data: bytes) -> None:
        self._context: AEADEncryptionContext = Cipher(AES(key), GCM_MODE(iv)).encryptor()
        self._context.authenticate_additional_data(associated_data)
        self._bytes = 0

    def update_into(self, plaintext: Buffer, into: bytearray | memoryview) -> int:
        self._bytes += len(plaintext)
        if self._bytes > MAX_GCM_PLAINTEXT_BYTES:
            raise ObjectTooLargeError("the body is longer than 2^36-32 bytes")
        return self._context.update_into(plaintext, into)

    def finalize(self) -> bytes:
        return self._context.finalize() + self._context.tag

    def room_bytes(self, plaintext_bytes: int) -> int:
        return plaintext_bytes + GCM_TAG_BYTES


class _StreamContent:
    __slots__ = ("_sealer",)

    def __init__(self, data_key: bytes, associated_data: bytes, random: bytes, segment_bytes: int) -> None:
        self._sealer = StreamSealer(data_key, associated_data, random=random, segment_bytes=segment_bytes)

    def update_into(self, plaintext: Buffer, into: bytearray | memoryview) -> int:
        return len(self._sealer.update_into(plaintext, into))

    def finalize(self) -> bytes:
        return self._sealer.finalize()

    def room_bytes(self, plaintext_bytes: int) -> int:
        return self._sealer.room_bytes(plaintext_bytes)


class _GcmOpener:
    """The last 16 bytes are the tag: found by position if the length is known, held back at every chunk otherwise."""

    __slots__ = ("_context", "_held", "_left", "authenticates_chunks")

    def __init__(self, key: bytes, iv: bytes, associated_data: bytes, ciphertext_bytes: int | None) -> None:
        # `finalize_with_tag` makes decryptors without a tag possible: the tag comes last.
        self._context: AEADDecryptionContext = Cipher(AES(key), GCM_MODE(iv)).decryptor()
        self._context.authenticate_additional_data(associated_data)
        self._left = None if ciphertext_bytes is None else max(0, ciphertext_bytes - GCM_TAG_BYTES)
        self._held = b""
        self.authenticates_chunks = False

    def update(self, ciphertext: Buffer) -> bytes:
        if self._left is None:
            return self._update_holding_back(ciphertext)
        if len(ciphertext) <= self._left:
            self._left -= len(ciphertext)
            return self._context.update(ciphertext)
        chunk, body = memoryview(ciphertext), self._left
        self._left = 0
        self._held = self._held + chunk[body:][: GCM_TAG_BYTES + 1]  # one more than a tag says that there was more
        return self._context.update(chunk[:body])

    def _update_holding_back(self, ciphertext: Buffer) -> bytes:
        chunk = memoryview(ciphertext)
        if len(chunk) < GCM_TAG_BYTES:
            joined = self._held + chunk
            self._held = joined[-GCM_TAG_BYTES:]
            return self._context.update(joined[:-GCM_TAG_BYTES])
        first = self._context.update(self._held)
        self._held = bytes(chunk[-GCM_TAG_BYTES:])
        rest = self._context.update(chunk[:-GCM_TAG_BYTES])
        return first + rest if first else rest

    def finalize(self) -> bytes:
        if len(self._held) != GCM_TAG_BYTES or self._left:
            raise DecryptionError
        try:
            return self._context.finalize_with_tag(self._held)
        except InvalidTag:
            raise DecryptionError from None


class _StreamContentOpener:
    __slots__ = ("_opener", "authenticates_chunks")

    def __init__(self, data_key: bytes, associated_data: bytes, segment_bytes: int) -> None:
        self._opener = StreamOpener(data_key, associated_data, segment_bytes=segment_bytes)
        self.authenticates_chunks = True

    def update(self, ciphertext: Buffer) -> bytes:
        try:
            return self._opener.update(ciphertext)
        except IntegrityError:
            raise DecryptionError from None

    def finalize(self) -> bytes:
        try:
            return self._opener.finalize()
        except IntegrityError:
            raise DecryptionError from None


class _CbcOpener:
    """Legacy, not authenticated. A padding that is none says no more than a wrong key."""

    __slots__ = ("_bytes", "_context", "_unpadder", "authenticates_chunks")

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._context = Cipher(AES(key), CBC_MODE(iv)).decryptor()
        self._unpadder = PKCS7(128).unpadder()
        self._bytes = 0
        self.authenticates_chunks = False

    def update(self, ciphertext: Buffer) -> bytes:
        self._bytes += len(ciphertext)
        return self._unpadder.update(self._context.update(ciphertext))

    def finalize(self) -> bytes:
        try:
            if not self._bytes:
                raise DecryptionError
            return self._unpadder.update(self._context.finalize()) + self._unpadder.finalize()
        except ValueError:
            raise DecryptionError from None
