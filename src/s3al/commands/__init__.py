"""The commands of `s3al` that are groups of their own, one module each, mounted by `cli`.

What lives here: flags and printing; in `connection` the flags that every command takes which calls a server. What does
not: what the commands do (offline, own_api_client, client).
"""
