"""What the AWS services of this server have in common: a call, its authorization, its reply.

The services themselves (`s3`, `kms`, `iam`) stand above, the wire, the policies and the store below.
"""
