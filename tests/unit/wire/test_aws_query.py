"""Forms in, XML out: STS now, and every operation of IAM and STS against botocore."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from s3al.errors import RequestError
from s3al.wire.model import compile_service
from s3al.wire.plan import Route
from s3al.wire.quirks import Quirks, quirks_of
from unit.wire.shape_strategies import operation_names, params

OPEN = settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink)
)


@pytest.fixture(scope="module")
def complete(models):
    """Every operation of the services whose allow-list is still short."""
    return {
        name: compile_service(
            models[name]._service_description, operations=models[name].operation_names, quirks=Quirks()
        )
        for name in ("sts", "iam", "cloudtrail")
    }


@pytest.mark.parametrize("service", ["sts", "iam", "cloudtrail"])
@OPEN
@given(data=st.data())
def test_any_operation_of_the_service_is_spoken_both_ways(service, data, models, complete):
    model = models[service]
    name = data.draw(st.sampled_from(operation_names(model)))
    operation, plan = model.operation_model(name), complete[service].operations[name]
    sent = data.draw(params(operation.input_shape))
    request = create_serializer(model.metadata["protocol"], include_validation=False).serialize_to_request(
        sent, operation
    )
    body = request["body"]
    body = urlencode(body).encode() if isinstance(body, dict) else body
    try:
        assert without_empty(plan.parse(Route(plan, name, service), (), {}, body)) == without_empty(sent)
    except RequestError as refused:  # patterns and lengths of ARNs and documents, which are not generated
        assert refused.code == "ValidationException"
    answered = data.draw(params(operation.output_shape))
    response = plan.serialize(answered, request_id="R1")
    parsed = create_parser(model.metadata["protocol"]).parse(
        {"body": response.body, "headers": HeadersDict(response.headers), "status_code": 200}, operation.output_shape
    )
    assert parsed.pop("ResponseMetadata")["RequestId"] == "R1"
    assert without_empty(parsed) == without_empty(answered)


def without_empty(value):
    """The query protocol does not tell an empty structure, list or text from an absent one."""
    if isinstance(value, dict):
        kept = {name: without_empty(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in ({}, [], "", None)}
    if isinstance(value, list):
        return [kept for item in value if (kept := without_empty(item)) not in ({}, [], "", None)]
    return value


def test_the_caller_is_told_who_he_is(plans):
    response = (
        plans["sts"]
        .operations["GetCallerIdentity"]
        .serialize({"UserId": "U", "Account": "111122223333", "Arn": "arn:aws:iam::111122223333:root"}, request_id="R1")
    )
    assert response.headers == [("x-amzn-requestid", "R1"), ("content-type", "text/xml")]
    assert response.body == (
        b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        b"<UserId>U</UserId><Account>111122223333</Account><Arn>arn:aws:iam::111122223333:root</Arn>"
        b"</GetCallerIdentityResult><ResponseMetadata><RequestId>R1</RequestId></ResponseMetadata>"
        b"</GetCallerIdentityResponse>\n"
    )


def parse(complete, service, name, body, query=()):
    plan = complete[service].operations[name]
    return plan.parse(Route(plan, name, service), query, {}, body)


def test_lists_are_taken_in_the_order_of_their_numbers(complete):
    body = b"RoleName=r&Tags.member.10.Key=c&Tags.member.10.Value=3&Tags.member.2.Value=1&Tags.member.2.Key=a"
    tags = parse(complete, "iam", "TagRole", body)["Tags"]
    assert tags == [{"Key": "a", "Value": "1"}, {"Key": "c", "Value": "3"}]


def test_an_action_in_the_url_is_read_from_the_url_only(complete):
    query = (("Action", "GetRole"), ("RoleName", "r"))
    assert parse(complete, "iam", "GetRole", b"RoleName=other", query) == {"RoleName": "r"}


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("ListUsers", b"MaxItems=many", "MalformedInput"),
        ("TagRole", b"RoleName=r&Tags.member.x.Key=a", "MalformedInput"),
        ("TagRole", b"RoleName=r&" + b"a." * 100 + b"b=1", "MalformedInput"),
        ("TagRole", b"RoleName=r&Tags=1&Tags.=2", "MalformedInput"),
        ("ListUsers", b"MaxItems=0", "ValidationException"),
        ("GetRole", b"", "ValidationException"),
    ],
)
def test_bad_forms_are_refused(name, body, code, complete):
    with pytest.raises(RequestError) as refused:
        parse(complete, "iam", name, body)
    assert refused.value.code == code


def test_query_services_say_validation_error():
    assert quirks_of("iam").validation_code == quirks_of("sts").validation_code == "ValidationError"
    assert quirks_of("kms").validation_code == "ValidationException"
