"""Condition operators: what a statement demands of the condition keys of a request.

What lives here: every IAM condition operator as one table, and `Condition`, one compiled line of a Condition
block. What does not: which keys a request has (the services), which keys a policy may name
(policy_s3_names).

Laws: the values of one line are alternatives, or for a negated operator all excluded; a missing key fails a
positive operator and satisfies a negated one; `IfExists` and `ForAllValues` are satisfied by a missing key,
`ForAnyValue` is not; a request value that cannot be read as the operator's type equals nothing.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators", "Creating a condition with multiple
keys or values".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Literal, TypeVar

from s3al.auth.policy_patterns import Patterns
from s3al.auth.variables import Context, expand, has_variables, read_tokens

T = TypeVar("T")
Quantifier = Literal["", "ForAllValues", "ForAnyValue"]
Matcher = Callable[[str, Context], bool]
_Build = Callable[[Sequence[str], bool], Matcher]


@dataclass(frozen=True, slots=True)
class Operator:
    """build: compiles the policy's values; raises ValueError if one is not of the operator's type."""

    build: _Build
    negated: bool = False


def _strings(fold: Callable[[str], str]) -> _Build:
    """fold: what is done to both sides before they are compared."""

    def build(values: Sequence[str], variables: bool) -> Matcher:
        read = [read_tokens(value, wildcards=False, variables=variables) for value in values]
        fixed = frozenset(fold("".join(map(str, tokens))) for tokens in read if not has_variables(tokens))
        templates = [tokens for tokens in read if has_variables(tokens)]

        def matches(value: str, context: Context) -> bool:
            folded = fold(value)
            if folded in fixed:
                return True
            for template in templates:
                tokens = expand(template, context)
                if tokens is not None and folded == fold("".join(map(str, tokens))):
                    return True
            return False

        return matches

    return build


def _patterns(*, arns: bool) -> _Build:
    def build(values: Sequence[str], variables: bool) -> Matcher:
        return Patterns((read_tokens(value, wildcards=True, variables=variables) for value in values), arns=arns).match

    return build


def _compared(read: Callable[[str], T], compare: Callable[[T, T], bool]) -> _Build:
    """read: raises ValueError. Variables are not supported: `${` is not a value of these types."""

    def build(values: Sequence[str], variables: bool) -> Matcher:
        wanted = [read(value) for value in values]

        def matches(value: str, context: Context) -> bool:
            try:
                found = read(value)
            except ValueError:
                return False
            return any(compare(found, limit) for limit in wanted)

        return matches

    return build


_NUMBER = re.compile(r"[+-]?[0-9]{1,38}(?:\.[0-9]{1,38})?")


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    return Decimal(text)


_DATE = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,9})?)?(?:Z|([+-])([0-9]{2}):([0-9]{2})))?)?)?"
)
_EPOCH = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,9})?")
_1970 = datetime(1970, 1, 1, tzinfo=UTC)


def _instant(text: str) -> Decimal:
    """Seconds since 1970, from the W3C profile of ISO 8601 or from epoch seconds; four digits are a year."""
    match = _DATE.fullmatch(text)
    if match is None:
        if not _EPOCH.fullmatch(text):
            raise ValueError("not a date")
        return Decimal(text)
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    moment = datetime(
        int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
    )
    offset = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
    elapsed = moment - _1970 + (offset if sign == "-" else -offset)
    return Decimal(elapsed.days * 86400 + elapsed.seconds) + Decimal(fraction or 0)


def _boolean(text: str) -> bool:
    lower = text.lower()
    if lower not in {"true", "false"}:
        raise ValueError("not true or false")
    return lower == "true"


def _binary(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_V4_IN_V6 = ipaddress.IPv6Network("::ffff:0:0/96")
_PREFIX = re.compile(r"[0-9A-Fa-f.:]+(?:/[0-9]{1,3})?")


def read_network(text: str) -> Network:
    """A CIDR range, or one address. IPv4 written as IPv6 is IPv4. Raises ValueError."""
    if not _PREFIX.fullmatch(text):
        raise ValueError("not an address range")
    network = ipaddress.ip_network(text, strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_V4_IN_V6):
        low = int(network.network_address) & 0xFFFFFFFF
        return ipaddress.IPv4Network((low, network.prefixlen - 96))
    return network


@lru_cache(maxsize=1024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _addresses(values: Sequence[str], variables: bool) -> Matcher:
    networks = [
        (network.version, int(network.network_address), int(network.netmask)) for network in map(read_network, values)
    ]

    def matches(value: str, context: Context) -> bool:
        try:
            address = _address(value)
        except ValueError:
            return False
        number = int(address)
        return any(address.version == version and number & mask == low for version, low, mask in networks)

    return matches


OPERATORS: Mapping[str, Operator] = {
    "StringEquals": Operator(_strings(str)),
    "StringNotEquals": Operator(_strings(str), negated=True),
    "StringEqualsIgnoreCase": Operator(_strings(str.casefold)),
    "StringNotEqualsIgnoreCase": Operator(_strings(str.casefold), negated=True),
    "StringLike": Operator(_patterns(arns=False)),
    "StringNotLike": Operator(_patterns(arns=False), negated=True),
    "NumericEquals": Operator(_compared(_number, operator.eq)),
    "NumericNotEquals": Operator(_compared(_number, operator.eq), negated=True),
    "NumericLessThan": Operator(_compared(_number, operator.lt)),
    "NumericLessThanEquals": Operator(_compared(_number, operator.le)),
    "NumericGreaterThan": Operator(_compared(_number, operator.gt)),
    "NumericGreaterThanEquals": Operator(_compared(_number, operator.ge)),
    "DateEquals": Operator(_compared(_instant, operator.eq)),
    "DateNotEquals": Operator(_compared(_instant, operator.eq), negated=True),
    "DateLessThan": Operator(_compared(_instant, operator.lt)),
    "DateLessThanEquals": Operator(_compared(_instant, operator.le)),
    "DateGreaterThan": Operator(_compared(_instant, operator.gt)),
    "DateGreaterThanEquals": Operator(_compared(_instant, operator.ge)),
    "Bool": Operator(_compared(_boolean, operator.eq)),
    "BinaryEquals": Operator(_compared(_binary, operator.eq)),
    "IpAddress": Operator(_addresses),
    "NotIpAddress": Operator(_addresses, negated=True),
    "ArnEquals": Operator(_patterns(arns=True)),
    "ArnLike": Operator(_patterns(arns=True)),
    "ArnNotEquals": Operator(_patterns(arns=True), negated=True),
    "ArnNotLike": Operator(_patterns(arns=True), negated=True),
}
NULL = "Null"  # tests presence, so it has neither IfExists nor a quantifier

_NAME = re.compile(r"(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?")


@dataclass(frozen=True, slots=True)
class OperatorName:
    """An operator as written: `ForAnyValue:StringLikeIfExists` is its parts."""

    written: str
    base: str
    quantifier: Quantifier = ""
    if_exists: bool = False


def read_operator(written: str) -> OperatorName:
    """Raises KeyError for a name that is no operator."""
    match = _NAME.fullmatch(written)
    if match is None:
        raise KeyError(written)
    quantifier: Quantifier = (
        "ForAllValues" if match[1] == "ForAllValues" else "ForAnyValue" if match[1] == "ForAnyValue" else ""
    )
    name = OperatorName(written, match[2], quantifier, if_exists=match[3] is not None)
    if name.base == NULL:
        if name.written != NULL:
            raise KeyError(written)
    elif name.base not in OPERATORS:
        raise KeyError(written)
    return name


class Condition:
    """One line of a Condition block: an operator, a key, the values."""

    __slots__ = ("_matches", "_negated", "_when_missing", "key", "operator", "values")

    def __init__(self, name: OperatorName, key: str, values: Sequence[str], *, variables: bool) -> None:
        """Raises ValueError if a value is not of the operator's type."""
        self.operator = name
        self.key = key
        self.values = tuple(values)
        self._matches: Matcher = _never
        self._negated = False
        if name.base == NULL:
            wanted = {_boolean(value) for value in values}
            self._when_missing = True in wanted
            if False in wanted:
                self._matches = _always
            return
        rule = OPERATORS[name.base]
        self._negated = rule.negated
        self._matches = rule.build(values, variables)
        self._when_missing = name.if_exists or name.quantifier == "ForAllValues"
        if rule.negated and not name.quantifier:
            self._when_missing = True

    def holds(self, context: Context) -> bool:
        values = context.values(self.key)
        quantifier = self.operator.quantifier
        if not values or (quantifier and not any(values)):
            return self._when_missing  # for the set operators, empty text is no value either
        matches, negated = self._matches, self._negated
        if quantifier == "ForAnyValue":
            return any(matches(value, context) is not negated for value in values)
        if quantifier == "ForAllValues" or negated:
            return all(matches(value, context) is not negated for value in values)
        return any(matches(value, context) for value in values)


def _always(value: str, context: Context) -> bool:
    return True


def _never(value: str, context: Context) -> bool:
    return False
