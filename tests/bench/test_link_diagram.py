"""The reliability diagram: a well-formed picture with a mark a tenth, at the height of what was true."""

from xml.etree import ElementTree as ET

from bench.link_diagram import diagram

SVG = "{http://www.w3.org/2000/svg}"


def test_each_tenth_with_pairs_has_a_mark_where_it_belongs() -> None:
    pairs = [(0.25, 0), (0.25, 1), (0.95, 1), (0.95, 1), (None, 1)]
    root = ET.fromstring(diagram(pairs))
    marks = [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in root.iter(f"{SVG}circle")]
    assert len(marks) == 2
    (low, half), (high, all_linked) = marks
    frame = list(root.iter(f"{SVG}rect"))[1].attrib
    left, top, side = (float(frame[name]) for name in ("x", "y", "width"))
    assert ((low - left) / side, (high - left) / side) == (0.25, 0.95)
    assert (half - top) / side == 0.5
    assert all_linked == top
    assert "4 pairs" in (root.findtext(f"{SVG}title") or "")
