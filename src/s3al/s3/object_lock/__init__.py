"""Object Lock: retention and legal hold of versions.

What lives here: what a lock forbids (rules), its operations and what stands before a removal (operations).
"""
