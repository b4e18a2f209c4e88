"""Settings of the client.

What lives here: the frozen dataclasses, their checks and units. What does not: what follows from them.

Laws: names as in AWS's clients where AWS has them; a contradiction is refused when the settings are made, not when an
object is written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from s3al.client.errors import ClientConfigError
from s3al.client.formats.suites import COMMITTING_GCM, STREAM, AlgorithmSuite, CommitmentPolicy
from s3al.client.keyrings.port import Keyring
from s3al.crypto.stream import DEFAULT_SEGMENT_BYTES, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES

MIN_PART_BYTES: Final = 5 * 1024 * 1024  # S3's bound for all parts but the last
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class InstructionFileConfig:
    """Whether wrapped keys are written into, looked for in, and deleted with a second object beside the first."""

    disable_get_object: bool = False
    disable_delete_object: bool = False
    disable_delete_objects: bool = False
    enable_put_object: bool = False
    suffix: str = ".instruction"

    def __post_init__(self) -> None:
        if not self.suffix:
            raise ClientConfigError("the suffix of instruction files cannot be empty")


@dataclass(frozen=True, slots=True)
class S3EncryptionClientConfig:
    """How a client writes and what it accepts to read."""

    keyring: Keyring
    encryption_algorithm: AlgorithmSuite = COMMITTING_GCM
    commitment_policy: CommitmentPolicy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
    # Read what is not authenticated: CBC objects, and ranges of V1, V2, V3.
    enable_legacy_unauthenticated_modes: bool = False
    # Release plaintext of V2 and V3 before the tag was checked; the last read raises if it does not fit.
    enable_delayed_authentication: bool = False
    instruction_file_config: InstructionFileConfig = field(default_factory=InstructionFileConfig)
    multipart_threshold_bytes: int = 16 * _MIB  # ciphertext beyond this goes up in parts
    multipart_chunksize_bytes: int = 8 * _MIB
    max_concurrency: int = 4  # parts in flight, each way
    spool_memory_bytes: int = 64 * _MIB  # ciphertext beyond this waits for its tag in a temporary file
    segment_bytes: int = DEFAULT_SEGMENT_BYTES  # of stream objects: the least that a ranged read fetches
    list_plaintext_lengths: bool = True  # costs a HEAD for each object listed

    def __post_init__(self) -> None:
        self.commitment_policy.check_encrypt(self.encryption_algorithm)
        if self.multipart_chunksize_bytes < MIN_PART_BYTES or self.multipart_threshold_bytes < MIN_PART_BYTES:
            raise ClientConfigError("parts have at least 5 MiB")
        if not MIN_SEGMENT_BYTES <= self.segment_bytes <= MAX_SEGMENT_BYTES:
            raise ClientConfigError("segments have 4 KiB to 4 MiB")
        if self.max_concurrency < 1 or self.spool_memory_bytes < 0:
            raise ClientConfigError("a bound must not be negative, and one part must be able to travel")

    def suite_for(self, object_format: str | None) -> AlgorithmSuite:
        """What `format=` of a write names: None, 'stream'. Raises ClientConfigError."""
        if object_format is None:
            return self.encryption_algorithm
        if object_format != "stream":
            raise ClientConfigError("format is 'stream' or left out; encryption_algorithm chooses between V2 and V3")
        self.commitment_policy.check_encrypt(STREAM)
        return STREAM
