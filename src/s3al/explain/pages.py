"""A KMS key explained in pages: the counts of object versions added up.

What lives here: adding one page to those before it. What does not: counting (counting), asking for pages (the caller).

Law: what a page counts is added, all else is as of the first page. Imports nothing of the server.
"""

from __future__ import annotations

from typing import Any


def add_page(document: dict[str, Any], page: dict[str, Any]) -> None:
    """document: the first page, or what was added up so far; its `next` becomes that of the page."""
    counted, more = document["objects"], page["objects"]
    for member in ("looked_at", "under_this_key", "damaged"):
        counted[member] += more[member]
    for member in ("by_mode", "by_bucket"):
        for name, count in more[member].items():
            counted[member][name] = counted[member].get(name, 0) + count
    further = {one["material_id"]: one["objects"] for one in page["materials"] or ()}
    for one in document["materials"] or ():
        one["objects"] += further.get(one["material_id"], 0)
    document.pop("next")
    if "next" in page:
        document["next"] = page["next"]
