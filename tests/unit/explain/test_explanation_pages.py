"""docs/explanation/: every picture and page that is named is there, and they say what a store answers today."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from s3al.advice.requirements import REQUIREMENTS
from s3al.explain.topics import TOPICS
from support.house import House, open_house
from unit.explain.asking import ask, check

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted((ROOT / "docs" / "explanation").glob("*.md"))
_SPEC = importlib.util.spec_from_file_location("explanation", ROOT / "script" / "explanation.py")
script = importlib.util.module_from_spec(_SPEC)
sys.modules["explanation"] = script  # its dataclasses look themselves up
_SPEC.loader.exec_module(script)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_picture_and_page_that_is_named_is_there(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    assert links
    for link in links:
        assert (page.parent / link).exists(), link


def test_commands_on_pages_exist():
    """Flags of advise and topics of explain, as pages write them."""
    text = "\n".join(page.read_text() for page in PAGES)
    flags = set(re.findall(r"--([a-z-]+)", " ".join(re.findall(r"s3al advise [^`\n]+", text))))
    assert flags - {"option", "kms-key", "apply", "admin", "user"} <= set(REQUIREMENTS)
    assert "encrypt-before-upload" in flags
    topics = set(re.findall(r"s3al explain ([a-z][a-z-]+)(?=[`\s])", text))
    assert topics <= set(TOPICS)


def store_of(house: House, *, secure: bool):
    return script.Store(
        house.client,
        lambda operation, **members: check(ask(house, operation, secure=secure, **members).document),
    )


def test_pages_and_pictures_are_what_a_store_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("S3AL_PASSPHRASE", script.PASSPHRASE)
    with open_house(tmp_path / "daily") as daily, open_house(tmp_path / "other", root_key="passphrase:") as other:
        made = script.make(store_of(daily, secure=True), store_of(other, secure=False))
    assert script.stale(made) == []


def test_a_page_that_says_something_else_is_stale(tmp_path, monkeypatch):
    pages = tmp_path / "pages"
    (pages / "pictures").mkdir(parents=True)
    (pages / "pictures" / "old.svg").write_text("<svg/>")
    (pages / "pictures" / "key.svg").write_text("<svg>made 2026-01-01 of 0123456789ab</svg>")
    (pages / "a.md").write_text("words\n<!-- generated: x -->\nold\n<!-- end -->\n")
    monkeypatch.setattr(script, "PAGES", pages)
    made = script.Made({"key.svg": "<svg>made 2027-02-02 of ba9876543210</svg>"}, {"x": "new"})
    assert script.stale(made) == ["old.svg", "a.md"]
    (pages / "pictures" / "old.svg").unlink()
    script.write(made)
    assert script.stale(made) == []
