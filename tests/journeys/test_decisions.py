"""Decisions explained on a server that holds every mode: what `Can` says is what boto3 meets, and commands say it."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.modes import MODES, Mode, mode_of
from support.schemas import require_valid
from support.server_process import ServerProcess
from support.settings import NO_RETRIES, allow_sse_c, new_bucket, own_api

S3_USER = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


@dataclass
class Person:
    arn: str
    keys: dict[str, str] = field(repr=False)


@dataclass
class Company:
    """A key whose roles are held apart, its people, and a bucket with an object of every mode that the user put."""

    server: ServerProcess
    home: Path
    people: dict[str, Person] = field(default_factory=dict)
    key: str = ""
    bucket: str = ""

    def client(self, name: str, service: str = "s3") -> Any:
        return self.server.client(service, config=NO_RETRIES, **self.people[name].keys)

    def command(self, *words: str, by: str | None = None) -> subprocess.CompletedProcess[str]:
        environ = self.server.client_environ(self.home) | {"AWS_REGION": self.server.region}
        if by is not None:
            keys = self.people[by].keys
            environ |= {"AWS_ACCESS_KEY_ID": keys["aws_access_key_id"]}
            environ |= {"AWS_SECRET_ACCESS_KEY": keys["aws_secret_access_key"]}
        command = [sys.executable, "-m", "s3al", *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)

    def put(self, mode: Mode) -> None:
        self.client("user").put_object(Bucket=self.bucket, Key=mode.name, Body=b"x", **mode.put)


@pytest.fixture(scope="module")
def company(standing_tls_server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Company:
    server, suffix = standing_tls_server, secrets.token_hex(4)
    made = Company(server, tmp_path_factory.mktemp("company"))
    iam = server.client("iam")
    for name in ("admin", "user", "auditor", "stranger"):
        user_name = f"{name}-{suffix}"
        arn = iam.create_user(UserName=user_name)["User"]["Arn"]
        keys = iam.create_access_key(UserName=user_name)["AccessKey"]
        iam.put_user_policy(UserName=user_name, PolicyName="s3", PolicyDocument=json.dumps(S3_USER))
        made.people[name] = Person(
            arn, {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"]}
        )
    roles = [word for name in ("admin", "user", "auditor") for word in (f"--{name}", made.people[name].arn)]
    answer = made.command("key", "create", *roles, "--json")
    assert answer.returncode == 0, answer.stderr
    made.key, made.bucket = json.loads(answer.stdout)["arn"], new_bucket(server)
    allow_sse_c(server.client(), made.bucket)
    for name in MODES:
        made.put(mode_of(name, made.key))
    return made


@pytest.mark.parametrize("name", MODES)
def test_what_is_said_of_each_mode_is_what_each_person_meets(company: Company, name: str) -> None:
    mode = mode_of(name, company.key)
    allowed = {}
    for who, person in company.people.items():
        asked = {"principal": person.arn, "action": "s3:GetObject", "resource": f"s3://{company.bucket}/{name}"}
        said = own_api(company.server, "Can", **asked)
        require_valid("can", said)
        allowed[who] = said["allowed"]
        try:
            company.client(who).get_object(Bucket=company.bucket, Key=name, **mode.customer)
            got = True
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied"
            got = False
        assert said["allowed"] is got, (who, said)
    keyed = "kms" in name
    assert allowed == {"admin": not keyed, "user": True, "auditor": not keyed, "stranger": not keyed}


def test_the_matrix_says_roles_apart_as_table_json_and_picture(company: Company) -> None:
    picture = company.home / "who.svg"
    answer = company.command("key", "who", company.key, "--json", "--svg", str(picture))
    assert answer.returncode == 0, answer.stderr
    document = json.loads(answer.stdout)
    require_valid("key-who", document)
    rows = {row["principal"]: row["cells"] for row in document["rows"]}
    groups = [column["group"] for column in document["columns"]]
    may = {
        name: {group for group, cell in zip(groups, rows[person.arn], strict=True) if cell["allowed"]}
        for name, person in company.people.items()
    }
    assert may == {"admin": {"manage", "look"}, "user": {"use", "look"}, "auditor": {"look"}, "stranger": set()}
    assert ET.parse(picture).getroot().tag.endswith("svg")
    table = company.command("key", "who", company.key, "--action", "kms:Decrypt", "--verbose")
    assert table.returncode == 0 and "Decrypt via S3" in table.stdout
    assert '"Sid": "AdministratorsNeitherUseNorShare"' in table.stdout
    for name, person in company.people.items():
        with_reason = person.arn.rpartition(":")[2]
        assert with_reason in table.stdout, name


def test_can_ends_as_it_decides(company: Company) -> None:
    user, admin = company.people["user"].arn, company.people["admin"].arn
    yes = company.command("can", user, "kms:Decrypt", company.key)
    assert yes.returncode == 0 and "UsersUse of the key policy, which allows" in yes.stdout
    no = company.command("can", admin, "kms:Decrypt", company.key, "--json", "--context", "aws:SourceIp=192.0.2.1")
    assert no.returncode == 1
    document = json.loads(no.stdout)
    require_valid("can", document)
    assert document["remedy"]["verified"]
    [change] = document["remedy"]["changes"]
    narrowed, added = change["edits"]
    assert (narrowed["do"], added["do"]) == ("narrow", "add")
    assert narrowed["replaces"]["Sid"] == "AdministratorsNeitherUseNorShare"
    for words in (["user/no-such-user", "kms:Decrypt"], [user, "kms:Fly"], [user, "kms:Decrypt", "--context", "x"]):
        unknown = company.command("can", *words[:2], company.key, *words[2:])
        assert (unknown.returncode, unknown.stdout) == (2, "") and unknown.stderr.startswith("s3al: ")


def test_why_tells_the_owner_by_what_and_himself_whom_to_ask(company: Company) -> None:
    with pytest.raises(ClientError) as refused:
        company.client("admin").get_object(Bucket=company.bucket, Key="dsse-kms")
    request_id = refused.value.response["ResponseMetadata"]["RequestId"]
    told = company.command("why", request_id, "--json")
    assert told.returncode == 0, told.stderr
    document = json.loads(told.stdout)
    require_valid("why", document)
    assert (document["operation"], document["then"]["action"]) == ("GetObject", "kms:Decrypt")
    assert document["then"]["statement"]["sid"] == "AdministratorsNeitherUseNorShare"
    himself = company.command("why", request_id, by="admin")
    assert himself.returncode == 0 and "AdministratorsNeitherUseNorShare" not in himself.stdout
    stranger = company.command("why", request_id, by="stranger")
    assert stranger.returncode == 1 and "AccessDenied" in stranger.stderr
    absent = company.command("why", "0123456789ABCDEF")
    assert absent.returncode == 1 and "NoSuchEntity" in absent.stderr


def test_a_statement_that_is_changed_changes_what_is_said_and_what_is_met(company: Company) -> None:
    kms, stranger = company.server.client("kms"), company.people["stranger"].arn
    asked = {"principal": stranger, "action": "s3:GetObject", "resource": f"s3://{company.bucket}/sse-kms"}
    before = own_api(company.server, "Can", **asked)
    [change] = before["remedy"]["changes"]
    assert change["kind"] == "key-policy"
    kms.put_key_policy(KeyId=company.key, PolicyName="default", Policy=json.dumps(change["document"]))
    after = own_api(company.server, "Can", **asked)
    assert not before["allowed"] and after["allowed"] and after["remedy"] is None
    company.client("stranger").get_object(Bucket=company.bucket, Key="sse-kms")
    direct = own_api(company.server, "Can", principal=stranger, action="kms:Decrypt", resource=company.key)
    assert not direct["allowed"]  # through S3 alone
