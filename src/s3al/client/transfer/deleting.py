"""Deleting objects and the instruction files beside them.

What lives here: both delete calls. What does not: anything else.

Laws: the object goes first: a key without object harms nobody, an object without key is lost. A version id names the
object's version, never the instruction file's, which then stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.transfer.parameters import for_instruction_file, take_own


def delete_object(s3: Any, config: S3EncryptionClientConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    parameters = dict(given)
    own = take_own(config, parameters)
    answer: dict[str, Any] = s3.delete_object(**parameters)
    if not config.instruction_file_config.disable_delete_object and "VersionId" not in parameters:
        s3.delete_object(**for_instruction_file(s3, "DeleteObject", parameters, own.suffix))
    return answer


def delete_objects(s3: Any, config: S3EncryptionClientConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    parameters = dict(given)
    own = take_own(config, parameters)
    answer: dict[str, Any] = s3.delete_objects(**parameters)
    if config.instruction_file_config.disable_delete_objects:
        return answer
    failed = {error.get("Key") for error in answer.get("Errors") or []}
    asked = parameters["Delete"]["Objects"]
    beside = [
        {"Key": f"{one['Key']}{own.suffix}"} for one in asked if "VersionId" not in one and one["Key"] not in failed
    ]
    if beside:
        again = s3.delete_objects(**{**parameters, "Delete": {"Objects": beside, "Quiet": True}})
        if again.get("Errors"):
            answer = {**answer, "Errors": [*(answer.get("Errors") or []), *again["Errors"]]}
    return answer
