"""Keyrings: where data keys come from and who opens them.

What lives here: the port (`port`), keyrings for KMS, AES and RSA keys, several keys by description, and the cache of
data keys. What does not: formats and S3.
"""
