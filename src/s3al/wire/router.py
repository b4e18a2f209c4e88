"""Which operation a request is.

What lives here: the routing table of S3, compiled from the model's request URIs and required arguments; the target
header of the json services; the action of the query services. What does not: decoding of the URL (address).

Laws: every operation of the S3 model has its place in the table, allow-listed or not, so that a request for one that
is not answered (NotImplemented) is never taken for another. At most one subresource flag may be given; one that the
method does not have is MethodNotAllowed. A parameter that selects an operation at this place, and that the operation
found does not read, is refused. All other unknown parameters are ignored, as S3 does.

Source: S3 API Reference, request syntax of each operation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from s3al.errors import RequestError
from s3al.wire.address import split_address
from s3al.wire.operations import POST_OBJECT, PREFLIGHT
from s3al.wire.plan import Headers, Query, Route, RoutePattern, ServicePlan
from s3al.wire.protocols.forms import form_fields

_FORM_ONLY = "Bucket POST must be of the enclosure-type multipart/form-data"


@dataclass(frozen=True, slots=True)
class _Candidate:
    operation_name: str
    query: tuple[tuple[str, str | None], ...]
    headers: tuple[str, ...]
    refused: frozenset[str]  # parameters that select another operation of this place

    def takes(self, given: dict[str, str], headers: Headers) -> bool:
        if self.headers and not all(name in headers for name in self.headers):
            return False
        return all(name in given and value in (None, given[name]) for name, value in self.query)


Place = tuple[str, str, str | None]


class Router:
    """domain: buckets are also addressed as `bucket.domain`; None for path style only."""

    def __init__(self, plans: Iterable[ServicePlan], *, domain: str | None = None) -> None:
        self._plans = {plan.service: plan for plan in plans}
        self._by_target = {plan.target_prefix: plan for plan in self._plans.values() if plan.protocol == "json"}
        self._domain_suffix = "." + domain.lower().strip(".") if domain else None
        self._s3 = next((plan for plan in self._plans.values() if plan.protocol == "rest-xml"), None)
        patterns = self._s3.patterns if self._s3 else ()
        self._places = _places(patterns)
        self._flags = frozenset(flag for pattern in patterns for flag in pattern.flags)

    def plan_of(self, service: str) -> ServicePlan:
        return self._plans[service]

    def service_of(self, method: str, headers: Headers, service: str | None = None) -> str:
        """Which service a request is for: the scope of its signature, else the shape of the request."""
        if service in self._plans:
            return service
        if method == "POST" and "x-amz-target" in headers:
            plan = self._by_target.get(headers["x-amz-target"].rpartition(".")[0])
            if plan is not None:
                return plan.service
        return "s3"

    def route(
        self, method: str, host: str, raw_path: str, query: Query, headers: Headers, *, service: str | None = None
    ) -> Route:
        """service: of the signature's scope, None if unsigned. Raises RequestError with the service's code."""
        plan = self._plans.get(self.service_of(method, headers, service))
        if plan is not None and plan.protocol == "json":
            return _route_target(plan, method, headers)
        if plan is not None and plan.protocol == "query":
            if method not in ("GET", "POST"):
                raise RequestError("InvalidAction", f"{method[:16]} is not a method of this service.")
            return _route_action(plan, dict(query))
        if service is None and raw_path == "/":
            route = self._unsigned_action(method, query, headers)
            if route is not None:
                return route
        return self._route_s3(method, host, raw_path, query, headers)

    def resolve(self, route: Route, body: bytes) -> Route:
        """Finishes an unresolved route with the form body that holds the action."""
        if route.service in self._plans:
            return _route_action(self._plans[route.service], form_fields(body), final=True)
        try:
            form = form_fields(body)
        except RequestError:
            form = {}
        found = self._action_anywhere(form)
        if found is None:
            raise self._method_not_allowed("POST", "service", None)
        return found

    def _unsigned_action(self, method: str, query: Query, headers: Headers) -> Route | None:
        """Of an unsigned request to "/": a query service's action, if it looks like one."""
        if method == "GET":
            return self._action_anywhere(dict(query))
        form = headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded")
        return Route(None, "", "", unresolved=True) if method == "POST" and form else None

    def _action_anywhere(self, form: dict[str, str]) -> Route | None:
        action, version = form.get("Action"), form.get("Version")
        for plan in self._plans.values():
            if plan.protocol == "query" and action in plan.known and version in (None, plan.api_version):
                return _route_action(plan, form, final=True)
        return None

    def _route_s3(self, method: str, host: str, raw_path: str, query: Query, headers: Headers) -> Route:
        bucket, object_key, virtual_host = split_address(host, raw_path, self._domain_suffix)
        level = "service" if bucket is None else "bucket" if object_key is None else "object"
        given = dict(query) if query else {}
        flag = self._flag(given) if given and level != "service" else None
        name = self._operation(method, level, flag, given, headers)
        plan = None
        if self._s3 is not None and name not in (POST_OBJECT, PREFLIGHT):
            plan = self._s3.operations.get(name)
            if plan is None:
                raise RequestError("NotImplemented", f"{name} is not implemented.")
        return Route(plan, name, "s3", bucket, object_key, virtual_host)

    def _flag(self, given: dict[str, str]) -> str | None:
        flags = [name for name in given if name in self._flags]
        if len(flags) > 1:
            message = "Conflicting query string parameters: " + ", ".join(flags)
            raise RequestError("InvalidArgument", message, ArgumentName="ResourceType", ArgumentValue=flags[0])
        return flags[0] if flags else None

    def _operation(self, method: str, level: str, flag: str | None, given: dict[str, str], headers: Headers) -> str:
        if method == "OPTIONS" and level != "service":
            return PREFLIGHT
        candidates = self._places.get((method, level, flag))
        if candidates is None:
            return self._without_place(method, level, flag, headers)
        if flag is not None and len(candidates) == 1:
            return candidates[0].operation_name
        for candidate in candidates:
            if candidate.takes(given, headers):
                for name in candidate.refused:
                    if name in given:
                        raise _does_not_take(name, given[name])
                return candidate.operation_name
        raise self._method_not_allowed(method, level, flag)

    def _without_place(self, method: str, level: str, flag: str | None, headers: Headers) -> str:
        """POST to a bucket is a browser's form; nothing else stands outside the model."""
        if method == "POST" and level == "bucket" and flag is None:
            if headers.get("content-type", "").lower().startswith("multipart/form-data"):
                return POST_OBJECT
            raise RequestError("PreconditionFailed", Condition=_FORM_ONLY)
        raise self._method_not_allowed(method, level, flag)

    def _method_not_allowed(self, method: str, level: str, flag: str | None) -> RequestError:
        allowed = sorted(each for each, at, named in self._places if (at, named) == (level, flag))
        refused = RequestError("MethodNotAllowed", Method=method, ResourceType=(flag or level).upper())
        return refused.with_headers({"allow": ", ".join(allowed)})


