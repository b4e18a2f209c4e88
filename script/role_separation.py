"""Writes the matrices, answers and the picture of docs/explanation/role-separation.md from a throwaway store.

The page is written by hand; between `<!-- role_separation.py: NAME -->` and `<!-- end -->` stands what the store
answered, with the account and the key named as AWS's documentation names its own. `--check` writes nothing and fails if
the page or the picture would come out otherwise. Needs the packages of the tests.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "explanation" / "role-separation.md"
PICTURE = ROOT / "docs" / "explanation" / "role-separation.svg"
sys.path.insert(0, str(ROOT / "tests"))

from botocore.exceptions import ClientError  # noqa: E402

from s3al.advice.key_policy import separated  # noqa: E402
from s3al.explain.matrix_picture import matrix_picture  # noqa: E402
from s3al.explain.tables import can_lines, joined, matrix_lines  # noqa: E402

BUCKET, OBJECT = "payroll-of-the-example", "january.pdf"
ACCOUNT, KEY_ID = "111122223333", "1234abcd-12ab-34cd-56ef-1234567890ab"
# What each person's own policies say; kim, uma and ada are named by the key's policy alone.
EVERYTHING_WITH_KEYS_AND_DATA = ["s3:*", "kms:*"]
OWN_POLICIES: Mapping[str, list[str]] = {
    "ada": ["s3:ListBucket"],
    "kim": ["s3:ListBucket"],
    "sam": EVERYTHING_WITH_KEYS_AND_DATA,
    "uma": ["s3:GetObject", "s3:PutObject"],
}


@dataclass
class Store:
    """client: of a service, by the account's root unless access keys are given. ask: our own API, by that root."""

    client: Callable[..., Any]
    ask: Callable[..., dict[str, Any]]
    people: dict[str, str] = field(default_factory=dict)  # name -> ARN
    keys: dict[str, dict[str, str]] = field(default_factory=dict)
    kms_key: str = ""

    def prepare(self) -> None:
        iam = self.client("iam")
        for name, actions in OWN_POLICIES.items():
            self.people[name] = iam.create_user(UserName=name)["User"]["Arn"]
            made = iam.create_access_key(UserName=name)["AccessKey"]
            self.keys[name] = {
                "aws_access_key_id": made["AccessKeyId"],
                "aws_secret_access_key": made["SecretAccessKey"],
            }
            statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)
        self.kms_key = self.client("kms").create_key()["KeyMetadata"]["Arn"]
        self.client("s3").create_bucket(Bucket=BUCKET)

    @property
    def account(self) -> str:
        return self.kms_key.split(":")[4]

    def of(self, name: str, service: str) -> Any:
        return self.client(service, **self.keys[name])

    def matrix(self) -> dict[str, Any]:
        return joined([self.ask("WhoMayUseKey", key=self.kms_key, bucket=BUCKET)])

    def plain(self, text: str) -> str:
        """With the names that AWS's documentation gives."""
        return text.replace(self.account, ACCOUNT).replace(self.kms_key.rpartition("/")[2], KEY_ID)


def make(store: Store) -> tuple[dict[str, str], str]:
    """(blocks of the page by name, the picture)."""
    store.prepare()
    blocks = {"default": _text(matrix_lines(_some(store.matrix(), "Decrypt", "PutKeyPolicy", "CreateGrant")))}
    policy = separated(
        store.account,
        administrators=[store.people["kim"]],
        users=[store.people["uma"]],
        auditors=[store.people["ada"]],
    )
    store.client("kms").put_key_policy(KeyId=store.kms_key, PolicyName="default", Policy=json.dumps(policy))
    matrix = store.matrix()
    blocks["matrix"] = _text(matrix_lines(matrix))
    blocks["tried"] = _tried(store)
    may_sam = store.ask(
        "Can", principal="user/sam", action="s3:GetObject", resource=f"s3://{BUCKET}/{OBJECT}", context={}
    )
    blocks["sam"] = _text(can_lines(may_sam))
    return {name: store.plain(text) for name, text in blocks.items()}, store.plain(matrix_picture(matrix))


