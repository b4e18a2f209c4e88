"""Writes docs/reference/kms-operations.md and docs/reference/key-states.md from the source's own tables.

Run it after a change of the tables; a test says when it was forgotten. `--check` writes nothing and fails if a page
is not current.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from pathlib import Path

from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel

import s3al.kms.service  # noqa: F401  fills the table of operations
from s3al.kms import states
from s3al.kms.access import CROSS_ACCOUNT
from s3al.kms.key_specs import SPECS, grantable
from s3al.kms.paging import LIMITS
from s3al.kms.ports import OPERATIONS
from s3al.kms.states import TABLE, KeyState, Refusal

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "reference"
JOURNEY = ROOT / "tests" / "journeys" / "test_boto3_kms_operations.py"
STATES = [state.value for state in KeyState]

# Operation -> the permissions it needs, where that is not its own name on the key it names. A test asks the operations.
PERMISSIONS: dict[str, str] = {
    "CreateAlias": "`kms:CreateAlias` on the alias and on the key",
    "CreateKey": "`kms:CreateKey` on the account; with tags `kms:TagResource`",
    "DeleteAlias": "`kms:DeleteAlias` on the alias and on the key",
    "GenerateRandom": "`kms:GenerateRandom` on the account",
    "ListAliases": "`kms:ListAliases` on the account",
    "ListKeys": "`kms:ListKeys` on the account",
    "ListRetirableGrants": "`kms:ListRetirableGrants` on the account",
    "ReEncrypt": "`kms:ReEncryptFrom` on the source, `kms:ReEncryptTo` on the destination",
    "ReplicateKey": "`kms:ReplicateKey` on the primary, `kms:CreateKey` on the account; with tags `kms:TagResource`",
    "RetireGrant": "of the grant: its retiring principal, its grantee if it allows RetireGrant, its issuing account",
    "UpdateAlias": "`kms:UpdateAlias` on the alias and on both keys",
    "UpdatePrimaryRegion": "`kms:UpdatePrimaryRegion` on the primary and on the replica",
}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


OPERATIONS_HEAD = """\
# Operations of the key service

Written by `script/kms_reference.py` from the source and from the model of AWS KMS; do not edit.

{built} of the {all} operations of the model work as AWS documents them.

Tried: whether boto3 calls it in `tests/journeys/test_boto3_kms_operations.py`, which records what was answered
("-": newer than the model that boto3 had when this page was written). And what the tests refuse it for: each
**constraint** of the model, broken once (`tests/unit/server/test_model_constraints.py`); an absent **permission** or
**key** (`tests/unit/kms/test_refusals.py`); each **state** of the key that does not allow it (`test_states.py`).

{table}
Which of them a key accepts in which state: [key-states.md](key-states.md).

## Refused

Custom key stores put the material of keys into an AWS CloudHSM cluster or behind an external proxy. These operations
answer `UnsupportedOperationException`, and so does CreateKey with their parameters:

{refused}
Refused in the same way, and never ignored: attested recipients (`Recipient`), grants to service principals and
`SourceArn`, keys of spec SM2 and ML_KEM_512, signatures by ED25519_PH_SHA_512,
multi-Region keys with imported material.

## Key specs

