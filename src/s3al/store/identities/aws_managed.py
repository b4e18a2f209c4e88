"""AWS's own managed policies, as far as they speak of services that are here.

What lives here: their documents by ARN. What does not: policies of accounts (policies).

Source: AWS Managed Policy Reference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def _aws_managed(name: str, *actions: str, denied: tuple[str, ...] = ()) -> tuple[str, str]:
    element: dict[str, Any] = {"NotAction": list(denied)} if denied else {"Action": list(actions)}
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **element, "Resource": "*"}]}
    return f"arn:aws:iam::aws:policy/{name}", json.dumps(document)


_LOOK = (
    "s3:Get*",
    "s3:List*",
    "kms:Describe*",
    "kms:Get*",
    "kms:List*",
    "iam:Get*",
    "iam:List*",
    "cloudtrail:LookupEvents",
)

# AWS's own managed policies, as far as they speak of services that are here. Source: AWS Managed Policy Reference.
AWS_MANAGED: Mapping[str, str] = dict(
    [
        _aws_managed("AdministratorAccess", "*"),
        _aws_managed("PowerUserAccess", denied=("iam:*", "organizations:*", "account:*")),
        _aws_managed("ReadOnlyAccess", *_LOOK),
        _aws_managed("AmazonS3FullAccess", "s3:*", "s3-object-lambda:*"),
        _aws_managed("AmazonS3ReadOnlyAccess", "s3:Get*", "s3:List*", "s3:Describe*"),
        _aws_managed(
            "AWSKeyManagementServicePowerUser",
            "kms:CreateAlias",
            "kms:CreateKey",
            "kms:DeleteAlias",
            "kms:Describe*",
            "kms:GenerateRandom",
            "kms:Get*",
            "kms:List*",
            "kms:TagResource",
            "kms:UntagResource",
            "iam:ListGroups",
            "iam:ListRoles",
            "iam:ListUsers",
        ),
        _aws_managed("IAMFullAccess", "iam:*"),
        _aws_managed("IAMReadOnlyAccess", "iam:Get*", "iam:List*", "iam:Simulate*"),
    ]
)
