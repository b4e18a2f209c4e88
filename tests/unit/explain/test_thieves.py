"""What a thief reads follows from what he took: every secret that is added opens more, never less."""

from __future__ import annotations

import itertools

import pytest

from s3al.explain.thieves import Seal, needs_of, outcomes

READS = {"nothing": 0, "names": 1, "metadata": 2, "bytes": 3}
KEYFILE = Seal("primary", "keyfile", beside_data=True)
ELSEWHERE = Seal("primary", "keyfile", beside_data=False)
UNKNOWN = Seal("recovery", "keyfile")
PASSPHRASE = Seal("primary", "passphrase")


def found(needs, *seals, over_tls=True):
    return {one.thief: one for one in outcomes(needs, seals or (ELSEWHERE,), over_tls=over_tls)}


def sse_kms(**more):
    return needs_of(["kms"], **({"in_row": False, "client_secret": None} | more))


def test_the_disk_is_worth_what_the_seal_on_it_is():
    assert found(sse_kms(), KEYFILE)["disk"].reads == "bytes"
    apart = found(sse_kms(), ELSEWHERE)["disk"]
    assert (apart.reads, "same disk" in apart.unless) == ("nothing", True)
    assert found(sse_kms(), PASSPHRASE)["disk"].unless.endswith("or is guessed")


def test_a_recovery_seal_of_unknown_place_is_no_comfort():
    disk = found(sse_kms(), ELSEWHERE, UNKNOWN)["disk"]
    assert disk.reads == "nothing"
    assert "recovery" in disk.unless


def test_one_seal_beside_the_data_outweighs_all_others():
    assert found(sse_kms(), UNKNOWN, KEYFILE, PASSPHRASE)["disk"].reads == "bytes"


def test_a_passphrase_can_be_tried_by_whoever_has_the_folder():
    assert "guessed" in found(sse_kms(), PASSPHRASE)["data folder"].unless
    assert not found(sse_kms(), KEYFILE)["data folder"].unless


def test_a_body_in_a_row_is_closed_to_who_reads_rows_too():
    for in_row in (True, False):
        database = found(sse_kms(in_row=in_row))["database"]
        assert database.reads == "names"
        assert {"service", "kms"} <= set(database.missing)
        assert ("sealed-bytes" in database.missing) is not in_row


def test_plain_http_shows_what_the_server_is_to_encrypt_and_not_what_the_client_did():
    assert found(sse_kms(), over_tls=False)["network"].reads == "bytes"
    assert found(sse_kms(client_secret="client"), over_tls=False)["network"].reads == "nothing"


@pytest.mark.parametrize("client_secret", ["client", "client-kms"])
def test_a_client_side_layer_never_opens_anything(client_secret):
    without, with_layer = found(sse_kms(), KEYFILE), found(sse_kms(client_secret=client_secret), KEYFILE)
    for thief, outcome in with_layer.items():
        assert READS[outcome.reads] <= READS[without[thief].reads]


def test_only_a_layer_of_the_clients_own_key_survives_the_keyfile():
    disk = {secret: found(sse_kms(client_secret=secret), KEYFILE)["disk"].reads for secret in ("client", "client-kms")}
    assert disk == {"client": "metadata", "client-kms": "bytes"}


def test_whoever_reads_bytes_lacks_nothing_and_whoever_does_not_lacks_something():
    modes = ([], ["kms"], ["customer"])
    for mode, in_row, secret in itertools.product(modes, (True, False), (None, "client", "client-kms")):
        for outcome in found(needs_of(mode, in_row=in_row, client_secret=secret), KEYFILE).values():
            if outcome.thief != "network":
                assert (outcome.reads == "bytes") is (not outcome.missing)
