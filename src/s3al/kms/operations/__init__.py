"""The operations of the KMS API: one file per topic.

What lives here: what each operation validates, asks, changes and answers. What does not: everything that S3's use
of keys, the server's jobs and the operations share (kms).

Laws: every operation declares its checks beside its function; nothing outside this folder imports from it but
`kms.service`, which names every topic.
"""
