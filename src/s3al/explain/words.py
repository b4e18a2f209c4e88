"""Explanations as text: from the document that the server computed to lines for a person.

What lives here: rendering, and how single facts are worded (dates, sizes, one key of a chain), which pictures use too.
What does not: any fact.

Laws: nothing is said that the document does not hold; whatever somebody else named passes through `shown`; lines are
not wrapped. Imports nothing of the server, so that the command line of the base install can print.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from s3al.explain.shown import shown

Document = Mapping[str, Any]
_UNITS: Final = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
ALSO_TAKEN: Final[Mapping[str, str]] = {"customer": "the customer's key", "client": "the client's master key"}
READS: Final[Mapping[str, str]] = {
    "nothing": "nothing",
    "names": "names only",
    "metadata": "metadata",
    "bytes": "EVERYTHING",
}


def day(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).strftime("%Y-%m-%d")


def moment(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def size(count: int) -> str:
    for unit, scale in _UNITS:
        if count >= scale:
            whole = count % scale == 0
            return f"{count // scale} {unit}" if whole else f"{count / scale:.1f} {unit}"
    return counted(count, "byte")


def counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def short(hexadecimal: str) -> str:
    """An id of many digits, as far as it is told apart by eye."""
    return hexadecimal if len(hexadecimal) <= 12 else f"{hexadecimal[:12]}\u2026"


def key_name(node: Document) -> str:
    """How a person calls a KMS key: its first alias, else its id."""
    aliases = node.get("aliases") or ()
    return shown(aliases[0] if aliases else str(node["key_arn"]).rpartition("/")[2])


def lines(document: Document) -> list[str]:
    """The whole explanation."""
    return _BY_KIND[document["explains"]](document)


# --- one key of a chain: a title, and facts


def node_words(node: Document) -> tuple[str, list[str]]:
    return _NODES[node["kind"]](node)


def _data_key(node: Document) -> tuple[str, list[str]]:
    title = {0: "data key", 1: "inner data key", 2: "outer data key"}[node["layer"]]
    return title, [
        f"{node['bits']} random bits, of this object version alone",
        f"lies {node['lies']} ({node['wrapped_bytes']} bytes)",
        f"commitment {short(node['commitment'])}: no other key passes for it",
    ]


def _bucket_key(node: Document) -> tuple[str, list[str]]:
    return "S3 Bucket Key", [
        f"one for {node['shared_by']}: the KMS is asked once, not for each object",
        f"lies {node['lies']} ({node['wrapped_bytes']} bytes)",
    ]


def _one_off_key(node: Document) -> tuple[str, list[str]]:
    return "one-off key", [
        f"made to put the data key, kept as it was, under another KMS key; for {node['shared_by']}",
        f"lies {node['lies']} ({node['wrapped_bytes']} bytes)",
    ]


def _customer_key(node: Document) -> tuple[str, list[str]]:
    return "customer's key", [
        f"{node['bits']} bits of the client's, lies {node['lies']}",
        f"salt {short(node['salt'])}: the wrapping key is of this object alone",
    ]


def _kms_material(node: Document) -> tuple[str, list[str]]:
    if not node["known"]:
        return "KMS key", [shown(node["key_arn"]), "what it is may not be told to you"]
    facts = [f"{key_name(node)}: {shown(node['key_arn'])}", f"{node['state']}, {_rotation_words(node)}"]
    made = f", made {day(node['made_at_ms'])} by {node['made_by']}" if node["made_at_ms"] else ", gone"
    made = made.replace("by on demand", "on demand").replace("by by the clock", "by the clock")
    facts.append(f"material {node['sequence']} of {node['newest_sequence']}{made}; id {short(node['material_id'])}")
    return "KMS key", facts


def _rotation_words(node: Document) -> str:
    if node["rotation_period_days"] is None:
        return "no rotation by the clock"
    return f"rotates every {node['rotation_period_days']} days, next {day(node['next_rotation_ms'])}"


def _service_material(node: Document) -> tuple[str, list[str]]:
    made = f", made {day(node['made_at_ms'])}" if node["made_at_ms"] else ", gone"
    facts = [
        "the server's own; no KMS operation reaches it",
        f"material {node['sequence']} of {node['newest_sequence']}{made}; id {short(node['material_id'])}",
    ]
    if node["next_rotation_ms"]:
        facts.append(f"rotates by itself, next {day(node['next_rotation_ms'])}")
    return "service key", facts


def _root(node: Document) -> tuple[str, list[str]]:
    made = f", made {day(node['made_at_ms'])}" if node["made_at_ms"] else ""
    current = "" if node["is_current"] else ", being replaced"
    where = "in the memory of one process that serves no network"
    return "root key", [f"version {node['version']}{made}{current}", where]


def _seal(node: Document) -> tuple[str, list[str]]:
    facts = [f"{shown(node['name'])}: {node['what']}"]
    where = {True: "on the filesystem of the data", False: "on another filesystem than the data", None: ""}
    return "seal", facts + [text for text in (where[node["beside_data"]],) if text]


def _client_data_key(node: Document) -> tuple[str, list[str]]:
    by = f" by {shown(node['wrapping'])}" if node["wrapping"] else ""
    return "client's data key", [
        f"drawn in the client; lies {node['lies']}{by}",
        "committed to" if node["commits"] else "not committed to",
    ]


def _client_master_key(node: Document) -> tuple[str, list[str]]:
    what = {
        "kms": "a key in another KMS",
        "rsa": "an RSA key that the application keeps",
        "aes": "an AES key that the application keeps",
        "unknown": "the metadata does not say which",
    }
    return "client's master key", [what[node["master_key"]], "never comes here"]


_NODES: Final = {
    "data-key": _data_key,
    "bucket-key": _bucket_key,
    "one-off-key": _one_off_key,
    "customer-key": _customer_key,
    "kms-material": _kms_material,
    "service-material": _service_material,
    "root": _root,
    "seal": _seal,
    "client-data-key": _client_data_key,
    "client-master-key": _client_master_key,
}


# --- an object


def _object(document: Document) -> list[str]:
    name = f"s3://{shown(document['bucket'])}/{shown(document['object_key'])}"
    version = f"version {shown(document['version_id'])}, {size(document['size_bytes'])}"
    found = [f"{name} ({version}, written {moment(document['last_modified_ms'])})"]
    found += _encrypted(document)
    found += ["", "From the bytes to the seal", *_layers(document), *_chain(document["keys"])]
    found += _pairs("Encryption context (not secret; the KMS opens under exactly this one)", document)
    found += ["", "On the disk", *_disk(document)]
    found += ["", "Who reads it, having taken", *_thieves(document["thieves"])]
    found += _readers(document["readers"])
    return found + _tail(document)


def _encrypted(document: Document) -> list[str]:
    found = [
        f"Encrypted by the {layer['who']}: {layer['way']}, {layer['where']}." for layer in document["encrypted_by"]
    ]
    if document["client_side"] is None:
        return found
    client = document["client_side"]
    found += [f"  A server can know {shown(text)}." for text in client["server_knows"]]
    return found + [f"  A server cannot know {shown(text)}." for text in client["server_cannot_know"]]


def _layers(document: Document) -> list[str]:
    streams = document["streams"]
    what = "bytes of ciphertext" if document["client_side"] is not None else "bytes"
    found = [_fact("the bytes", f"{streams['plaintext_bytes']:,} {what}, as they came")]
    found += [_fact(f"sealed by the {one['who']}", shown(one["algorithm"])) for one in document["encrypted_by"]]
    many = f"{counted(streams['count'], 'stream')}, {counted(streams['segments'], 'segment')}"
    sealed = f"{many} of up to {size(streams['segment_bytes'])}"
    found.append(_fact("", f"{sealed}, {streams['sealed_bytes']:,} bytes on the disk"))
    if streams["salt"]:
        found.append(_fact("", f"salt {short(streams['salt'])}, new with each attempt to store them"))
    return found


def _chain(keys: Iterable[Document]) -> list[str]:
    found = []
    for node in keys:
        title, facts = node_words(node)
        found += [_fact(title, facts[0]), *(_fact("", fact) for fact in facts[1:])]
    return found


def _fact(title: str, text: str) -> str:
    return f"  {title:<20} {text}"


def _pairs(title: str, document: Document) -> list[str]:
    pairs = document["encryption_context"] or (document["client_side"] or {}).get("context") or {}
    return ["", title, *(f"  {shown(name)} = {shown(value)}" for name, value in pairs.items())] if pairs else []


def _disk(document: Document) -> list[str]:
    disk, streams = document["disk"], document["streams"]
    found = [f"  {shown(file)}" for file in disk["files"]]
    if streams["in_rows"]:
        found.append(f"  {counted(streams['in_rows'], 'stream')} in a row of the encrypted database")
    if streams["more"]:
        found.append(f"  and {streams['more']} streams more")
    return found + [f"  An onlooker sees {text}." for text in disk["onlooker_sees"]]


def _thieves(thieves: Iterable[Document]) -> list[str]:
    found = []
    for one in thieves:
        unless = f", unless {shown(one['unless'])}" if one["unless"] else ""
        found.append(f"  {one['thief']:<18} {READS[one['reads']]:<11} {shown(one['because'])}{unless}")
        found.append(f"  {'':<18} {'':<11} (has {shown(one['has'])})")
    return found


_MORE_PEOPLE: Final = "and there are more people, who were not asked about: s3al can asks about one"


def _readers(readers: Document | None) -> list[str]:
    if readers is None:
        return []
    takes = "".join(f", with {ALSO_TAKEN[name]} as well" for name in readers["also_takes"])
    found = ["", f"Who can read it now{takes}"]
    found += [f"  {holder(one)}: {_by(one['by'])}" for one in readers["may_read"]]
    found += [] if readers["may_read"] else ["  nobody"]
    found += ["", "Who cannot"] if readers["may_not"] else []
    for one in readers["may_not"]:
        why = "; ".join(f"{refused['action']} {shown(refused['reason'])}" for refused in one["refused"])
        found.append(f"  {shown(one['principal'])}: {why}")
    return found if readers["complete"] else [*found, f"  {_MORE_PEOPLE}"]


def holder(one: Document) -> str:
    """Who has a right: of another account only if that account lets him too."""
    return shown(one["principal"]) + (" (if that account lets it)" if one["elsewhere"] else "")


def _by(verdicts: Iterable[Document]) -> str:
    return "; ".join(f"{one['action']} {shown(one['by'])}" for one in verdicts)


def _tail(document: Document) -> list[str]:
    found = []
    if document["cautions"]:
        found += ["", "Mind"]
        found += [f"  [{one['severity']}] {shown(one['says'])}" for one in document["cautions"]]
    if document["withheld"]:
        found += ["", "Left out, because you may not know it"]
        found += [f"  {one['part']}: takes {', '.join(one['needs'])}" for one in document["withheld"]]
    return found


# --- a KMS key


def _kms_key(document: Document) -> list[str]:
    names = ", ".join(shown(alias) for alias in document["aliases"]) or "no alias"
    found = [
        f"{shown(document['arn'])} ({names})",
        f"{document['state']}, {document['key_spec']}, origin {document['origin']}",
        f"made {moment(document['made_at_ms'])}",
    ]
    if document["description"]:
        found.append(shown(document["description"]))
    found += _timeline(document)
    found += _rotation(document["rotation"])
    use = document["last_use"]
    if use is not None:
        found += ["", f"Last used {moment(use['at_ms'])}: {use['operation']}"]
    found += _objects(document)
    found += _people(document["people"])
    return found + _tail(document)


MATERIAL_STATES: Final[Mapping[str, str]] = {
    "encrypts": "encrypts now, and decrypts what it encrypted",
    "decrypts": "decrypts what it encrypted, encrypts no more",
    "waits": "imported, waits for a rotation to it",
    "gone": "its bytes are gone: what it encrypted stays closed until they are imported again",
}


def made_words(material: Document) -> str:
    how = str(material["made_by"])
    return how if how in ("on demand", "by the clock") else f"by {how}"


def _timeline(document: Document) -> list[str]:
    if document["materials"] is None:
        return []
    found = ["", "Material: each rotation adds one; none is replaced, and nothing is encrypted again"]
    for one in document["materials"]:
        what = f"{one['sequence']}. {moment(one['made_at_ms'])}, {made_words(one)}: {MATERIAL_STATES[one['state']]}"
        counts = document["key_usage"] == "ENCRYPT_DECRYPT"
        hanging = f"; under it {counted(one['objects'], 'object version')}" if counts else ""
        found.append(f"  {what}{hanging} ({short(one['material_id'])})")
    return found


def _rotation(rotation: Document | None) -> list[str]:
    if rotation is None:
        return []
    if rotation["by_the_clock"]:
        clock = f"  by the clock every {rotation['period_days']} days, next {moment(rotation['next_at_ms'])}"
    else:
        clock = "  not by the clock"
    return ["", "Rotation", clock, f"  on demand: {rotation['on_demand_done']} done, {rotation['on_demand_left']} left"]


def _objects(document: Document) -> list[str]:
    objects = document["objects"]
    more = ", and there are more to look at" if "next" in document else ""
    found = ["", f"Object versions under it: {objects['under_this_key']} of {objects['looked_at']} looked at{more}"]
    return found + [f"  {shown(bucket)}: {count}" for bucket, count in objects["by_bucket"].items()]


def _people(people: Document | None) -> list[str]:
    if people is None:
        return []
    found = []
    for title, member in (("Who administers it", "administrators"), ("Who uses it", "users")):
        found += ["", title, *(f"  {holder(one)}: {_by(one['by'])}" for one in people[member])]
        found += [] if people[member] else ["  nobody"]
    if people["both"]:
        found += ["", f"Both at once: {', '.join(shown(who) for who in people['both'])}"]
    return found if people["complete"] else [*found, f"  {_MORE_PEOPLE}"]


# --- a topic


def _topic(document: Document) -> list[str]:
    found = [document["question"], ""]
    found += [line for paragraph in document["answer"] for line in (paragraph, "")]
    if document["example"]:
        found += ["In this store"]
        found += [f"  {shown(line)}" for line in document["example"]]
        found.append("")
    return [*found, f"See also: {', '.join(document['see_also'])}"]


_BY_KIND: Final = {"object": _object, "kms-key": _kms_key, "topic": _topic}
