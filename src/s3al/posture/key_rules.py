"""What is looked for in KMS keys and their policies.

What lives here: one function a rule. What does not: the table (rules), the questions to policies (questions).

Law: keys that the service manages are left out: nobody can change their policy or rotation.
"""

from __future__ import annotations

from collections.abc import Iterator

from s3al.posture.facts import KmsKey, Posture
from s3al.posture.hits import Hit
from s3al.posture.questions import allows_strangers, holders


def open_to_strangers(posture: Posture) -> Iterator[Hit]:
    for key in _customers(posture):
        allowed = allows_strangers(key)
        if allowed:
            yield Hit(key.arn, f"the key policy allows an account that it does not name: {', '.join(allowed)}")


def one_person(posture: Posture) -> Iterator[Hit]:
    for key in _customers(posture):
        for holder in holders(key):
            if holder.administers and holder.uses and not holder.is_account:
                yield Hit(
                    key.arn,
                    f"the key policy allows {holder.name} {', '.join(holder.administers)}, and also "
                    f"{', '.join(holder.uses)}",
                )


def left_to_account(posture: Posture) -> Iterator[Hit]:
    for key in _customers(posture):
        for holder in holders(key):
            if holder.administers and holder.uses and holder.is_account:
                yield Hit(
                    key.arn,
                    f"the key policy allows {holder.name} to administer and to use, and with it everyone whom identity "
                    "policies of that account let",
                )


def no_rotation(posture: Posture) -> Iterator[Hit]:
    for key in _customers(posture):
        if key.rotates is False:
            if key.origin == "EXTERNAL":
                yield Hit(key.arn, "its material is imported: it rotates only when you import the next")
            else:
                yield Hit(key.arn, "GetKeyRotationStatus answers that automatic rotation is off")


def _customers(posture: Posture) -> Iterator[KmsKey]:
    return (key for key in posture.kms_keys if key.is_customers)
