"""Who asks, and may they: SigV4 and policies.

What lives here: signatures (sigv4, chunks, post_policy) and policies (policy, conditions, evaluate). What
does not: stored credentials (service.credentials), the checks that an operation declares (service).

Law: pure. No I/O, no clock, no randomness; all of them are arguments.
"""