def _places(patterns: Iterable[RoutePattern]) -> dict[Place, tuple[_Candidate, ...]]:
    """By method, level and flag: the operations there, the one with most conditions first."""
    grouped: dict[Place, list[RoutePattern]] = {}
    for pattern in patterns:
        flag = pattern.flags[0] if pattern.flags else None
        grouped.setdefault((pattern.method, pattern.level, flag), []).append(pattern)
    return {place: _candidates(group) for place, group in grouped.items()}


def _candidates(group: list[RoutePattern]) -> tuple[_Candidate, ...]:
    selecting = {name for pattern in group for name in pattern.query}
    ordered = sorted(group, key=lambda pattern: -len(pattern.query) - len(pattern.headers))
    return tuple(
        _Candidate(
            pattern.operation_name,
            tuple(pattern.query.items()),
            pattern.headers,
            frozenset(selecting - pattern.known - set(pattern.query)),
        )
        for pattern in ordered
    )


def _does_not_take(name: str, value: str) -> RequestError:
    message = f"This operation does not accept a query-string parameter '{name}'."
    return RequestError("InvalidArgument", message, ArgumentName=name, ArgumentValue=value)


def _route_target(plan: ServicePlan, method: str, headers: Headers) -> Route:
    prefix, _, name = headers.get("x-amz-target", "").rpartition(".")
    operation = plan.operations.get(name) if (method, prefix) == ("POST", plan.target_prefix) else None
    if operation is None:
        raise RequestError("UnknownOperationException")
    return Route(operation, name, plan.service)


def _route_action(plan: ServicePlan, given: dict[str, str], *, final: bool = False) -> Route:
    name = given.get("Action")
    if name is None and not final:
        return Route(None, "", plan.service, unresolved=True)
    if not name:
        raise RequestError("MissingAction")
    version = given.get("Version")
    operation = plan.operations.get(name) if version in (None, plan.api_version) else None
    if operation is None:
        reason = "is not implemented" if name in plan.known else f"is not an operation of version {version}"
        raise RequestError("InvalidAction", f"{name[:64]} {reason}.")
    return Route(operation, name, plan.service)
