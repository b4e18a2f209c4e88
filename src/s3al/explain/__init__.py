"""Why a request is allowed or refused, who may do what, and what encrypts what: said from the running store.

What lives here: questions about decisions (decisions, matrix, remedies), pictures of them, and our own API for them.
What does not: any decision. Each is taken by the function that decides requests (s3.access, kms.access, iam.access).
"""
