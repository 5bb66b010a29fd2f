"""The drawing of the plan shows the plan: its boxes are the values that the page prints, each in its place.

What the page prints is tested by running it. Where the plan has changed, change the page first, then the drawing.
"""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "explanation"
PAGE, DRAWING = FOLDER / "plan.md", FOLDER / "plan.svg"

LEFT, CALL = 76, 40  # x of call 0, width of a call
BOTTOM, BYTE = 388, 0.112  # y of byte 0, height of a byte

VALUE = re.compile(r"^(\S.*?) +bytes +(\d+) to +(\d+), calls +(\d+) to +(\d+)$", re.MULTILINE)
CALL_LINE = re.compile(r"^ ?\d+ (\w+)\.(?:forward|backward) ", re.MULTILINE)


def expected(page: str) -> tuple[list[str], dict[str, list[float]]]:
    """What the page says: the calls' ops, and for each value's caption the x, y, width and height of its box."""
    ops, boxes = CALL_LINE.findall(page), {}
    for name, *numbers in VALUE.findall(page):
        start, end, first, last = map(int, numbers)
        columns = min(last, len(ops) - 1) - first + 1
        caption = f"{name}: bytes {start} to {end}, calls {first} to {last}"
        boxes[caption] = [LEFT + CALL * first, BOTTOM - BYTE * end, CALL * columns, BYTE * (end - start)]
    return ops, boxes


def drawn(svg: str) -> tuple[list[str], dict[str, list[float]]]:
    """The same as the drawing has it."""
    space = {"svg": "http://www.w3.org/2000/svg"}
    picture = ElementTree.fromstring(svg)
    ops = [text.text or "" for text in picture.findall("svg:text[@transform]", space)]
    boxes = {
        box.findtext("svg:title", "", space): [float(box.attrib[side]) for side in ("x", "y", "width", "height")]
        for box in picture.findall("svg:rect", space)
    }
    return ops, boxes


def differences(page: str, svg: str) -> list[str]:
    (ops, boxes), (drawn_ops, drawn_boxes) = expected(page), drawn(svg)
    found = [] if ops == drawn_ops else [f"calls: expected {ops}, drawn {drawn_ops}"]
    for caption in boxes | drawn_boxes:
        box, drawn_box = boxes.get(caption), drawn_boxes.get(caption)
        if drawn_box != pytest.approx(box, abs=0.01):
            found.append(f"{caption}: expected x, y, width, height {box}, drawn {drawn_box}")
    return found


def test_the_drawing_shows_the_plan() -> None:
    page, svg = PAGE.read_text(encoding="utf-8"), DRAWING.read_text(encoding="utf-8")
    assert VALUE.search(page)
    assert not differences(page, svg)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bytes  512 to 1024, calls  1 to 14", "bytes  512 to 1024, calls  1 to 15"),  # lives longer
        ("bytes  512 to 1024, calls  1 to 14", "bytes 3072 to 3584, calls  1 to 14"),  # lies elsewhere
        ("grad fc1.linear.out ", "grad fc1.relu2.out "),  # a value less
        ("17 linear.backward ", "17 relu2.backward "),  # another op
        ("17 linear.backward ", ""),  # a call less
    ],
)
def test_another_plan_is_noticed(old: str, new: str) -> None:
    page, svg = PAGE.read_text(encoding="utf-8"), DRAWING.read_text(encoding="utf-8")
    assert old in page
    assert differences(page.replace(old, new), svg)
