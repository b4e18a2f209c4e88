"""The meaning of S3: buckets, objects, uploads and how each is encrypted.

What lives here: one file per topic, written once above two narrow ports (rows and bytes). What does not: HTTP
(server), the wire format (wire), keys of users (kms; reached through the `DataKeys` port that `ports`
defines).
"""