{specs}"""


# What the model has and the key service refuses. A test compares both lists with the installed model.
REFUSED = (
    "ConnectCustomKeyStore",
    "CreateCustomKeyStore",
    "DeleteCustomKeyStore",
    "DescribeCustomKeyStores",
    "DisconnectCustomKeyStore",
    "UpdateCustomKeyStore",
)
NEWER = {"Decapsulate", "Encapsulate"}  # than some models that may be installed; both have dry runs


def called() -> set[str]:
    """The names of what the journey calls, as methods or as paginators. At each run it compares with the wire."""
    found = set()
    for node in ast.walk(ast.parse(JOURNEY.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            first = node.args[0] if node.args else None
            paginated = node.func.attr == "get_paginator" and isinstance(first, ast.Constant)
            found.add(str(first.value) if paginated and isinstance(first, ast.Constant) else node.func.attr)
    return found


def names_key(name: str, model: ServiceModel) -> bool:
    """Whether a request of this operation must name a key."""
    shape = model.operation_model(name).input_shape if name in model.operation_names else None
    return name in NEWER or bool(shape and {"KeyId", "TargetKeyId"} & set(shape.required_members))


def refused_for(name: str, model: ServiceModel) -> str:
    """What the tests refuse an operation for; each of them goes through the same tables as this."""
    reasons = ["constraint"] if name in model.operation_names else []
    reasons += ["permission"]
    reasons += ["key"] if names_key(name, model) else []
    reasons += ["state"] if any(isinstance(outcome, Refusal) for outcome in TABLE.get(name, ())) else []
    return ", ".join(reasons)


def operations_page(model: ServiceModel) -> str:
    built, journey = sorted(OPERATIONS), called()
    any_grant = set().union(*(grantable(spec, usage) for spec, usages in SPECS.items() for usage in usages))

    def row(name: str) -> list[str]:
        shape = model.operation_model(name).input_shape if name in model.operation_names else None
        members = shape.members if shape else dict.fromkeys(("DryRun",) if name in NEWER else ())
        default, greatest = LIMITS.get(name, (0, 0))
        by_grant = name in any_grant or name == "ReEncrypt"
        return [
            name,
            PERMISSIONS.get(name, f"`kms:{name}` on the key"),
            "yes" if name in CROSS_ACCOUNT else "-",
            "yes" if by_grant else "-",
            "yes" if "DryRun" in members else "-",
            f"{default}, at most {greatest}" if default else "-",
            "yes" if xform_name(name) in journey else "-",
            refused_for(name, model),
        ]

    head = ("operation", "permission", "other accounts", "by a grant", "dry run", "entries in a page")
    head += ("journey", "refused for")
    return OPERATIONS_HEAD.format(
        built=len(built),
        all=len(built) + len(REFUSED),
        table=table(head, (row(name) for name in built)),
        refused="".join(f"- {name}\n" for name in REFUSED),
        specs=specs(),
    )


def specs() -> str:
    rows = [
        [spec, usage, ", ".join(algorithms)] for spec, usages in SPECS.items() for usage, algorithms in usages.items()
    ]
    return table(("key spec", "key usage", "algorithms"), rows)


STATES_HEAD = """\
# Key states

Written by `script/kms_reference.py` from the table in `kms/states.py`; do not edit.

Which operation a KMS key accepts, and what it becomes.

{table}
{refusals}
- **Enabled** and **Disabled** are set by EnableKey and DisableKey.
- **PendingImport** is a function of the moment: one of the key's imported materials is missing or has expired. A key
  that was disabled is Disabled again when its material is back.
- **PendingDeletion** ends at the deletion date, from which on the key does not exist, whether or not its rows have
  been removed.
- **PendingReplicaDeletion** is a multi-Region primary that waits for its replicas to go; then its window begins.
- UpdateAlias asks the state of the new target; the old one may be in any.
- AWS's Creating, Updating and Unavailable cannot occur: each change is one transaction.
- For the use of a key pending deletion AWS's guide allows two errors. This is the one AWS was recorded answering.
"""


def states_page() -> str:
    names = {outcome: name for name, outcome in vars(states).items() if isinstance(outcome, Refusal)}

    def cell(state: str, outcome: KeyState | Refusal) -> str:
        if isinstance(outcome, Refusal):
            return names[outcome]
        return "yes" if outcome.value == state else f"becomes {outcome.value}"

    groups: dict[tuple[str, ...], list[str]] = {}
    for operation, outcomes in TABLE.items():
        if operation in OPERATIONS or "," in operation:
            cells = tuple(cell(state, outcome) for state, outcome in zip(STATES, outcomes, strict=True))
            groups.setdefault(cells, []).append(operation)
    refusals = (
        [names[r], f"`{r.code}`", r.wording.replace("{arn}", "*key*")] for r in sorted(names, key=names.__getitem__)
    )
    return STATES_HEAD.format(
        table=table(("operations", *STATES), ([", ".join(ops), *cells] for cells, ops in groups.items())),
        refusals=table(("refusal", "error", "message"), refusals),
    )


def pages() -> dict[str, str]:
    model = ServiceModel(Loader().load_service_model("kms", "service-2"))
    return {"kms-operations.md": operations_page(model), "key-states.md": states_page()}


def main() -> int:
    stale = [name for name, text in pages().items() if not _is_current(PAGES / name, text)]
    if "--check" in sys.argv:
        for name in stale:
            sys.stderr.write(f"docs/reference/{name} is not current: run script/kms_reference.py\n")
        return 1 if stale else 0
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (PAGES / name).write_text(text, encoding="utf-8")
    return 0


def _is_current(page: Path, text: str) -> bool:
    return page.is_file() and page.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
