"""Lifecycle rules of buckets.

What lives here: what rules say (rules), their operations (operations), carrying them out (expiring).
"""
