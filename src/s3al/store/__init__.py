"""The store: rows and bytes behind two narrow ports.

What lives here: the `Database` port with its SQLite implementation, the `Blobs` port with its file implementation,
and the functions over rows (catalog, accounts, keystore). What does not: what a row means to S3, KMS or IAM, and
every key but the one that opens the database file: what must be secret arrives here sealed.

Laws: the row is the commit point; a write is answered when it is durable; readers never wait for writers.
Sources: design, "What lies on the disk" and "Durability and concurrency".
"""
