"""What all tests share: the table of suites and clients at the end of a run."""

from __future__ import annotations

pytest_plugins = ["support.run_table"]
