"""Values for botocore shapes, so that requests and answers can be generated from the model."""

from __future__ import annotations

import string
from datetime import UTC, datetime

from botocore.model import ServiceModel, Shape
from hypothesis import strategies as st

PRINTABLE = string.ascii_letters + string.digits + "-._~/+*&'\"<>;:@ %"
NAMES = string.ascii_lowercase + string.digits
# Without "\r", which botocore's serializer leaves to a handler of the client to escape.
XML_TEXT = st.characters(exclude_categories=["Cs", "Cc", "Cn"], include_characters="\t\n")
MOMENTS = st.integers(min_value=0, max_value=4_000_000_000).map(lambda number: datetime.fromtimestamp(number, UTC))

PATHS = st.sampled_from(["/", "/team/", "/a/b/"])

# Shapes whose patterns and lengths a generic generator would hardly ever meet.
SPECIAL = {
    "AccountIdType": st.text("0123456789", min_size=12, max_size=12),
    "BackingKeyIdType": st.text("0123456789abcdef", min_size=64, max_size=64),
    "BackingKeyIdResponseType": st.text("0123456789abcdef", min_size=64, max_size=64),
    "CloudHsmClusterIdType": st.just("cluster-234567abcdefg"),
    "GrantConstraintSourceArnType": st.just("arn:aws:s3:us-east-1:111122223333:thing/x"),
    "RegionType": st.sampled_from(["us-east-1", "eu-central-1"]),
    "ServicePrincipalType": st.sampled_from(["a.amazonaws.com", "b-c.amazonaws.com"]),
    "XksProxyAuthenticationAccessKeyIdType": st.text("ABCDEFG234567", min_size=20, max_size=30),
    "XksProxyAuthenticationRawSecretAccessKeyType": st.text("abc/+=", min_size=43, max_size=64),
    "XksProxyUriEndpointType": st.just("https://proxy.example"),
    "XksProxyUriPathType": st.just("/kms/xks/v1"),
    "XksProxyVpcEndpointServiceNameType": st.just("com.amazonaws.vpce.us-east-1.vpce-svc-0123456789"),
    "NonEmptyKmsKeyArnString": st.just("arn:aws:kms:us-east-1:111122223333:key/1234"),
    **dict.fromkeys(("pathType", "policyPathType", "pathPrefixType", "policyPathPrefixType"), PATHS),
    # The query protocol has no way to say a structure without members.
    "PolicyDescriptorType": st.just({"arn": "arn:aws:iam::111122223333:policy/one"}),
    "ProvidedContext": st.just({"ProviderArn": "arn:aws:iam::111122223333:thing/one"}),
    "ContextEntry": st.just({"ContextKeyName": "aws:SourceIp", "ContextKeyValues": ["10.0.0.1"]}),
    "OrderedOrganizationPolicyType": st.just({"ServiceControlPolicyInputList": ["one"]}),
    "PolicyIdentifier": st.just({"PolicyArn": "arn:aws:iam::111122223333:policy/one"}),
    "policyVersionIdType": st.sampled_from(["v1", "v12"]),
    "tokenCodeType": st.text("0123456789", min_size=6, max_size=6),
}


def params(shape: Shape | None, *, rest: bool = False) -> st.SearchStrategy[dict]:
    """Members of an operation's input or output, `rest` distinguishing headers from bodies."""
    if shape is None:
        return st.just({})
    members = {}
    for name, member in shape.members.items():
        if shape.serialization.get("payload") == name and member.serialization.get("streaming"):
            continue
        if member.serialization.get("streaming") or getattr(member, "is_eventstream", False):
            continue
        place = member.serialization.get("location") if rest else None
        members[name] = _in_text(name, member, place) if place else value(member)
    # Optional in the model, but the live service completes nothing without it.
    needed = [name for name in ("MultipartUpload",) if name in members]
    return _chosen(members, [*shape.required_members, *needed])


def _chosen(members: dict, required: list[str]) -> st.SearchStrategy[dict]:
    needed = {name: strategy for name, strategy in members.items() if name in required}
    optional = {name: strategy for name, strategy in members.items() if name not in required}
    return st.fixed_dictionaries(needed, optional=optional)


def _in_text(name: str, shape: Shape, place: str) -> st.SearchStrategy:
    if name == "Bucket":
        return st.text(NAMES, min_size=3, max_size=10)
    if name == "Key":
        return st.text(XML_TEXT, min_size=1, max_size=20)
    if name == "PartNumber":
        return st.integers(min_value=1, max_value=10000)
    if name == "MaxBuckets":
        return st.integers(min_value=1, max_value=10000)
    if shape.type_name in ("integer", "long"):
        return st.integers(min_value=0, max_value=2**31 - 1)
    if shape.type_name == "map":
        return st.dictionaries(st.text(NAMES, min_size=1, max_size=8), header_text(), min_size=1, max_size=3)
    if shape.type_name == "string" and not getattr(shape, "enum", None):
        if place == "querystring" and not name.startswith("Response"):
            return st.text(XML_TEXT, min_size=1, max_size=12)
        return header_text()
    if shape.type_name == "list":
        return st.lists(value(shape.member), min_size=1, max_size=3)
    return value(shape)


def header_text() -> st.SearchStrategy[str]:
    return st.text(PRINTABLE, min_size=1, max_size=12).map(str.strip).filter(bool)


def value(shape: Shape) -> st.SearchStrategy:
    if shape.name in SPECIAL:
        return SPECIAL[shape.name]
    return _KINDS[shape.type_name](shape)


def _structure(shape: Shape) -> st.SearchStrategy[dict]:
    members = {name: value(member) for name, member in shape.members.items()}
    if getattr(shape, "is_tagged_union", False):
        return st.sampled_from(sorted(members)).flatmap(lambda name: members[name].map(lambda item: {name: item}))
    return _chosen(members, shape.required_members)


def _list(shape: Shape) -> st.SearchStrategy[list]:
    return st.lists(value(shape.member), min_size=1, max_size=3)


def _map(shape: Shape) -> st.SearchStrategy[dict]:
    return st.dictionaries(value(shape.key), value(shape.value), min_size=1, max_size=3)


def _string(shape: Shape) -> st.SearchStrategy[str]:
    if shape.enum:
        return st.sampled_from(shape.enum)
    least = shape.metadata.get("min", 0)
    most = min(shape.metadata.get("max", 24), least + 24)
    alphabet = NAMES if "pattern" in shape.metadata else XML_TEXT
    return st.text(alphabet, min_size=max(least, 1), max_size=most)


def _blob(shape: Shape) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=shape.metadata.get("min", 0), max_size=40)


def _integer(shape: Shape) -> st.SearchStrategy[int]:
    least = shape.metadata.get("min", 0)
    return st.integers(min_value=least, max_value=shape.metadata.get("max", 2**31 - 1))


_KINDS = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "blob": _blob,
    "integer": _integer,
    "long": _integer,
    "boolean": lambda shape: st.booleans(),
    "timestamp": lambda shape: MOMENTS,
    "float": lambda shape: st.integers(0, 1000).map(float),
    "double": lambda shape: st.integers(0, 1000).map(float),
}


def operation_names(service_model: ServiceModel) -> list[str]:
    return sorted(service_model.operation_names)
