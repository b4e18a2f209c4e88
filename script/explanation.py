"""Writes the pictures and samples of docs/explanation/ from throwaway servers that hold an object of every mode.

Pages are written by hand; between `<!-- generated: NAME -->` and `<!-- end -->` stands what a real store answered.
`--check` writes nothing and fails if a page or picture would come out otherwise, ids, dates and accounts aside.
Needs the packages of the tests.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "explanation"
sys.path.insert(0, str(ROOT / "tests"))

from s3al.advice.key_policy import separated  # noqa: E402
from s3al.client import AesKeyring, KmsKeyring, S3EncryptionClient, S3EncryptionClientConfig  # noqa: E402
from s3al.explain.pictures import picture  # noqa: E402
from s3al.explain.words import READS, lines  # noqa: E402

Document = dict[str, Any]
BUCKET, ALIAS = "payroll", "alias/payroll"
PASSPHRASE = "a passphrase of this example alone"  # noqa: S105  of a store that is thrown away
# Object key -> how it is put; `key` is filled in. The client-side ones are put by the client library.
MODES: Mapping[str, Mapping[str, Any]] = {
    "sse-s3": {},
    "sse-kms": {"ServerSideEncryption": "aws:kms"},
    "bucket-key": {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": True},
    "dsse-kms": {"ServerSideEncryption": "aws:kms:dsse"},
    "sse-c": {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "an SSE-C key for this example ok"},
}
NAMES = {
    "sse-s3": "SSE-S3",
    "sse-kms": "SSE-KMS",
    "bucket-key": "SSE-KMS with a Bucket Key",
    "dsse-kms": "DSSE-KMS",
    "sse-c": "SSE-C",
    "client-kms": "client-side, KMS key of this server",
    "client-own-key": "client-side, own key",
}
BODY = b"salaries of the year\n" * 20_000


@dataclass
class Store:
    """A running server as its operator has it. client: of a service, by the operator's root unless access keys are
    given. ask: an operation of our own API."""

    client: Callable[..., Any]
    ask: Callable[..., Document]
    key: str = field(init=False)
    people: dict[str, dict[str, str]] = field(default_factory=dict)  # name -> access keys

    def prepare(self) -> None:
        """A bucket, and a KMS key with roles held apart: sam administers the bucket, kim the key, uma uses both; the
        account's root, who made it all, may administer the bucket and repair the key's policy."""
        s3, kms, iam = self.client("s3"), self.client("kms"), self.client("iam")
        s3.create_bucket(Bucket=BUCKET)
        unblocked = {"BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}
        s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [unblocked]})
        account = self.client("sts").get_caller_identity()["Account"]
        arns = {name: iam.create_user(UserName=name)["User"]["Arn"] for name in ("sam", "kim", "uma")}
        for name in arns:
            made = iam.create_access_key(UserName=name)["AccessKey"]
            keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
            self.people[name] = keys
        self._give(iam, "sam", "AdministersTheBucket", "s3:*", f"arn:aws:s3:::{BUCKET}*")
        self._give(iam, "uma", "ReadsAndWrites", ["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{BUCKET}/*")
        self.key = kms.create_key(Description="salaries")["KeyMetadata"]["Arn"]
        kms.create_alias(AliasName=ALIAS, TargetKeyId=self.key)
        policy = separated(
            account, administrators=[arns["kim"]], users=[arns["uma"]], administrators_change_policy=True
        )
        kms.put_key_policy(KeyId=self.key, PolicyName="default", Policy=json.dumps(policy))

    def of(self, person: str, service: str) -> Any:
        return self.client(service, **self.people[person])

    def _give(self, iam: Any, user: str, sid: str, action: str | list[str], resource: str) -> None:
        statement = {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=user, PolicyName=sid, PolicyDocument=policy)

    def put(self, object_key: str, mode: str) -> None:
        kms = {"SSEKMSKeyId": self.key} if "ServerSideEncryption" in MODES[mode] else {}
        self.of("uma", "s3").put_object(Bucket=BUCKET, Key=object_key, Body=BODY, **MODES[mode], **kms)

    def put_client_side(self) -> None:
        s3, kms = self.of("uma", "s3"), self.of("uma", "kms")
        for name, keyring in (("client-kms", KmsKeyring(kms, self.key)), ("client-own-key", AesKeyring(b"k" * 32))):
            client = S3EncryptionClient(s3, S3EncryptionClientConfig(keyring=keyring))
            client.put_object(Bucket=BUCKET, Key=f"{name}.pdf", Body=BODY)

    def explain(self, object_key: str) -> Document:
        return self.ask("ExplainObject", bucket=BUCKET, key=object_key)

    def explain_key(self) -> Document:
        return self.ask("ExplainKey", key=ALIAS)


@dataclass
class Made:
    """What was made: pictures by file name, blocks of pages by name."""

    pictures: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, str] = field(default_factory=dict)

    def draw(self, name: str, document: Document) -> None:
        self.pictures[f"{name}.svg"] = picture(document)

    def say(self, name: str, document: Document) -> None:
        self.blocks[name] = "```text\n" + "\n".join(lines(document)) + "\n```"


def make(daily: Store, other: Store) -> Made:
    """daily: over TLS, its keyfile beside the data. other: over plain HTTP, its seal a passphrase."""
    made = Made()
    daily.prepare()
    _rotation(daily, made)
    documents = {}
    for mode in MODES:
        daily.put(f"{mode}.pdf", mode)
    daily.put_client_side()
    for mode in NAMES:
        documents[mode] = daily.explain(f"{mode}.pdf")
        made.draw(mode, documents[mode])
    made.say("sse-kms", documents["sse-kms"])
    made.say("client-own-key", documents["client-own-key"])
    other.prepare()
    other.put("sse-kms.pdf", "sse-kms")
    elsewhere = other.explain("sse-kms.pdf")
    made.draw("passphrase", elsewhere)
    made.blocks["options"] = _options(documents)
    made.blocks["thieves"] = _thieves(documents)
    places = {
        "keyfile on the data's disk, TLS": documents["sse-kms"],
        "passphrase, plain HTTP": elsewhere,
        "client's own key, keyfile on the disk, TLS": documents["client-own-key"],
    }
    made.blocks["places"] = _places(places)
    return made


def _rotation(store: Store, made: Made) -> None:
    """January under the first material, a rotation, February and March under the second; and January still opens."""
    kms, s3 = store.of("kim", "kms"), store.of("uma", "s3")
    store.put("january.pdf", "sse-kms")
    before = store.explain_key()
    kms.rotate_key_on_demand(KeyId=store.key)
    kms.enable_key_rotation(KeyId=store.key, RotationPeriodInDays=365)
    store.put("february.pdf", "sse-kms")
    store.put("march.pdf", "sse-kms")
    if s3.get_object(Bucket=BUCKET, Key="january.pdf")["Body"].read() != BODY:
        raise AssertionError("an object of before the rotation does not open")
    after = store.explain_key()
    for name, document in (("before", before), ("after", after)):
        made.draw(f"rotation-{name}", document)
        made.say(f"rotation-{name}", document)
    older = store.explain("january.pdf")
    mind = "\n".join(f"[{one['severity']}] {one['says']}" for one in older["cautions"] if one["id"] == "older-material")
    made.blocks["january"] = f"```text\n{mind}\n```"
    for object_key in ("january.pdf", "february.pdf", "march.pdf"):
        store.client("s3").delete_object(Bucket=BUCKET, Key=object_key)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head),
                      *("| " + " | ".join(row) + " |" for row in rows)])  # fmt: skip


_OPENERS = {
    "service-material": "the server's service key",
    "kms-material": "a KMS key",
    "customer-key": "the customer, with each request",
    "client-master-key": "the application",
}


def _options(documents: Mapping[str, Document]) -> str:
    """Who encrypts, how often, and whose keys open the data keys: read off the chains."""
    rows = []
    for mode, document in documents.items():
        who = " and ".join(dict.fromkeys(layer["who"] for layer in document["encrypted_by"]))
        openers = dict.fromkeys(_OPENERS[node["kind"]] for node in document["keys"] if node["kind"] in _OPENERS)
        rows.append((f"[{NAMES[mode]}](pictures/{mode}.svg)", who, str(len(document["encrypted_by"])),
                     "; ".join(openers)))  # fmt: skip
    return _table(("way", "who encrypts", "layers", "who opens the data keys"), rows)


def _thieves(documents: Mapping[str, Document]) -> str:
    names = list(dict.fromkeys(one["thief"] for one in documents["sse-kms"]["thieves"]))
    rows = []
    for mode, document in documents.items():
        reads = {one["thief"]: READS[one["reads"]].lower() for one in document["thieves"]}
        rows.append((NAMES[mode], *(_strong(reads.get(name, "-")) for name in names)))
    return _table(("way", *names), rows)


def _strong(word: str) -> str:
    return f"**{word}**" if word == "everything" else word


def _places(documents: Mapping[str, Document]) -> str:
    """At rest and in transit, side by side."""
    rows = []
    for title, document in documents.items():
        found = {one["thief"]: one for one in document["thieves"]}
        cells = (f"{_strong(READS[found[name]['reads']].lower())}: {found[name]['because']}"
                 for name in ("data folder", "disk", "network"))  # fmt: skip
        rows.append((title, *cells))
    return _table(("store", "data folder taken", "disk taken", "network listened to"), rows)


# --- pages


_BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """The page with its blocks as they are now. Raises KeyError for one that nobody makes."""
    return _BLOCK.sub(lambda found: f"{found[1]}\n{blocks[found[2]]}\n\n{found[3]}", page)


_VARYING = (
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?"), "DATE"),
    (re.compile(r"[0-9a-f/\u2026-]*[0-9a-f]{7,}\u2026?[0-9a-f-]*"), "HEX"),
)


def masked(text: str) -> str:
    """Without what differs from store to store: ids, dates, accounts."""
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return text


def stale(made: Made) -> list[str]:
    """Files that would come out otherwise."""
    found = [name for name, drawn in made.pictures.items() if not _same(PAGES / "pictures" / name, drawn)]
    found += [path.name for path in (PAGES / "pictures").iterdir() if path.name not in made.pictures]
    pages = (path for path in PAGES.glob("*.md") if _BLOCK.search(path.read_text()))
    return found + [path.name for path in pages if not _same(path, filled(path.read_text(), made.blocks))]


def _same(path: Path, now: str) -> bool:
    return path.exists() and masked(path.read_text()) == masked(now)


def write(made: Made) -> None:
    (PAGES / "pictures").mkdir(parents=True, exist_ok=True)
    for name, drawn in made.pictures.items():
        (PAGES / "pictures" / name).write_text(drawn)
    for path in PAGES.glob("*.md"):
        page = path.read_text()
        if _BLOCK.search(page):
            path.write_text(filled(page, made.blocks))


def main() -> int:
    from support.server_process import ServerProcess
    from support.settings import own_api

    def store_of(server: ServerProcess) -> Store:
        return Store(server.client, lambda operation, **members: own_api(server, operation, **members))

    with tempfile.TemporaryDirectory() as folder:
        daily = ServerProcess(Path(folder) / "daily", ("--workers", "1", "--tls", "auto"))
        other = ServerProcess(Path(folder) / "other", ("--workers", "1", "--root-key", "passphrase:"),
                              {"S3AL_PASSPHRASE": PASSPHRASE})  # fmt: skip
        try:
            made = make(store_of(daily.start()), store_of(other.start()))
        finally:
            for server in (daily, other):
                if hasattr(server, "process"):
                    server.stop()
    if "--check" in sys.argv:
        found = stale(made)
        sys.stdout.writelines(f"s3al: {name} is stale: run script/explanation.py\n" for name in found)
        return 1 if found else 0
    write(made)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
