"""A KMS with accounts, driven through authorize and handle as the gateway drives it."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from s3al.auth.principal import Principal
from s3al.errors import RequestError
from s3al.kms.data_keys import DataKeys
from s3al.kms.errors import KMS_ERRORS
from s3al.kms.materials import Materials
from s3al.kms.ports import OPERATIONS, Kms
from s3al.kms.root import StoreKeys, create_store_keys
from s3al.kms.seals.keyfile import KeyfileSeal
from s3al.kms.service import kms_service
from s3al.kms.service_key import ensure_service_key
from s3al.service.operation import Call
from s3al.store import accounts, identities, keystore
from s3al.store.accounts import AccountRow
from s3al.store.buckets import BucketRow
from s3al.store.identities import UserRow
from unit.kms.rows import MemoryDatabase

STORE_ID = bytes(range(16))
REGION = "us-east-1"
NOW = 1_700_000_000_000
DAY = 24 * 60 * 60 * 1000
OURS = "111111111111"
THEIRS = "222222222222"


def root_of(account_id: str) -> Principal:
    return Principal("root", account_id, f"arn:aws:iam::{account_id}:root", account_id)


def user_of(account_id: str, name: str) -> Principal:
    return Principal("user", account_id, f"arn:aws:iam::{account_id}:user/{name}", f"AIDA{name}")


ROOT = root_of(OURS)
OTHER_ROOT = root_of(THEIRS)
ALICE = user_of(OURS, "alice")
MALLORY = user_of(THEIRS, "mallory")
BUCKET = BucketRow(bytes(range(50, 66)), "photos", OURS, REGION, NOW)


def statement(effect: str = "Allow", principal: Any = "*", action: Any = "kms:*", **condition: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"Effect": effect, "Principal": principal, "Action": action, "Resource": "*"}
    if condition:
        made["Condition"] = condition
    return made


def policy(*statements: dict[str, Any], with_root: bool = True) -> str:
    """with_root: the account's own statement too, without which nobody could change the key."""
    own = [statement(principal={"AWS": f"arn:aws:iam::{OURS}:root"})] if with_root else []
    return json.dumps({"Version": "2012-10-17", "Statement": [*own, *statements]})


def refusal(raised: Any) -> tuple[str, str]:
    """(code, message) as answered."""
    error: RequestError = raised.value
    default = KMS_ERRORS.get(error.code, (0, ""))[1]
    return error.code, default if error.message is None else error.message


class World:
    def __init__(self, database: Any = None, keys: StoreKeys | None = None) -> None:
        self.database = database or MemoryDatabase()
        seal = KeyfileSeal(Path("daily"), secrets.token_bytes(32))
        self.keys = keys or create_store_keys(STORE_ID, [seal], now_ms=NOW, random=secrets.token_bytes)
        self.counted: Counter[str] = Counter()
        self.now = NOW
        self.kms = self.worker()
        self.data_keys = DataKeys(self.kms)
        self.database.write_now(self._found)

    def _found(self, rows: Any) -> None:
        for number, account_id in enumerate((OURS, THEIRS)):
            accounts.create_account(rows, AccountRow(account_id, f"{number:064x}", f"account {number}", NOW))
        for user in (ALICE, MALLORY, user_of(OURS, "bob"), user_of(OURS, "carol")):
            name = user.arn.rpartition("/")[2]
            row = UserRow(user.arn, user.user_id, user.account_id or "", name, "/", NOW)
            identities.put_identity(rows, row)
        ensure_service_key(rows, self.keys.root, now_ms=NOW, random=secrets.token_bytes)

    def worker(self) -> Kms:
        """The ports of one more worker: the same rows, caches of its own."""
        materials = Materials(self.keys.root, random=secrets.token_bytes)
        return Kms(self.database, materials, secrets.token_bytes, lambda name: self.counted.update([name]))

    def make_call(self, operation: str, principal: Principal, region: str, params: dict[str, Any]) -> Call:
        return Call(
            service="kms",
            operation=operation,
            params=params,
            principal=principal,
            request_id="r",
            now_ms=self.now,
            region=region,
            source_ip="192.0.2.7",
        )

    def do(
        self, operation: str, *, by: Principal = ROOT, region: str = REGION, worker: Kms | None = None, **params: Any
    ) -> dict[str, Any]:
        """One request from authorization to output."""
        kms = worker or self.kms
        service = kms_service(kms)
        call = self.make_call(operation, by, region, params)
        call.reauthorize = lambda rows: service.authorize(rows, call, kms)
        authorized = self.database.read_now(call.reauthorize)
        return asyncio.run(_handle(operation, authorized, call, kms))

    def create_key(self, **params: Any) -> str:
        """The id of a new key."""
        key_id: str = self.do("CreateKey", **params)["KeyMetadata"]["KeyId"]
        return key_id

    def s3(self, principal: Principal = ROOT) -> Call:
        """A request that S3 serves."""
        call = self.make_call("PutObject", principal, REGION, {})
        call.service = "s3"
        return call

    def row(self, key_id: str, region: str = REGION) -> keystore.KeyRow:
        row = self.database.read_now(lambda rows: keystore.find_key(rows, key_id, region))
        assert row is not None
        return row


async def _handle(operation: str, authorized: Any, call: Call, kms: Kms) -> dict[str, Any]:
    reply = await OPERATIONS[operation].handle(authorized, call, kms)
    if operation not in model().operation_names:
        return reply.output  # newer than the model that is installed
    shape = model().operation_model(operation).output_shape
    if shape is None:
        assert reply.output == {}
    else:
        report = ParamValidator().validate(_as_modelled(reply.output), shape)
        assert not report.has_errors(), report.generate_report()
    return reply.output


def _as_modelled(output: dict[str, Any]) -> dict[str, Any]:
    """AWS lists a grant without name under the name "", which its own model does not allow; and the installed model may
    be older than ML-KEM."""
    if "EncapsulationAlgorithms" not in model().shape_for("KeyMetadata").members:
        output = {name: value for name, value in output.items() if name != "EncapsulationAlgorithms"}
        for name in output.keys() & {"KeyMetadata"}:
            output[name] = {k: v for k, v in output[name].items() if k != "EncapsulationAlgorithms"}
    if "Grants" not in output:
        return output
    return {**output, "Grants": [{k: v for k, v in g.items() if (k, v) != ("Name", "")} for g in output["Grants"]]}


@cache
def model() -> ServiceModel:
    """AWS's own model of the KMS: the oracle for the shape of every answer."""
    return ServiceModel(Loader().load_service_model("kms", "service-2"))
