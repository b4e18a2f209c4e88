"""Seals: what opens the root key when a store starts.

What lives here: the port, one module for each kind of seal, how an option such as `--root-key` names one, and where
the secrets come from that open it. What does not: which seals a store has (store_document), what the root wraps (root).
"""
