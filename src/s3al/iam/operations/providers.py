"""OpenID Connect providers, whose tokens may take a role.

Laws: a provider is known by the URL of its issuer; a token's audience must be among its client ids. Thumbprints
are kept as they are given; what is trusted is the machine's store of certificates.

Source: IAM API Reference, CreateOpenIDConnectProvider and its siblings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.iam import access, entities, quotas
from s3al.iam.checks import with_tagging
from s3al.iam.entities import account_of
from s3al.iam.ports import Iam
from s3al.iam.registry import OPERATIONS
from s3al.service.operation import Call, Check, Checks, Reply
from s3al.store import identities
from s3al.store.database import Rows
from s3al.store.identities import OidcProviderRow

_KIND: Final = "OpenIDConnectProvider"


def on_provider(action: str) -> Checks[Iam]:
    def checks(call: Call, rows: Rows, iam: Iam) -> Iterable[Check]:
        check = Check(action, call.params.get("OpenIDConnectProviderArn") or _arn(call))
        return with_tagging(call, check, _KIND) if action == f"iam:Create{_KIND}" else (check,)

    return checks


def _arn(call: Call) -> str:
    """The ARN of the provider that is to be made; of all of them for the list."""
    name = call.params.get("Url", "*").partition("://")[2].rstrip("/") or "*"
    return f"arn:aws:iam::{account_of(call)}:oidc-provider/{name}"


def _checked_url(url: str) -> str:
    """Raises InvalidInput: keys of a provider are fetched over TLS alone."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        raise RequestError("InvalidInput", "Invalid Open ID Connect Provider URL")
    return url.rstrip("/")


def named(rows: Rows, call: Call) -> OidcProviderRow:
    arn = call.params["OpenIDConnectProviderArn"]
    row = identities.find_oidc_provider(rows, arn)
    if row is None or row.account_id != account_of(call):
        raise RequestError("NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}")
    return row


@OPERATIONS.operation("CreateOpenIDConnectProvider", checks=on_provider("iam:CreateOpenIDConnectProvider"))
async def create_provider(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    url = _checked_url(call.params["Url"])
    row = OidcProviderRow(
        _arn(call),
        account_of(call),
        url,
        tuple(dict.fromkeys(call.params.get("ClientIDList") or ())),
        tuple(call.params.get("ThumbprintList") or ()),
        iam.now_ms(),
        entities.tags_of(call),
    )
    quotas.require("ClientIdsPerOpenIdConnectProvider", len(row.client_ids))

    def write(rows: Rows) -> None:
        if identities.find_oidc_provider(rows, row.arn):
            raise RequestError("EntityAlreadyExists", f"Provider with url {url} already exists.")
        held = len(identities.list_oidc_providers(rows, row.account_id))
        quotas.require("OpenIdConnectProvidersPerAccount", held + 1)
        identities.put_oidc_provider(rows, row)

    await call.commit(iam.db, authorized, write)
    return Reply({"OpenIDConnectProviderArn": row.arn} | ({"Tags": entities.tag_list(row.tags)} if row.tags else {}))


@OPERATIONS.operation("GetOpenIDConnectProvider", checks=on_provider("iam:GetOpenIDConnectProvider"))
async def get_provider(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    row = await access.read(authorized, call, iam, lambda rows: named(rows, call))
    return Reply(
        {
            "Url": row.url.partition("://")[2],
            "ClientIDList": list(row.client_ids),
            "ThumbprintList": list(row.thumbprints),
            "CreateDate": entities.when(row.created_at),
            "Tags": entities.tag_list(row.tags),
        }
    )


@OPERATIONS.operation("ListOpenIDConnectProviders", checks=on_provider("iam:ListOpenIDConnectProviders"))
async def list_providers(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    found = await access.read(
        authorized, call, iam, lambda rows: identities.list_oidc_providers(rows, account_of(call))
    )
    return Reply({"OpenIDConnectProviderList": [{"Arn": row.arn} for row in found]})


@OPERATIONS.operation("DeleteOpenIDConnectProvider", checks=on_provider("iam:DeleteOpenIDConnectProvider"))
async def delete_provider(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    await call.commit(iam.db, authorized, lambda rows: identities.delete_oidc_provider(rows, named(rows, call).arn))
    return Reply()


Change = Callable[[OidcProviderRow, Call], OidcProviderRow]


def _with_client(row: OidcProviderRow, call: Call) -> OidcProviderRow:
    clients = tuple(dict.fromkeys((*row.client_ids, call.params["ClientID"])))
    quotas.require("ClientIdsPerOpenIdConnectProvider", len(clients))
    return replace(row, client_ids=clients)


def _without_client(row: OidcProviderRow, call: Call) -> OidcProviderRow:
    return replace(row, client_ids=tuple(each for each in row.client_ids if each != call.params["ClientID"]))


def _with_thumbprints(row: OidcProviderRow, call: Call) -> OidcProviderRow:
    return replace(row, thumbprints=tuple(call.params["ThumbprintList"]))


_CHANGES: Final[dict[str, Change]] = {
    "AddClientIDToOpenIDConnectProvider": _with_client,
    "RemoveClientIDFromOpenIDConnectProvider": _without_client,
    "UpdateOpenIDConnectProviderThumbprint": _with_thumbprints,
}


def _declare(name: str, change: Change) -> None:
    @OPERATIONS.operation(name, checks=on_provider(f"iam:{name}"))
    async def changed(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        await call.commit(
            iam.db, authorized, lambda rows: identities.put_oidc_provider(rows, change(named(rows, call), call))
        )
        return Reply()


for _name, _change in _CHANGES.items():
    _declare(_name, _change)
