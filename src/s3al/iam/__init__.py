"""Identities: accounts now; users, roles, sessions and their policies as they come."""
