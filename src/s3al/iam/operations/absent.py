"""What users and accounts of IAM may have, and never have here: passwords, second factors, certificates, SSH keys,
instance profiles, SAML.

What lives here: a table of the questions that clients ask before they delete a user or a role, answered as AWS answers
where there is none. What does not: making any of these, which is refused with InvalidAction.

Law: a user or role that the question names must exist, or NoSuchEntity says so.

Source: IAM API Reference, ListMFADevices, GetLoginProfile and the other operations of the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.iam import access
from s3al.iam.checks import on_entity, on_nothing, on_owner, owner_arn
from s3al.iam.entities import role_named
from s3al.iam.ports import Iam
from s3al.iam.registry import OPERATIONS
from s3al.service.operation import Call, Checks, Handler, Reply
from s3al.store.database import Rows

About = tuple[Callable[[str], Checks[Iam]], Callable[[Rows, Call], object]]
_USER: Final[About] = (on_owner, owner_arn)
_ROLE: Final[About] = (lambda action: on_entity(action, role_named), role_named)
ACCOUNT: Final[About] = (on_nothing, lambda *_: None)

# Operation -> what it is about, and the member that is an empty list.
EMPTY: Final[dict[str, tuple[About, str]]] = {
    "ListMFADevices": (_USER, "MFADevices"),
    "ListSSHPublicKeys": (_USER, "SSHPublicKeys"),
    "ListSigningCertificates": (_USER, "Certificates"),
    "ListServiceSpecificCredentials": (_USER, "ServiceSpecificCredentials"),
    "ListInstanceProfilesForRole": (_ROLE, "InstanceProfiles"),
    "ListInstanceProfiles": (ACCOUNT, "InstanceProfiles"),
    "ListVirtualMFADevices": (ACCOUNT, "VirtualMFADevices"),
    "ListServerCertificates": (ACCOUNT, "ServerCertificateMetadataList"),
    "ListSAMLProviders": (ACCOUNT, "SAMLProviderList"),
    "ListAccountAliases": (ACCOUNT, "AccountAliases"),
}

# Operation -> what it is about, and the words of NoSuchEntity. {UserName} and the like: from the request.
NO_SUCH: Final[dict[str, tuple[About, str]]] = {
    "GetLoginProfile": (_USER, "Login Profile for User {UserName} cannot be found."),
    "DeleteLoginProfile": (_USER, "Login Profile for User {UserName} cannot be found."),
    "DeactivateMFADevice": (_USER, "MFA Device with serial number {SerialNumber} does not exist."),
    "DeleteSSHPublicKey": (_USER, "The Public Key with id {SSHPublicKeyId} cannot be found."),
    "DeleteSigningCertificate": (_USER, "The Certificate with id {CertificateId} cannot be found."),
    "DeleteServiceSpecificCredential": (_USER, "No such credential {ServiceSpecificCredentialId} exists"),
    "GetAccountPasswordPolicy": (ACCOUNT, "The Password Policy with domain name {account} cannot be found."),
}
_PAGELESS: Final = frozenset({"ListServiceSpecificCredentials", "ListSAMLProviders"})


def _empty(find: Callable[[Rows, Call], object], member: str) -> Handler[Iam]:
    async def answer(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        await access.read(authorized, call, iam, lambda rows: find(rows, call))
        return Reply({member: []} | ({} if call.operation in _PAGELESS else {"IsTruncated": False}))

    return answer


def _no_such(find: Callable[[Rows, Call], object], words: str) -> Handler[Iam]:
    async def refuse(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        await access.read(authorized, call, iam, lambda rows: find(rows, call))
        named = {"UserName": call.principal.arn.rpartition("/")[2], "account": call.principal.account_id}
        raise RequestError("NoSuchEntity", words.format(**{**named, **call.params}))

    return refuse


for _operation, ((_checks, _find), _member) in EMPTY.items():
    OPERATIONS.operation(_operation, checks=_checks(f"iam:{_operation}"))(_empty(_find, _member))
for _operation, ((_checks, _find), _words) in NO_SUCH.items():
    OPERATIONS.operation(_operation, checks=_checks(f"iam:{_operation}"))(_no_such(_find, _words))
