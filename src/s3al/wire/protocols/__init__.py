"""The pieces of the AWS protocols that only their compilers use.

What lives here: arguments and XML payloads of rest-xml, XML elements of answers, AWS JSON, AWS Query with its forms,
and the constraints both of them check. What does not: what the pipeline calls (plan, router), the rest-xml parser and
serializer themselves (parse, serialize).
"""
