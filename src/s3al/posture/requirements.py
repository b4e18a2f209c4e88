"""What one requires of a posture, read from a TOML file, and what of it is not met.

What lives here: `load`, `unmet`. What does not: facts and findings.

Laws: a member that is not known is refused, so that a typing error requires nothing less; what is not known does not
meet a requirement.

Source: docs/reference/posture.md, Requirements.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from s3al.advice.options import DSSE_KMS, SSE_KMS
from s3al.errors import ConfigError
from s3al.posture.facts import EXAMPLES, LONGEST_NAME, MODES, Bucket, Posture, Under
from s3al.posture.rules import RULES, SEVERITIES, Finding


@dataclass(frozen=True, slots=True)
class Unmet:
    """requirement: as written in the file, `objects.modes`."""

    requirement: str
    where: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Requirements:
    """None: not required. modes, default_modes: of MODES. kms_keys: ARNs. below: the least severity that fails.
    accepted: ids of rules whose findings are accepted."""

    modes: tuple[str, ...] | None = None
    kms_keys: tuple[str, ...] | None = None
    max_material_age_days: int | None = None
    default_modes: tuple[str, ...] | None = None
    below: str | None = None
    accepted: tuple[str, ...] = ()
    complete: bool = False


def load(path: Path) -> Requirements:
    """Raises ConfigError for what cannot be read or is not known."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    given: dict[str, Any] = {}
    for section, members in document.items():
        if section not in _MEMBERS or not isinstance(members, dict):
            raise ConfigError(f"{path}: {section!r} is not known", advice=f"sections: {', '.join(_MEMBERS)}")
        for member, value in members.items():
            if member not in _MEMBERS[section]:
                known = ", ".join(_MEMBERS[section])
                raise ConfigError(f"{path}: {section}.{member} is not known", advice=f"known: {known}")
            name, read = _MEMBERS[section][member]
            given[name] = read(value, f"{path}: {section}.{member}")
    if not given:
        raise ConfigError(f"{path} requires nothing")
    return Requirements(**given)


def _one_of(known: Sequence[str]) -> Callable[[Any, str], Any]:
    def read(value: Any, where: str) -> Any:
        if value not in known:
            raise ConfigError(f"{where}: {value!r} is none of {', '.join(known)}")
        return value

    return read


def _some_of(known: Sequence[str]) -> Callable[[Any, str], Any]:
    one = _one_of(known)

    def read(value: Any, where: str) -> Any:
        return tuple(one(each, where) for each in _texts(value, where))

    return read


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ConfigError(f"{where}: a list of texts is expected")
    return tuple(value)


def _days(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{where}: a number of days is expected")
    return value


def _yes_or_no(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{where}: true or false is expected")
    return value


# Section, member -> the field it fills, and how it is read.
_MEMBERS: Final[Mapping[str, Mapping[str, tuple[str, Callable[[Any, str], Any]]]]] = {
    "objects": {
        "modes": ("modes", _some_of(MODES)),
        "kms_keys": ("kms_keys", _texts),
        "max_material_age_days": ("max_material_age_days", _days),
        "complete": ("complete", _yes_or_no),
    },
    "buckets": {"default_modes": ("default_modes", _some_of(MODES))},
    "findings": {
        "none_from": ("below", _one_of(SEVERITIES)),
        "accepted": ("accepted", _some_of(tuple(RULES))),
    },
}


def unmet(required: Requirements, posture: Posture, findings: Sequence[Finding]) -> list[Unmet]:
    found = [*_of_objects(required, posture), *_of_buckets(required, posture)]
    if required.below is not None:
        grave = SEVERITIES[: SEVERITIES.index(required.below) + 1]
        for each in findings:
            if each.rule.severity in grave and each.rule.rule_id not in required.accepted:
                words = f"{each.rule.rule_id} ({each.rule.severity}): {each.hit.evidence}"
                found.append(Unmet("findings.none_from", each.hit.where, words))
    return found


def _of_buckets(required: Requirements, posture: Posture) -> Iterator[Unmet]:
    for bucket in posture.buckets:
        if required.default_modes is not None and bucket.default_mode not in required.default_modes:
            yield Unmet("buckets.default_modes", bucket.arn, f"its default encryption is {bucket.default_mode}")
        if required.complete and (bucket.objects.looked_at < bucket.objects.listed or bucket.unread):
            seen = f"{bucket.objects.looked_at} of {bucket.objects.listed} objects were looked at"
            yield Unmet("objects.complete", bucket.arn, ", ".join([seen, *(f"not {what}" for what in bucket.unread)]))


def _of_objects(required: Requirements, posture: Posture) -> Iterator[Unmet]:
    tests: tuple[tuple[str, bool, Callable[[Under], str | None]], ...] = (
        ("objects.modes", required.modes is not None, lambda under: _other_mode(required, under)),
        ("objects.kms_keys", required.kms_keys is not None, lambda under: _other_key(required, posture, under)),
        (
            "objects.max_material_age_days", required.max_material_age_days is not None,
            lambda under: _too_old(required, posture, under),
        ),
    )  # fmt: skip
    for name, is_required, test in tests:
        for bucket in posture.buckets if is_required else ():
            yield from _failing(bucket, name, test)


def _failing(bucket: Bucket, name: str, test: Callable[[Under], str | None]) -> Iterator[Unmet]:
    """One line for each reason."""
    reasons: dict[str, list[Under]] = {}
    for under in bucket.objects.counts:
        reason = test(under)
        if reason is not None:
            reasons.setdefault(reason, []).append(under)
    for reason, alike in reasons.items():
        count = sum(bucket.objects.counts[under] for under in alike)
        names = [example for under in alike for example in bucket.objects.examples.get(under, ())][:EXAMPLES]
        shortened = ", ".join(each[:LONGEST_NAME] for each in names)
        yield Unmet(name, bucket.arn, f"{count} objects {reason}, as {shortened}")


def _other_mode(required: Requirements, under: Under) -> str | None:
    return None if under.mode in (required.modes or ()) else f"are {under.mode}"


def _other_key(required: Requirements, posture: Posture, under: Under) -> str | None:
    if under.mode not in (SSE_KMS, DSSE_KMS):
        return None
    key = posture.kms_key(under.kms_key)
    names = key.names if key else frozenset({under.kms_key})
    return None if names & set(required.kms_keys or ()) else f"are under {under.kms_key or 'a key that is not told'}"


def _too_old(required: Requirements, posture: Posture, under: Under) -> str | None:
    if under.mode not in (SSE_KMS, DSSE_KMS) or required.max_material_age_days is None:
        return None
    key = posture.kms_key(under.kms_key)
    material = key.material_of(under) if key else None
    age = posture.age_days(material.since) if material else None
    if age is None:
        return "are under material whose age is not known"
    return f"are under material of {age} days" if age > required.max_material_age_days else None
