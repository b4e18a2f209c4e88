"""The KMS as the gateway sees it.

What lives here: the service's table of operations, put together. What does not: any operation.

Law: an operation that is not built answers UnsupportedOperationException; nothing is ignored.
"""

from __future__ import annotations

from s3al.kms.access import authorize
from s3al.kms.errors import KMS_ERRORS
from s3al.kms.operations import (
    aliases,
    asymmetric,
    creation,
    cryptography,
    data_key_pairs,
    grants,
    imports,
    keys,
    multi_region,
    policies,
    rotation,
    tagging,
    usage,
)
from s3al.kms.ports import OPERATIONS, Kms
from s3al.service.operation import Service

# Importing a topic fills the table; naming them here keeps that from being an accident.
TOPICS = (
    aliases,
    asymmetric,
    creation,
    cryptography,
    data_key_pairs,
    grants,
    imports,
    keys,
    multi_region,
    policies,
    rotation,
    tagging,
    usage,
)


def kms_service(ports: Kms) -> Service[Kms]:
    return Service(name="kms", ports=ports, operations=OPERATIONS, authorize=authorize, errors=KMS_ERRORS)