def _some(matrix: dict[str, Any], *actions: str) -> dict[str, Any]:
    kept = [at for at, column in enumerate(matrix["columns"]) if column["action"].removeprefix("kms:") in actions]
    rows = [row | {"cells": [row["cells"][at] for at in kept]} for row in matrix["rows"]]
    return matrix | {"columns": [matrix["columns"][at] for at in kept], "rows": rows}


def _text(lines: list[str]) -> str:
    return "```text\n" + "\n".join(lines) + "\n```"


def _tried(store: Store) -> str:
    """Real requests, and what each met."""
    key, under = store.kms_key, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": store.kms_key}
    at = {"Bucket": BUCKET, "Key": OBJECT}
    policy = {"KeyId": key, "PolicyName": "default"}
    theirs = store.client("kms").get_key_policy(**policy)["Policy"]
    blob = store.of("uma", "kms").encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    tries: list[tuple[str, str, Callable[[], Any]]] = [
        ("uma", "stores january.pdf under the key", lambda: store.of("uma", "s3").put_object(**at, Body=b"x", **under)),
        ("uma", "reads january.pdf", lambda: store.of("uma", "s3").get_object(**at)),
        ("uma", "disables the key", lambda: store.of("uma", "kms").disable_key(KeyId=key)),
        ("sam", "reads january.pdf", lambda: store.of("sam", "s3").get_object(**at)),
        ("sam", "puts another key policy", lambda: store.of("sam", "kms").put_key_policy(**policy, Policy=theirs)),
        ("kim", "rotates the key", lambda: store.of("kim", "kms").rotate_key_on_demand(KeyId=key)),
        ("kim", "decrypts", lambda: store.of("kim", "kms").decrypt(CiphertextBlob=blob)),
        ("kim", "grants herself decryption", lambda: store.of("kim", "kms").create_grant(
            KeyId=key, GranteePrincipal=store.people["kim"], Operations=["Decrypt"])),
        ("kim", "puts another key policy", lambda: store.of("kim", "kms").put_key_policy(**policy, Policy=theirs)),
        ("ada", "reads the key policy", lambda: store.of("ada", "kms").get_key_policy(**policy)),
        ("ada", "decrypts", lambda: store.of("ada", "kms").decrypt(CiphertextBlob=blob)),
        ("root", "decrypts", lambda: store.client("kms").decrypt(CiphertextBlob=blob)),
        ("root", "puts another key policy", lambda: store.client("kms").put_key_policy(**policy, Policy=theirs)),
    ]  # fmt: skip
    rows = [f"| {who} | {what} | {_outcome(ask)} |" for who, what, ask in tries]
    return "\n".join(["| who | tries | and |", "|---|---|---|", *rows])


def _outcome(ask: Callable[[], Any]) -> str:
    try:
        ask()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if "AccessDenied" not in code:
            raise
        return "**is refused**"
    return "may"


def with_blocks(page: str, blocks: Mapping[str, str]) -> str:
    """The page with each block between its marks. Raises KeyError for a mark that no block has."""
    marks = re.compile(r"<!-- role_separation.py: (?P<name>[\w-]+) -->\n.*?<!-- end -->", re.DOTALL)

    def written(found: re.Match[str]) -> str:
        return f"<!-- role_separation.py: {found['name']} -->\n\n{blocks[found['name']]}\n\n<!-- end -->"

    return marks.sub(written, page)


def run() -> tuple[str, str]:
    """(page, picture), from a store of its own."""
    from support.house import ACCESS_KEY_ID, SECRET_ACCESS_KEY, open_house

    root = {"aws_access_key_id": ACCESS_KEY_ID, "aws_secret_access_key": SECRET_ACCESS_KEY}
    with tempfile.TemporaryDirectory() as folder, open_house(Path(folder)) as house:

        def client(service: str, **keys: str) -> Any:
            return house.client(service, **(keys or root))

        blocks, picture = make(Store(client, house.own_api))
    return with_blocks(PAGE.read_text(), blocks), picture


def main() -> None:
    page, picture = run()
    if "--check" in sys.argv[1:]:
        current = PAGE.read_text() == page and PICTURE.read_text() == picture
        sys.exit(0 if current else "role-separation.md is not current: run script/role_separation.py")
    PICTURE.write_text(picture)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
