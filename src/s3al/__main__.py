"""`python -m s3al`, the same as the command `s3al`."""

from __future__ import annotations

from s3al.cli import main

main()
