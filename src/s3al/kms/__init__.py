"""The key service: the root and its seals, the keys of users and of the server, and the KMS operations on them.

What lives here: one file per topic. What does not: primitives (crypto), rows (store.keystore), the evaluator of
policies (auth), what S3 does with a data key (s3).

Laws: key material leaves this room only as a data key or as a derived key; the server's own key is reached
through no KMS operation; whoever uses a user's key does so as themselves.
"""
