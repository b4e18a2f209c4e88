"""Session tokens: what goes in comes out, for its access key id and its store alone."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.auth.principal import Session
from s3al.errors import IntegrityError, RequestError
from s3al.service.session_tokens import (
    PACKED_LIMIT_BYTES,
    SECRET_BYTES,
    SessionFacts,
    new_token,
    open_token,
    pack,
    packed_percent,
    secret_text,
)

KEY = "ASIATESTTESTTESTTEST"
SECRET = bytes(range(SECRET_BYTES))
ROLE = "arn:aws:iam::111122223333:role/path/reader"
FACTS = SessionFacts("111122223333", ROLE, "AROA1", Session(5, 900_005), "ann", tags={"team": "blue"})


class Sealing:
    """A server key that binds label and place, as the real one does, and refuses what it has not sealed."""

    def __init__(self) -> None:
        self.sealed: dict[bytes, tuple[bytes, bytes, bytes]] = {}

    def seal(self, label: bytes, secret: bytes, *, place: bytes) -> bytes:
        sealed = len(self.sealed).to_bytes(4, "big") + bytes(len(secret))
        self.sealed[sealed] = (label, place, secret)
        return sealed

    def open(self, label: bytes, sealed: bytes, *, place: bytes) -> bytes:
        found = self.sealed.get(sealed)
        if found is None or found[:2] != (label, place):
            raise IntegrityError("altered or moved")
        return found[2]


TEXTS = st.text(max_size=40)
SESSIONS = st.builds(
    Session,
    st.integers(0, 2**45),
    st.integers(0, 2**45),
    st.none() | TEXTS,
    st.lists(TEXTS, max_size=3).map(tuple),
    st.lists(TEXTS, max_size=3).map(tuple),
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple),
)


@given(SESSIONS, st.dictionaries(TEXTS, TEXTS, max_size=5), st.integers(0, 5000))
def test_a_token_holds_what_was_put_into_it(session: Session, tags: dict[str, str], more: int) -> None:
    server_key = Sealing()
    facts = SessionFacts("111122223333", ROLE, "AROA1", session, "ann", "AKIA", "mark", tags)
    token = new_token(server_key, KEY, SECRET, pack(facts) + bytes(more))
    assert open_token(server_key, KEY, token) == (secret_text(SECRET), facts)


def test_a_token_opens_for_its_access_key_id_alone() -> None:
    server_key = Sealing()
    token = new_token(server_key, KEY, SECRET, pack(FACTS))
    with pytest.raises(RequestError) as refused:
        open_token(server_key, "ASIAOTHER", token)
    assert refused.value.code == "InvalidToken"


@pytest.mark.parametrize("token", ["", "x", "not base64!", "\u00e9", "AAAA", base64.b64encode(bytes(200)).decode()])
def test_what_this_store_did_not_seal_is_no_token(token: str) -> None:
    with pytest.raises(RequestError) as refused:
        open_token(Sealing(), KEY, token)
    assert refused.value.code == "InvalidToken"


def test_a_token_of_another_version_is_refused() -> None:
    server_key = Sealing()
    token = new_token(server_key, KEY, SECRET, pack(FACTS))
    ((sealed, (label, place, content)),) = server_key.sealed.items()
    server_key.sealed[sealed] = (label, place, b"\x02" + content[1:])
    with pytest.raises(RequestError):
        open_token(server_key, KEY, token)


def test_facts_that_do_not_fit_are_refused() -> None:
    tags = {os.urandom(60).hex(): os.urandom(120).hex() for _ in range(40)}
    with pytest.raises(RequestError) as refused:
        pack(SessionFacts("111122223333", ROLE, "AROA1", Session(0, 1), "ann", tags=tags))
    assert refused.value.code == "PackedPolicyTooLarge" and "%" in str(refused.value)
    assert packed_percent(bytes(PACKED_LIMIT_BYTES)) == 100 and packed_percent(b"x") == 1


def test_nothing_shows_the_secret() -> None:
    assert secret_text(SECRET) not in repr(FACTS) and len(secret_text(SECRET)) == 40
