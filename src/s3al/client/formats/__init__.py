"""The formats of client-side encryption: what the metadata says, and how content is sealed and opened.

What lives here: suites and policies, envelopes (decode, encode), key derivation, content ciphers, ranges. What does
not: S3 and KMS calls (transfer, keyrings).

Laws: no I/O; randomness is an argument. What no format says is an error, never a guess.

Source: docs/client-formats.md; spec/client-stream-format.md.
"""
