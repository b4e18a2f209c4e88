"""Pictures and text hold what somebody else named as text, and nothing of it as markup or control."""

from __future__ import annotations

import unicodedata

import pytest
from lxml import etree

from s3al.explain.canvas import PALETTE, wrapped
from s3al.explain.pictures import picture
from s3al.explain.words import lines
from unit.explain.asking import Desk

SVG = "{http://www.w3.org/2000/svg}"
ELEMENTS = {"svg", "title", "desc", "style", "defs", "marker", "path", "rect", "text"}
HOSTILE = "</text><script>alert(1)</script>\u202egnp.\x1b[31m\"'&<!--\u2028]]>"


@pytest.fixture(scope="module")
def documents(world):
    """An object and a key with names that nobody means well by."""
    desk = Desk(world.house)
    desk.kms.update_key_description(KeyId=desk.key, Description='</desc><a href="x">')
    kms = {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": desk.key}
    desk.s3.put_object(Bucket=desk.bucket, Key=HOSTILE, Body=b"x", **kms)
    desk.put("wide", "dsse-kms")
    return {"hostile": desk.explain(HOSTILE), "plain": desk.explain("wide"), "key": desk.explain_key()}


def parsed(document):
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    return etree.fromstring(picture(document).encode(), parser)


@pytest.mark.parametrize("name", ["hostile", "plain", "key"])
def test_a_picture_is_made_of_shapes_and_text_alone(documents, name):
    root = parsed(documents[name])
    assert {element.tag for element in root.iter()} <= {SVG + tag for tag in ELEMENTS}
    for element in root.iter():
        assert not any(attribute.startswith("on") or "href" in attribute for attribute in element.attrib)
    style = root.find(SVG + "style").text
    assert "url(" not in style and "@import" not in style


def test_a_hostile_name_is_shown_as_it_is_written(documents):
    texts = [element.text or "" for element in parsed(documents["hostile"]).iter(SVG + "text", SVG + "title")]
    assert any("<script>alert(1)</script>\\u202egnp.\\x1b[31m" in text for text in texts)
    for text in texts:
        assert all(unicodedata.category(one) not in ("Cc", "Cf", "Zl", "Zp") for one in text)


@pytest.mark.parametrize("name", ["hostile", "key"])
def test_text_is_lines_without_control_characters(documents, name):
    for line in lines(documents[name]):
        assert all(unicodedata.category(one) not in ("Cc", "Cf", "Zl", "Zp") for one in line)


@pytest.mark.parametrize("name", ["plain", "key"])
def test_everything_drawn_lies_on_the_paper(documents, name):
    root = parsed(documents[name])
    width, height = float(root.get("width")), float(root.get("height"))
    for box in root.iter(SVG + "rect"):
        x, y = float(box.get("x", 0)), float(box.get("y", 0))
        assert 0 <= x <= x + float(box.get("width")) <= width
        assert 0 <= y <= y + float(box.get("height")) <= height
    for text in root.iter(SVG + "text"):
        assert 0 < float(text.get("y")) < height


def test_every_class_has_its_colours_on_light_and_on_dark_paper(documents):
    for document in documents.values():
        root = parsed(document)
        light, _, dark = root.find(SVG + "style").text.partition("@media (prefers-color-scheme:dark)")
        for element in root.iter():
            if element.get("class"):
                assert f".{element.get('class')}{{" in light
                assert f".{element.get('class')}{{" in dark
    assert all(len(scheme) == 3 for schemes in PALETTE.values() for scheme in schemes)


def test_boxes_of_one_picture_do_not_cross(documents):
    """One lies within another, or beside it."""
    boxes = []
    for box in list(parsed(documents["plain"]).iter(SVG + "rect"))[1:]:
        x, y = float(box.get("x")), float(box.get("y"))
        boxes.append((x, y, x + float(box.get("width")), y + float(box.get("height"))))
    for number, (a, b, c, d) in enumerate(boxes):
        for e, f, g, h in boxes[number + 1 :]:
            apart = c <= e or g <= a or d <= f or h <= b
            within = (a <= e and b <= f and g <= c and h <= d) or (e <= a and f <= b and c <= g and d <= h)
            assert apart or within


def test_a_long_word_is_cut_in_its_middle_and_no_line_is_too_wide():
    found = wrapped("see arn:aws:kms:us-east-1:111122223333:key/" + "a" * 80 + "-end now", 200)
    assert all(len(line) <= 33 for line in found)
    assert any(line.endswith("-end") for line in found)
