"""The AWS protocols as pure functions: bytes and headers in, parameters out, and back.

What lives here: routing, parsing, validation and serialization compiled from botocore's service models, payload
framing and checksums. What does not: sockets (server), signatures (auth), what an operation means (s3, kms, iam).

Laws: no I/O, no clock, no randomness; the model documents are handed in by `app`. Parameters and outputs are
dicts with botocore's member names, exactly what boto3 shows.

The way of a request: `router.Router.route` -> `plan.OperationPlan.parse` -> handler -> `plan.OperationPlan.serialize`.
"""
