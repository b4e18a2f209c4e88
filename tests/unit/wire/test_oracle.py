"""botocore is the other side: what it serializes must parse, what is serialized it must parse, to the same values."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlencode

import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from s3al.wire.address import decode_query
from s3al.wire.operations import ALLOWED
from s3al.wire.values import http_date
from unit.wire.shape_strategies import params

FEW = settings(
    max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink)
)
ALLOWED_PAIRS = [(service, name) for service, names in ALLOWED.items() for name in names]


def sent(model, name, given_params):
    """What botocore would put on the wire: method, raw path, raw query, headers, body."""
    protocol = model.metadata["protocol"]
    request = create_serializer(protocol, include_validation=False).serialize_to_request(
        given_params, model.operation_model(name)
    )
    raw_path, _, flags = request["url_path"].partition("?")
    query_string = request["query_string"]
    raw_query = urlencode(query_string, quote_via=quote, doseq=True) if query_string else ""
    raw_query = "&".join(part for part in (flags, raw_query) if part)
    body = request["body"]
    if isinstance(body, dict):
        body = urlencode(body)
    body = body.encode() if isinstance(body, str) else body
    headers = {key.lower(): text(value) for key, value in request["headers"].items()}
    return request["method"], raw_path, raw_query, headers, body


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def routed(router, service, wire):
    method, raw_path, raw_query, headers, body = wire
    query = decode_query(raw_query)
    route = router.route(method, "localhost:9000", raw_path, query, headers, service=service)
    if route.unresolved:
        route = router.resolve(route, body)
    return route, query


def comparable(value):
    """Botocore drops empty lists of flattened members and None; Expires is kept as the text sent."""
    if isinstance(value, dict):
        return {
            name: as_sent(item) if "Expires" in name else comparable(item)
            for name, item in value.items()
            if item not in (None, [])
        }
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return value


@pytest.mark.parametrize(("service", "name"), ALLOWED_PAIRS)
@FEW
@given(data=st.data())
def test_what_botocore_sends_parses_to_what_it_was_given(service, name, data, models, router):
    model = models[service].operation_model(name)
    given_params = data.draw(params(model.input_shape, rest=service == "s3"))
    wire = sent(models[service], name, given_params)
    route, query = routed(router, service, wire)
    assert route.operation_name == name
    assert comparable(route.plan.parse(route, query, wire[3], wire[4])) == comparable(given_params)


@pytest.mark.parametrize(("service", "name"), ALLOWED_PAIRS)
@FEW
@given(data=st.data())
def test_what_is_answered_parses_in_botocore_to_what_the_handler_gave(service, name, data, models, plans):
    model = models[service].operation_model(name)
    if model.output_shape is None:
        output = {}
    else:
        output = data.draw(params(model.output_shape, rest=service == "s3"))
    response = plans[service].operations[name].serialize(output, request_id="R1", host_id="H1")
    parser = create_parser(models[service].metadata["protocol"])
    parsed = parser.parse(
        {"body": response.body, "headers": HeadersDict(response.headers), "status_code": response.status},
        model.output_shape,
    )
    metadata = parsed.pop("ResponseMetadata")
    assert metadata["RequestId"] == "R1"
    assert metadata["HTTPStatusCode"] == plans[service].operations[name].success_status
    if name == "GetBucketLocation":
        return  # botocore reads the bare root in a handler, not in its parser: test_serialize
    assert without_empty(comparable(parsed)) == without_empty(comparable(output))


def as_sent(value):
    return http_date(value) if isinstance(value, datetime) else value


def without_empty(value):
    if isinstance(value, dict):
        return {name: without_empty(item) for name, item in value.items() if without_empty(item) not in ({}, "")}
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    return value
