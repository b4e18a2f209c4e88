"""AWS's own clients and ours, on one server: what each writes the other reads, V2 and V3, every kind of key."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from journeys.client_programs import Program, start
from s3al.client import (
    AesKeyring,
    AlgorithmSuite,
    CommitmentPolicy,
    EncryptionContextError,
    InstructionFileConfig,
    KmsDiscoveryKeyring,
    KmsKeyring,
    RsaKeyring,
    S3EncryptionClient,
    S3EncryptionClientConfig,
)
from support.server_process import ServerProcess
from support.settings import new_bucket, new_key

AES_KEY = bytes(range(32))
NEW_AES_KEY = bytes(range(32, 64))
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_DER = RSA_KEY.private_bytes(
    serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
SIZES = (0, 1, 15, 16, 4096, 3 * 1024 * 1024 + 7)
V2: dict[str, Any] = {
    "encryption_algorithm": AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF,
    "commitment_policy": CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT,
}
FORMATS: dict[str, dict[str, Any]] = {"V2": V2, "V3": {}}
Ask = Callable[..., None]


@pytest.fixture(scope="module")
def kms_key(standing_server: ServerProcess) -> str:
    return new_key(standing_server)


@pytest.fixture(scope="module")
def bucket(standing_server: ServerProcess) -> str:
    return new_bucket(standing_server)


@pytest.fixture(scope="module")
def programs(standing_server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Program]]:
    running: dict[str, Program] = {}

    class Lazy(dict[str, Program]):
        def __missing__(self, name: str) -> Program:
            running[name] = start(name, standing_server, tmp_path_factory.mktemp(name))
            self[name] = running[name]
            return running[name]

    yield Lazy()
    for program in running.values():
        program.stop()


def ours(server: ServerProcess, keyring: Any, object_format: str, *, instruction: bool = False) -> S3EncryptionClient:
    config = S3EncryptionClientConfig(
        keyring=keyring,
        instruction_file_config=InstructionFileConfig(enable_put_object=instruction),
        **FORMATS[object_format],
    )
    return S3EncryptionClient(server.client(), config)


def asked(program: Program, command: str, **given: Any) -> None:
    said = program.ask(command, **given)
    assert said == "ok", said


@pytest.mark.parametrize("object_format", FORMATS)
@pytest.mark.parametrize("language", ["python", "java", "go"])
class TestWithAKmsKey:
    def test_what_aws_clients_write_we_read(
        self, standing_server: ServerProcess, programs: Any, language: str, object_format: str, tmp_path: Path,
        bucket: str, kms_key: str,
    ) -> None:  # fmt: skip
        client = ours(standing_server, KmsKeyring(standing_server.client("kms"), kms_key), object_format)
        for size in SIZES:
            body, file = os.urandom(size), tmp_path / "body"
            file.write_bytes(body)
            asked(programs[language], "put", bucket=bucket, key="theirs", file=file, kms=kms_key, format=object_format)
            opened = client.get_object(Bucket=bucket, Key="theirs")
            assert opened["Body"].read() == body, size
            assert opened["ContentLength"] == size
            assert opened["Encryption"]["Format"] == object_format

    def test_what_we_write_aws_clients_read(
        self, standing_server: ServerProcess, programs: Any, language: str, object_format: str, tmp_path: Path,
        bucket: str, kms_key: str,
    ) -> None:  # fmt: skip
        client = ours(standing_server, KmsKeyring(standing_server.client("kms"), kms_key), object_format)
        for size in SIZES:
            body, file = os.urandom(size), tmp_path / "out"
            client.put_object(Bucket=bucket, Key="ours", Body=body)
            asked(programs[language], "get", bucket=bucket, key="ours", file=file, kms=kms_key, format=object_format)
            assert file.read_bytes() == body, size

    def test_an_encryption_context_is_the_same_thing_on_both_sides(
        self, standing_server: ServerProcess, programs: Any, language: str, object_format: str, tmp_path: Path,
        bucket: str, kms_key: str,
    ) -> None:  # fmt: skip
        client = ours(standing_server, KmsKeyring(standing_server.client("kms"), kms_key), object_format)
        named = {"bucket": bucket, "kms": kms_key, "format": object_format, "context": "tenant:blue"}
        file = tmp_path / "file"
        file.write_bytes(b"in context")
        asked(programs[language], "put", key="theirs-in-context", file=file, **named)
        context = {"tenant": "blue"}
        opened = client.get_object(Bucket=bucket, Key="theirs-in-context", EncryptionContext=context)
        assert opened["Body"].read() == b"in context"
        with pytest.raises(EncryptionContextError):
            client.get_object(Bucket=bucket, Key="theirs-in-context")
        client.put_object(Bucket=bucket, Key="ours-in-context", Body=b"ours", EncryptionContext=context)
        asked(programs[language], "get", key="ours-in-context", file=file, **named)
        assert file.read_bytes() == b"ours"


def test_objects_of_aws_multipart_size_are_read_by_its_clients(
    standing_server: ServerProcess, programs: Any, tmp_path: Path, bucket: str, kms_key: str
) -> None:
    client = ours(standing_server, KmsKeyring(standing_server.client("kms"), kms_key), "V3")
    body, file = os.urandom(37 * 1024 * 1024 + 11), tmp_path / "out"
    source = tmp_path / "in"
    source.write_bytes(body)
    client.upload_file(str(source), bucket, "many-parts")
    for language in ("python", "java", "go"):
        asked(programs[language], "get", bucket=bucket, key="many-parts", file=file, kms=kms_key, format="V3")
        assert file.read_bytes() == body


_RAW: dict[str, tuple[Callable[[], Any], dict[str, str]]] = {
    "aes": (lambda: AesKeyring(AES_KEY), {"aes": base64.b64encode(AES_KEY).decode()}),
    "rsa": (lambda: RsaKeyring(RSA_KEY), {"rsa": base64.b64encode(RSA_DER).decode()}),
}


@pytest.mark.parametrize("instruction", [False, True], ids=["metadata", "instruction-file"])
@pytest.mark.parametrize("object_format", FORMATS)
@pytest.mark.parametrize("kind", _RAW)
def test_java_and_we_read_each_other_with_own_keys(
    standing_server: ServerProcess, programs: Any, kind: str, object_format: str, instruction: bool, tmp_path: Path,
    bucket: str,
) -> None:  # fmt: skip
    make, told = _RAW[kind]
    client = ours(standing_server, make(), object_format, instruction=instruction)
    named = {"bucket": bucket, "format": object_format, **told} | ({"instruction": "yes"} if instruction else {})
    file = tmp_path / "file"
    for size in SIZES:
        body = os.urandom(size)
        file.write_bytes(body)
        asked(programs["java"], "put", key=f"java-{kind}", file=file, **named)
        opened = client.get_object(Bucket=bucket, Key=f"java-{kind}")
        assert opened["Body"].read() == body
        assert opened["Encryption"]["InstructionFile"] is instruction
        client.put_object(Bucket=bucket, Key=f"ours-{kind}", Body=body)
        asked(programs["java"], "get", key=f"ours-{kind}", file=file, **named)
        assert file.read_bytes() == body


@pytest.mark.parametrize("object_format", FORMATS)
def test_instruction_files_with_a_kms_key_are_read_by_java_and_python(
    standing_server: ServerProcess, programs: Any, object_format: str, tmp_path: Path, bucket: str, kms_key: str
) -> None:
    keyring = KmsKeyring(standing_server.client("kms"), kms_key)
    client = ours(standing_server, keyring, object_format, instruction=True)
    client.put_object(Bucket=bucket, Key="beside", Body=b"key beside")
    for language in ("java", "python"):
        file = tmp_path / language
        asked(programs[language], "get", bucket=bucket, key="beside", file=file, kms=kms_key, format=object_format)
        assert file.read_bytes() == b"key beside"


@pytest.mark.parametrize("object_format", FORMATS)
def test_an_instruction_file_wrapped_anew_by_java_opens_with_our_new_key(
    standing_server: ServerProcess, programs: Any, object_format: str, bucket: str
) -> None:
    old = AesKeyring(AES_KEY, materials_description={"year": "old"})
    new = AesKeyring(NEW_AES_KEY, materials_description={"year": "new"})
    client = ours(standing_server, old, object_format, instruction=True)
    client.put_object(Bucket=bucket, Key="rotated-by-java", Body=b"turn")
    asked(
        programs["java"], "reencrypt", bucket=bucket, key="rotated-by-java", format=object_format, instruction="yes",
        aes=base64.b64encode(AES_KEY).decode(), description="year:old",
        **{"new-aes": base64.b64encode(NEW_AES_KEY).decode(), "new-description": "year:new"},
    )  # fmt: skip
    opened = ours(standing_server, new, object_format).get_object(Bucket=bucket, Key="rotated-by-java")
    assert opened["Body"].read() == b"turn"


@pytest.mark.parametrize("object_format", FORMATS)
def test_an_instruction_file_wrapped_anew_by_us_opens_in_java(
    standing_server: ServerProcess, programs: Any, object_format: str, tmp_path: Path, bucket: str
) -> None:
    old = AesKeyring(AES_KEY, materials_description={"year": "old"})
    new = AesKeyring(NEW_AES_KEY, materials_description={"year": "new"})
    client = ours(standing_server, old, object_format, instruction=True)
    client.put_object(Bucket=bucket, Key="rotated-by-us", Body=b"turn")
    before = standing_server.client().head_object(Bucket=bucket, Key="rotated-by-us")["ETag"]
    client.reencrypt_instruction_file(new, Bucket=bucket, Key="rotated-by-us")
    assert standing_server.client().head_object(Bucket=bucket, Key="rotated-by-us")["ETag"] == before
    file = tmp_path / "file"
    asked(
        programs["java"], "get", bucket=bucket, key="rotated-by-us", file=file, format=object_format,
        instruction="yes", aes=base64.b64encode(NEW_AES_KEY).decode(), description="year:new",
    )  # fmt: skip
    assert file.read_bytes() == b"turn"


def test_a_discovery_keyring_opens_what_java_wrote(
    standing_server: ServerProcess, programs: Any, tmp_path: Path, bucket: str, kms_key: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"any key")
    asked(programs["java"], "put", bucket=bucket, key="any", file=file, kms=kms_key, format="V3")
    client = ours(standing_server, KmsDiscoveryKeyring(standing_server.client("kms")), "V3")
    assert client.get_object(Bucket=bucket, Key="any")["Body"].read() == b"any key"
