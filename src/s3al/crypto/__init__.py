"""The cryptographic core: derive, wrap, seal records, seal streams, and bind each result to its place.

What lives here: encoding (bytes of many fields), keys (derive, wrap, KMS blobs), records (small sealed documents),
stream (object bytes), context (associated data). What does not: where keys come from (kms), which record says what
(s3), and everything that waits.

Laws: no I/O, no clock, no randomness: all are arguments. No algorithm is negotiated. Every failure to open is one
IntegrityError with one message.

Source: spec/object-format.md and spec/key-hierarchy.md.
"""
