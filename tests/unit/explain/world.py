"""One store with two accounts, their people, a bucket and keys, for questions about decisions."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3al.explain.decisions import decide
from s3al.explain.matrix import Matrix, key_matrix
from s3al.explain.ports import OPERATIONS, Explaining, StoreFacts
from s3al.explain.principals import find_principal
from s3al.explain.verdicts import Verdict
from s3al.iam.accounts import AccessKey, create_account, replace_root_key, root_arn
from s3al.kms.seals.opening import SealPlace
from s3al.store import catalog, keystore
from s3al.store.keystore import KeyRow
from support.house import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, House
from support.people import Person, give, make_role, make_user


@dataclass
class Place:
    """An account."""

    world: World
    account_id: str
    root_key: AccessKey = field(repr=False)

    @property
    def root(self) -> str:
        return root_arn(self.account_id)

    @property
    def root_keys(self) -> dict[str, str]:
        return {
            "aws_access_key_id": self.root_key.access_key_id,
            "aws_secret_access_key": self.root_key.secret,
        }

    def client(self, service: str = "s3", person: Person | None = None, **more: Any) -> Any:
        keys = person.keys if person else self.root_keys
        return self.world.house.client(service, **keys, **more)

    def user(self, name: str, *statements: dict[str, Any], **more: Any) -> Person:
        server_key = self.world.iam.server_key
        person: Person = self.world.write(lambda rows: make_user(rows, server_key, self.account_id, name, **more))
        if statements:
            self.world.write(lambda rows: give(rows, person.arn, *statements))
        return person

    def role(self, name: str, trust_policy: str, *statements: dict[str, Any], **more: Any) -> Any:
        role = self.world.write(lambda rows: make_role(rows, self.account_id, name, trust_policy, **more))
        if statements:
            self.world.write(lambda rows: give(rows, role.arn, *statements))
        return role

    def bucket(self, policy: Any = None) -> str:
        name = f"b-{secrets.token_hex(6)}"
        s3 = self.client()
        s3.create_bucket(Bucket=name)
        s3.delete_public_access_block(Bucket=name)
        if policy is not None:
            self.bucket_policy(name, policy)
        return name

    def bucket_policy(self, bucket: str, *statements: Any) -> None:
        text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.client().put_bucket_policy(Bucket=bucket, Policy=text)

    def key(self, policy: Any = None, **more: Any) -> str:
        """The ARN of a new key."""
        arn: str = self.client("kms").create_key(**more)["KeyMetadata"]["Arn"]
        if policy is not None:
            self.world.key_policy(arn, policy)
        return arn


@dataclass
class World:
    house: House
    here: Place = field(init=False)
    there: Place = field(init=False)

    def __post_init__(self) -> None:
        self.here, self.there = self.place(), self.place()

    @property
    def ports(self) -> Explaining:
        services = self.house.workers[0].gateway.services
        s3 = services["s3"].ports
        own = frozenset({*services["s3al"].operations, *OPERATIONS})
        prepared = self.house._prepared
        assert prepared
        facts = StoreFacts(prepared.folder.read_document, lambda: SealPlace("keyfile", beside_data=True))
        return Explaining(s3.db, s3, services["kms"].ports, self.iam, facts, s3.now_ms, REGION, own)

    @property
    def iam(self) -> Any:
        return self.house.workers[0].gateway.services["iam"].ports

    def read(self, fn: Callable[[Any], Any]) -> Any:
        return self.house.workers[0].s3.db.read_now(fn)

    def write(self, fn: Callable[[Any], Any]) -> Any:
        return self.house.workers[0].s3.db.write_now(fn)

    def place(self) -> Place:
        key = AccessKey("AKIA" + secrets.token_hex(8).upper(), secrets.token_hex(20))

        def write(rows: Any) -> str:
            account = create_account(rows, f"place-{secrets.token_hex(4)}", now_ms=1, random=os.urandom)
            replace_root_key(rows, self.iam.server_key, account, key, now_ms=1)
            return account.account_id

        return Place(self, self.write(write), key)

    def key_row(self, arn: str) -> KeyRow:
        found: KeyRow = self.read(lambda rows: keystore.find_key(rows, arn.rpartition("/")[2], REGION))
        return found

    def key_policy(self, arn: str, policy: Any) -> None:
        """Put straight into its row: no lockout check, no caller."""
        row = self.key_row(arn)

        def write(rows: Any) -> None:
            keystore.set_policy(rows, row, json.dumps(policy))
            catalog.bump(rows)

        self.write(write)

    def decide(self, principal: str, action: str, resource: str, **context: Any) -> Verdict:
        """context: with `_` for `:` and nothing else."""
        given = {name.replace("_", ":", 1): value for name, value in context.items()}

        def read(rows: Any) -> Verdict:
            person = find_principal(rows, principal, account_id=self.here.account_id, now_ms=self.ports.now_ms())
            return decide(rows, self.ports, person.principal, action, resource, context=given)

        found: Verdict = self.read(read)
        return found

    def can(self, principal: str, action: str, resource: str, *, by: Any = None, **context: Any) -> Any:
        """The answer of our own API to the operator, or to whoever has the keys `by`."""
        given = {name.replace("_", ":", 1): value for name, value in context.items()}
        members = {"principal": principal, "action": action, "resource": resource, "context": given}
        return self.own("Can", by=by, **members)

    def own(self, operation: str, *, by: Any = None, worker: int = 0, **members: Any) -> Any:
        """The answer, or the error with its status."""
        host, target, body = "127.0.0.1:9000", f"/_s3al/v1/{operation}", json.dumps(members).encode()
        keys = by or {"aws_access_key_id": ACCESS_KEY_ID, "aws_secret_access_key": SECRET_ACCESS_KEY}
        signer = Credentials(*keys.values())  # with its session token, if it has one
        asked = AWSRequest("POST", f"https://{host}{target}", data=body, headers={"Host": host})
        SigV4Auth(signer, "s3al", REGION).add_auth(asked)
        headers = {name: str(value) for name, value in asked.headers.items()}
        found = self.house.ask("POST", target, headers, body, worker=worker)
        return found.document if found.status == 200 else found.document["error"] | {"status": found.status}

    def matrix(self, arn: str, **more: Any) -> Matrix:
        row = self.key_row(arn)
        found: Matrix = self.read(lambda rows: key_matrix(rows, self.ports, row, **more))
        return found
