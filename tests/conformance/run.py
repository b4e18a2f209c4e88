"""Run a checkout of ceph/s3-tests against a fresh server, and compare with the table.

    make conformance SUITE=PATH
    .venv/bin/python tests/conformance/run.py PATH [--record] [-k WORDS | -m MARKS | TESTS ...]

What lives here: the server with TLS, the accounts and keys the suite wants, its configuration, its run, the verdict.
What does not: the suite (a checkout of the reader's own), the table (table.py, s3-tests.toml).

Laws: the suite runs in an environment of its own, as it pins what it likes; its accounts get new-bucket defaults that
allow SSE-C and public access, as its tests were written before AWS changed both. The suite has one `s3 alt` for two
roles, and it cannot be both on AWS: everywhere it is another account, in the files of IDENTITIES a user of the account
`iam`. These files run by themselves, with a configuration of their own.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import json
import os
import ssl
import subprocess
import sys
import tempfile
import urllib.request
import venv
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from conformance.table import Table, disagreements, replace_summary  # noqa: E402  needs the path above
from s3al.auth.sigv4 import Scope  # noqa: E402
from s3al.auth.sigv4_sign import Unsigned, sign  # noqa: E402
from support.server_process import ServerProcess  # noqa: E402

TABLE = Path(__file__).with_name("s3-tests.toml")
README = Path(__file__).with_name("README.md")
ENVIRONMENT = ROOT / ".venvs" / "s3-tests"
SECTIONS = ("s3 main", "s3 alt", "s3 tenant", "iam", "iam root", "iam alt root")
IDENTITIES = ("s3tests/functional/test_iam.py", "s3tests/functional/test_sts.py")
OPEN_DEFAULTS = {"block_sse_c": False, "block_public_access": False}
TEST_TIMEOUT_S = 300


def main() -> int:
    parser = argparse.ArgumentParser(description="Run ceph/s3-tests and compare with the table.")
    parser.add_argument("suite", type=Path, help="a checkout of ceph/s3-tests")
    parser.add_argument("--record", action="store_true", help="write what happened into the table")
    parser.add_argument("--workers", default="2", help="worker processes of the server")
    parser.add_argument("--parallel", default="0", help="tests at a time; 0 is one")
    parser.add_argument("--keep", type=Path, help="folder for the server's data and the suite's report")
    arguments, selection = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="s3al-conformance-") as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        server = ServerProcess(folder / "server", ("--tls", "auto", "--workers", arguments.workers)).start()
        try:
            outcomes: dict[str, bool] = {}
            for lot, tests, options in lots(selection):
                configuration = write_configuration(server, folder / f"{lot}.conf", lot)
                report = run_suite(arguments, [*tests, *options], (configuration, server.ca_bundle or ""))
                outcomes |= read_report(report)
        finally:
            server.stop()
    return verdict(arguments, outcomes, whole=not selection)


def lots(selection: list[str]) -> list[tuple[str, list[str], list[str]]]:
    """Name, tests and options of each run that `selection` asks for."""
    chosen = [word for word in selection if word.startswith("s3tests/")] or ["s3tests/functional"]
    options = [word for word in selection if not word.startswith("s3tests/")]
    found = []
    of_identities = [test for test in chosen if test.partition("::")[0] in IDENTITIES]
    others = [test for test in chosen if test not in of_identities]
    if others == ["s3tests/functional"]:
        of_identities = list(IDENTITIES)
    if others:
        found.append(("services", others, [*options, *(f"--ignore={file}" for file in IDENTITIES)]))
    if of_identities:
        found.append(("identities", of_identities, options))
    return found


def call_own_api(server: ServerProcess, operation: str, document: dict[str, object]) -> dict[str, object]:
    """One call of `/_s3al/v1`, signed as the operator."""
    now = datetime.now(UTC)
    body = json.dumps(document).encode()
    path = f"/_s3al/v1/{operation}"
    scope = Scope(server.access_key_id, now.strftime("%Y%m%d"), server.region, "s3al")
    host = urlsplit(server.endpoint).netloc
    head = Unsigned("POST", path, {"host": host}, payload_hash=hashlib.sha256(body).hexdigest())
    headers = sign(head, scope, server.secret_access_key, now=now).headers
    request = urllib.request.Request(server.endpoint + path, data=body, headers=headers, method="POST")
    context = ssl.create_default_context(cafile=server.ca_bundle)
    with urllib.request.urlopen(request, context=context) as answer:
        shown: dict[str, object] = json.loads(answer.read())
        return shown


def write_configuration(server: ServerProcess, path: Path, lot: str) -> Path:
    """Make the accounts, KMS keys and the user that a lot wants, and say where they are in the suite's own format."""
    configuration = configparser.RawConfigParser()
    configuration["DEFAULT"] = {
        "host": server.host,
        "port": str(server.port),
        "is_secure": "True",
        "ssl_verify": "False",
    }
    configuration["fixtures"] = {"bucket prefix": "s3al-{random}-"}
    for section in SECTIONS:
        name = f"{lot}-{section.replace(' ', '-')}"
        made = call_own_api(server, "CreateAccount", {"name": name})
        known_by = "account_id" if lot == "identities" and section.startswith("iam ") else "canonical_id"
        call_own_api(server, "SetAccount", {"account": name, "settings": OPEN_DEFAULTS})
        configuration[section] = {
            "display_name": name,
            "user_id": str(made[known_by]),
            "email": f"{name}@example.com",
            "access_key": str(made["access_key_id"]),
            "secret_key": str(made["secret_access_key"]),
        }
    configuration["s3 main"]["api_name"] = ""
    configuration["s3 main"]["lc_debug_interval"] = "2"
    configuration["s3 tenant"]["tenant"] = ""
    if lot == "identities":
        configuration["s3 alt"] = user_of(server, configuration["iam"])
    main = configuration["s3 main"]
    kms = server.client("kms", aws_access_key_id=main["access_key"], aws_secret_access_key=main["secret_key"])
    for name in ("kms_keyid", "kms_keyid2"):
        main[name] = kms.create_key(Description="conformance")["KeyMetadata"]["Arn"]
    unused = "token aud sub azp user_token thumbprint KC_REALM"
    configuration["webidentity"] = dict.fromkeys(unused.split(), "0" * 40)  # as long as a thumbprint
    with path.open("w") as file:
        configuration.write(file)
    path.chmod(0o600)
    return path


