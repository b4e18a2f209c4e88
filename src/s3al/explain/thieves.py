"""Who takes what, and what it opens: the secrets that a thief comes by, against those that an object needs.

What lives here: the secrets, what each kind of thief gets hold of in this store, and the comparison. What does not:
which secrets an object needs (envelopes), who may do what by policy (decisions), wording of an answer (words).

Laws: an outcome is never written down, it follows: an object's bytes are read by whoever has every secret of one of the
ways to it. A secret that the server cannot see (where a recovery keyfile lies, who copied a customer's key) is said to
be unknown, never assumed absent.

Source: spec/threat-model.md; spec/key-hierarchy.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# Secrets, and what each is in words. Their order is that in which a missing one is named.
SECRETS: Final[Mapping[str, str]] = {
    "sealed-bytes": "the sealed bytes",
    "catalog": "the catalog key, which opens the database",
    "service": "the service key's material, which opens the records",
    "kms": "the material of the KMS key, or the right to use it",
    "client-kms": "the material of the KMS key with which the client wrapped its data key, or the right to use it",
    "customer": "the customer's key, which is sent with each request and stored nowhere",
    "client": "the client's master key, which never comes here",
    "s3-right": "the right to read the object",
}
# What opening the root opens.
_BELOW_ROOT: Final = frozenset({"catalog", "service", "kms", "client-kms"})


@dataclass(frozen=True, slots=True)
class ObjectNeeds:
    """What it takes to read one object from the disk. in_row: its bytes lie in the database.

    client_side: its bytes were encrypted before they came, so that without the last secret ciphertext is all there is.
    """

    secrets: frozenset[str]
    in_row: bool
    client_side: bool


@dataclass(frozen=True, slots=True)
class Seal:
    """How the store's root can be opened. kind: as in store.json. beside_data: whether its keyfile lies on the
    filesystem of the data; None where the server cannot know, because it was not started with this seal."""

    name: str
    kind: str
    beside_data: bool | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """reads: `bytes`; `metadata`: names, sizes, tags and user metadata, no byte of content; `names`: object keys and
    times; or `nothing`.

    unless: what might change that and is not known here, "" if nothing. missing: the secrets that are lacking for the
    bytes.
    """

    thief: str
    has: str
    reads: str
    because: str
    missing: tuple[str, ...] = ()
    unless: str = ""

    def document(self) -> dict[str, object]:
        return {
            "thief": self.thief,
            "has": self.has,
            "reads": self.reads,
            "because": self.because,
            "missing": list(self.missing),
            "unless": self.unless,
        }


def needs_of(mode_secrets: Iterable[str], *, in_row: bool, client_secret: str | None) -> ObjectNeeds:
    """mode_secrets: beyond the bytes and the records, what the way of encrypting adds."""
    secrets = {"sealed-bytes", "catalog", "service", *mode_secrets}
    if client_secret is not None:
        secrets.add(client_secret)
    return ObjectNeeds(frozenset(secrets), in_row, client_secret is not None)


def outcomes(needs: ObjectNeeds, seals: Sequence[Seal], *, over_tls: bool) -> list[Outcome]:
    """What each thief of things reads of the object, from the least to the most."""
    return [
        _folder(needs, seals),
        _disk(needs, seals),
        _taken(needs, "database", "the rows in the clear (the catalog key, but not the root)", _of_database(needs)),
        *_kms_key(needs),
        _memory(needs),
        _listener(needs, over_tls=over_tls),
    ]


def _folder(needs: ObjectNeeds, seals: Sequence[Seal]) -> Outcome:
    """A backup is the same: files without their seal."""
    guess = [seal.name for seal in seals if seal.kind == "passphrase"]
    unless = (
        f"the passphrase of the seal {' or '.join(guess)} is guessed, at one Argon2id for each try" if guess else ""
    )
    return _taken(needs, "data folder", "every file in it, or a backup of it; no seal", {"sealed-bytes"}, unless=unless)


def _disk(needs: ObjectNeeds, seals: Sequence[Seal]) -> Outcome:
    beside = [seal.name for seal in seals if seal.beside_data]
    if beside:
        has = f"the data folder and, on the same filesystem, the keyfile of the seal {' or '.join(beside)}"
        return _taken(needs, "disk", has, {"sealed-bytes", *_BELOW_ROOT})
    unknown = [seal.name for seal in seals if seal.kind == "keyfile" and seal.beside_data is None]
    elsewhere = [seal.name for seal in seals if seal.kind == "keyfile" and seal.beside_data is False]
    if unknown:
        unless = f"the keyfile of the seal {' or '.join(unknown)} lies on it too: where it lies is not known here"
    elif elsewhere:
        unless = "the other filesystem, where the keyfile lies, is a part of the same disk"
    else:
        unless = _SEAL_ON_DISK[seals[0].kind] if seals else "a seal lies on it, of which you may not be told"
    return _taken(needs, "disk", "the data folder; no seal lies with it", {"sealed-bytes"}, unless=unless)


_SEAL_ON_DISK: Final[Mapping[str, str]] = {
    "passphrase": "the passphrase is kept in a file on it, or is guessed",
    "pkcs11": "the token is made of software and its files lie on it, with the PIN",
    "kms": "credentials that may use the KMS key of the seal lie on it",
}


def _of_database(needs: ObjectNeeds) -> set[str]:
    return {"catalog"} | ({"sealed-bytes"} if needs.in_row else set())


def _kms_key(needs: ObjectNeeds) -> list[Outcome]:
    kept = needs.secrets & {"kms", "client-kms"}
    if not kept:
        return []
    through_s3 = "client-kms" in kept
    has = "the material of the KMS key, and nothing else"
    unless = (
        "the thief may also read the object through S3: ciphertext and wrapped data key are then at hand"
        if through_s3
        else ""
    )
    return [_taken(needs, "KMS key", has, set(kept), unless=unless)]


def _memory(needs: ObjectNeeds) -> Outcome:
    has = "the data folder and a worker's memory: catalog key, service key, and each KMS key that it has used"
    secrets = {"sealed-bytes", "catalog", "service"} | (needs.secrets & {"kms", "client-kms"})
    found = _taken(needs, "server's memory", has, secrets)
    if found.reads == "bytes" and needs.secrets & {"kms", "client-kms"}:
        used = "this worker has not used the KMS key since it started"
        return Outcome(found.thief, found.has, found.reads, found.because, (), used)
    if "customer" in needs.secrets:
        unless = "a request with the customer's key is just being served"
        return Outcome(found.thief, found.has, found.reads, found.because, found.missing, unless)
    return found


def _listener(needs: ObjectNeeds, *, over_tls: bool) -> Outcome:
    if needs.client_side:
        missing = tuple(sorted(needs.secrets & {"client", "client-kms"}))
        return Outcome("network", "the traffic", "nothing", "what travels is ciphertext already", missing)
    if over_tls:
        return Outcome("network", "the traffic", "nothing", "this request came over TLS: sizes and times show, no more")
    because = "this request came over plain HTTP: server-side encryption begins behind the network"
    return Outcome("network", "the traffic", "bytes", because, unless="all transfers of it are made over TLS")


def _taken(needs: ObjectNeeds, thief: str, has: str, secrets: set[str], *, unless: str = "") -> Outcome:
    missing = tuple(name for name in SECRETS if name in needs.secrets - secrets)
    if not missing:
        return Outcome(thief, has, "bytes", "that is all it takes", (), unless)
    if "catalog" not in secrets:
        return Outcome(thief, has, "nothing", f"lacks {SECRETS[missing[0]]}", missing, unless)
    reads = "metadata" if "service" in secrets else "names"
    return Outcome(thief, has, reads, f"lacks {SECRETS[missing[-1]]}", missing, unless)
