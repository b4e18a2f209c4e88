"""Moving objects: what a request becomes, bodies in, bodies out, parts, spools.

What lives here: everything between boto3's parameters and the formats. `parameters` and `envelopes` are shared by the
sync and the async client and do no I/O but through the keyring; the rest waits.
"""
