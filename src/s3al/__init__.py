"""s3al: object storage in which nothing is ever stored in the clear.

What lives here: the version, and nothing else, so that importing the client never imports the server.
"""

from __future__ import annotations

__version__ = "0.1.0"
