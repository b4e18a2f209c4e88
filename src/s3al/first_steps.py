"""What `serve` tells its operator: credentials, and the lines to paste for a first upload.

What lives here: text, and the file that holds credentials when no terminal shows them. What does not: making
them (app).

Law: a secret is printed once, to a terminal; otherwise it is written to a file that only its owner reads,
beside the keyfile.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from s3al.config import ServeConfig
from s3al.iam.accounts import AccessKey
from s3al.store.accounts import AccountRow
from s3al.store.layout import replace_file


def credentials_path(config: ServeConfig, store_id: bytes) -> Path:
    return config.config_home / f"{store_id.hex()}.credentials"


def store_credentials(
    config: ServeConfig, store_id: bytes, operator: AccountRow, access_key: AccessKey | None
) -> list[str]:
    """Lines about the operator's credentials; a new one that no terminal will show is written to a file."""
    account = f"operator account {operator.account_id}"
    if access_key is None:
        return [account]
    if config.root_credentials is not None:
        credentials_path(config, store_id).unlink(missing_ok=True)  # of a key that is no more
        return [f"{account}; its root access key is now {access_key.access_key_id}, as the environment says"]
    if sys.stdout.isatty():
        return [
            f"{account}; its root access key is shown this once:",
            f"export AWS_ACCESS_KEY_ID={access_key.access_key_id}",
            f"export AWS_SECRET_ACCESS_KEY={access_key.secret}",
        ]
    path = credentials_path(config, store_id)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = f"export AWS_ACCESS_KEY_ID={access_key.access_key_id}\nexport AWS_SECRET_ACCESS_KEY={access_key.secret}\n"
    replace_file(path, content.encode())
    os.chmod(path, 0o600)
    return [f"{account}; its root access key is in a file that only you can read:", f". {path}"]


def banner(config: ServeConfig, store_id: bytes) -> list[str]:
    """A first upload, to paste."""
    endpoint = config.endpoint
    path = credentials_path(config, store_id)
    source = [f". {path}"] if path.exists() else []
    return [
        "",
        "a first upload with the AWS CLI:",
        *source,
        f"export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION={config.region}",
        # The flag too: older versions of the AWS CLI, such as Debian's, do not know AWS_ENDPOINT_URL.
        f"aws --endpoint-url {endpoint} s3 mb s3://first",
        f"echo hello | aws --endpoint-url {endpoint} s3 cp - s3://first/hello.txt",
        f"aws --endpoint-url {endpoint} s3 cp s3://first/hello.txt -",
        "",
        "or in Python (pip install boto3):",
        "import boto3",
        f's3 = boto3.client("s3", endpoint_url="{endpoint}")',
        's3.put_object(Bucket="first", Key="hello.txt", Body=b"hello")',
        's3.get_object(Bucket="first", Key="hello.txt")["Body"].read()',
    ]
