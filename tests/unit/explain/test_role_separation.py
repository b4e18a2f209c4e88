"""The page about role separation shows what a store answers now."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

SCRIPT = Path(__file__).resolve().parents[3] / "script" / "role_separation.py"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("role_separation", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_page_and_its_picture_are_current() -> None:
    made = script()
    page, picture = made.run()
    assert made.PAGE.read_text() == page, "run script/role_separation.py"
    assert made.PICTURE.read_text() == picture, "run script/role_separation.py"


def test_every_block_stands_between_its_marks_and_nothing_else_moves() -> None:
    made = script()
    page = "a\n<!-- role_separation.py: x -->\n<!-- end -->\nb\n<!-- role_separation.py: y -->\nold\n<!-- end -->\nc"
    once = made.with_blocks(page, {"x": "X", "y": "Y"})
    assert once.split("\n") == [
        "a", "<!-- role_separation.py: x -->", "", "X", "", "<!-- end -->",
        "b", "<!-- role_separation.py: y -->", "", "Y", "", "<!-- end -->", "c",
    ]  # fmt: skip
    assert made.with_blocks(once, {"x": "X", "y": "Y"}) == once
