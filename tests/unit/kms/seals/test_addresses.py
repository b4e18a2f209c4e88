from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.errors import ConfigError
from s3al.kms.seals.addresses import (
    Address,
    KeyfileAddress,
    PassphraseAddress,
    RemoteKeyAddress,
    TokenAddress,
    kind_of,
    parse_address,
)

STORE_ID = bytes(range(16))
ARN = "arn:aws:kms:eu-central-1:000000000001:key/5b1c0c4e-0000-4000-8000-000000000000"
MODULE = "/usr/lib/softhsm/libsofthsm2.so"


def parsed(option: str | None) -> Address:
    return parse_address(option, store_id=STORE_ID, config_home=Path("/home/x/.config"))


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (None, KeyfileAddress(Path(f"/home/x/.config/s3al/{STORE_ID.hex()}.rootkey"))),
        ("keyfile:/a/b", KeyfileAddress(Path("/a/b"))),
        ("keyfile:c", KeyfileAddress(Path("c"))),
        ("passphrase:", PassphraseAddress("")),
        ("passphrase:recovery", PassphraseAddress("recovery")),
        (
            f"pkcs11:token=my%20token;object=root?module-path={MODULE}&pin-source=file:/run/pin",
            TokenAddress("my token", "root", Path(MODULE), Path("/run/pin")),
        ),
        (f"pkcs11:object=root;token=t?module-path={MODULE}", TokenAddress("t", "root", Path(MODULE))),
        (f"kms:{ARN}", RemoteKeyAddress(ARN, "eu-central-1")),
        (f"kms:{ARN}@https://kms.example:9000/", RemoteKeyAddress(ARN, "eu-central-1", "https://kms.example:9000")),
    ],
)
def test_every_command_finds_a_seal_the_same_way(option: str | None, expected: Address) -> None:
    assert parsed(option) == expected
    assert kind_of(expected) == (option or "keyfile").partition(":")[0]


@pytest.mark.parametrize(
    "option",
    [
        *("", "keyfile", "keyfile:", "/a/b", "passphrase", "passphrase:Two Words", "pkcs11:", "kms:", "vault:x"),
        *("pkcs11:token", f"pkcs11:token=t?module-path={MODULE}", "pkcs11:token=t;object=k"),
        f"pkcs11:token=t;object=k;serial=1?module-path={MODULE}",
        f"pkcs11:token=t;token=u;object=k?module-path={MODULE}",
        *("kms:alias/x", "kms:arn:aws:kms:us-east-1:1:key/x", f"kms:{ARN}@ftp://x", f"kms:{ARN}@https://u:p@h/x"),
    ],
)
def test_what_names_no_seal_is_refused(option: str) -> None:
    with pytest.raises(ConfigError):
        parsed(option)


def test_a_pin_in_an_argument_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="never given in an argument") as caught:
        parsed(f"pkcs11:token=t;object=k?module-path={MODULE}&pin-value=271828")
    assert "271828" not in str(caught.value) + caught.value.advice


@given(st.text())
def test_any_text_is_an_address_or_a_config_error(text: str) -> None:
    try:
        parsed(text)
    except ConfigError as error:
        assert str(error)