def user_of(server: ServerProcess, account: Mapping[str, str]) -> dict[str, str]:
    """A user of `account` who may use S3, named as the suite names users: by the canonical id."""
    root = {"aws_access_key_id": account["access_key"], "aws_secret_access_key": account["secret_key"]}
    iam, name = server.client("iam", **root), account["user_id"]
    iam.create_user(UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    access_key = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"access_key": access_key["AccessKeyId"], "secret_key": access_key["SecretAccessKey"]}
    return {**account, **keys}


def environment(suite: Path) -> Path:
    """The suite's own Python, made at the first run."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
        install = [python, "-m", "pip", "install", "-q", "-r", suite / "requirements.txt"]
        subprocess.run([*install, "pytest-timeout", "pytest-xdist"], check=True)
    return python


def run_suite(arguments: argparse.Namespace, selection: list[str], setup: tuple[Path, str]) -> Path:
    """Returns its JUnit report. A suite that fails is what the table is for. setup: configuration and CA bundle."""
    configuration, ca_bundle = setup
    report = configuration.with_suffix(".xml")
    suite: Path = arguments.suite.resolve()
    command = [environment(suite), "-m", "pytest", "-q", "--tb=short", f"--junitxml={report}"]
    command += ["-p", "no:cacheprovider", f"--timeout={TEST_TIMEOUT_S}", "-W", "ignore"]
    if arguments.parallel != "0":
        command += ["-n", arguments.parallel]
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    own |= {"S3TEST_CONF": str(configuration), "AWS_EC2_METADATA_DISABLED": "true"}
    own["REQUESTS_CA_BUNDLE"] = ca_bundle  # a few of its tests verify all the same
    with configuration.with_suffix(".log").open("w") as log:
        subprocess.run([*command, *selection], cwd=suite, env=own, stdout=log, stderr=log, check=False)
    return report


def read_report(report: Path) -> dict[str, bool]:
    """Test id -> whether it passed. A test that was skipped has not passed."""
    outcomes: dict[str, bool] = {}
    for case in ET.parse(report).iter("testcase"):
        module = case.get("classname", "").removeprefix("s3tests.functional.")
        passed = not any(child.tag in ("failure", "error", "skipped") for child in case)
        name = f"{module}::{case.get('name')}"
        outcomes[name] = outcomes.get(name, True) and passed
    return outcomes


def verdict(arguments: argparse.Namespace, outcomes: dict[str, bool], *, whole: bool) -> int:
    table = Table.read(TABLE)
    if arguments.record:
        table.suite = "https://github.com/ceph/s3-tests"
        head = subprocess.run(
            ["git", "-C", arguments.suite, "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        )
        table.commit = head.stdout.strip() or table.commit
        table.record(outcomes)
        table.write(TABLE)
        README.write_text(replace_summary(README.read_text(), table))
    wrong = disagreements(table, outcomes)
    print("\n".join(wrong))
    print(f"{sum(outcomes.values())} of {len(outcomes)} tests passed; the table: {table.counts()}")
    if whole and (gone := {test for test in table.passes if test not in outcomes}):
        print(f"in the table and not in the suite: {sorted(gone)[:10]}")
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
