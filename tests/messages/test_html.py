"""Visible text and URLs of HTML: against a real tree builder on real mail, and on what hides text."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from whimbrel.messages.html import MAX_URLS, _read_plainly, _read_styled, visible_text
from whimbrel.messages.tags import _ATTRIBUTES, _KNOWN, _TAGS, split_tags
from whimbrel.messages.visibility import may_hide
from whimbrel.model.facts import Defect

HIDDEN = (Defect("hidden text", "html"),)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>V<b>ia</b>gra</p><p>now</p>", "Viagra\nnow"),
        ("a<br>b<td>c", "a\nb\nc"),
        ("a <!-- x > y --> b", "a b"),
        ("V<!-- x -->iagra", "Viagra"),
        ("<title>t</title><style>p{}</style><script>if (a<b) x='</p>'</script>seen", "seen"),
        ("<script>never closed", ""),
        ("x &lt;b&gt; &amp;amp; &#65;&#x42; &nbsp;y", "x <b> &amp; AB y"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("a < b and c<3", "a < b and c<3"),
        ("<a title='>'>x</a><b y=\">\">z</b>", "xz"),
        ('<p =">x', "x"),
        ("a\n  b\t c", "a b c"),
        ("cut<b", "cut"),
        ("&#" + "9" * 5_000 + ";x", "\ufffd;x"),
    ],
)
def test_visible(html: str, text: str) -> None:
    assert visible_text(html).text == text
    assert not visible_text(html).defects


@pytest.mark.parametrize(
    "hiding",
    [
        "<div style='display:none'>{}</div>",
        '<span style="color:red; DISPLAY : NONE !important">{}</span>',
        "<p style='visibility: hidden'>{}</p>",
        "<font style=font-size:0>{}</font>",
        "<span style='font-size:1px'>{}</span>",
        "<span style='font-size:0.0em;color:red'>{}</span>",
        "<div hidden>{}</div>",
        "<div style='mso-hide:all'>{}</div>",
        "<div style='opacity:0'>{}</div>",
        "<div style='display:none'><div>{}</div>{}</div>",
        "<div style='display:none'><b style='color:red'>{}</b></div>",
        "<div style='display:none'><div style='color:red'>{}</div>{}</div>",
        "<table bgcolor=#FFFFFF><td><font color=white>{}</font></table>",
        "<table bgcolor=#fff><tr><td><font color='#FEFFFE'>{}</font></td></table>",
        "<div style='background-color: rgb(0, 0, 0)'><span style='color:black'>{}</span></div>",
        "<p hidden>{}<p>",
        "<table><tr><td hidden>{}<td>shown</table>",
        "<table><tr hidden><td>{}</table>",
    ],
)
def test_hidden(hiding: str) -> None:
    reading = visible_text("before " + hiding.replace("{}", "secret") + " after")
    assert "secret" not in reading.text
    assert reading.text.startswith("before")
    assert reading.text.endswith("after")
    assert reading.defects == HIDDEN


@pytest.mark.parametrize(
    "shown",
    [
        "<span style='font-size:10px'>x</span>",
        "<span style='font-size:0.9em'>x</span>",
        "<span style='font-size:1em'>x</span>",
        "<span style='font-size:1.5px'>x</span>",
        "<div style='opacity:0.5'>x</div>",
        "<td bgcolor=white><font color=black>x</font></td>",
        "<table bgcolor=white><td bgcolor=black><font color=white>x</font></table>",
        "<img style='display:none'>x",
        "<div style='overflow:hidden'>x</div>",
        "<table><td><table><td hidden></table></td><td>x</td></table>",
    ],
)
def test_not_hidden(shown: str) -> None:
    reading = visible_text(shown)
    assert reading.text == "x"
    assert not reading.defects


def test_urls() -> None:
    html = (
        "<base href='http://example.com/d/'><a HREF=x>1</a><a href=\"http://a.com/?a=1&amp;b=2\">2</a><a href='ma\nilto'>"  # noqa: E501
        "<img src=//i.com/1.gif><body background='http://b.com/'><form action=http://f.com/go>"
        "<script src=http://s.com/></script><meta http-equiv=refresh content='0; URL=http://m.com/'><b href=''>"
    )
    assert visible_text(html).urls == (
        ("http://example.com/d/", "href"),
        ("http://example.com/d/x", "href"),
        ("http://a.com/?a=1&b=2", "href"),
        ("http://example.com/d/ma\nilto", "href"),
        ("//i.com/1.gif", "src"),
        ("http://b.com/", "src"),
        ("http://f.com/go", "form"),
        ("http://s.com/", "src"),
        ("http://m.com/", "href"),
    )


def test_too_many_urls() -> None:
    reading = visible_text("<a href=http://example.com/>" * (MAX_URLS + 1))
    assert len(reading.urls) == MAX_URLS
    assert reading.defects == (Defect("too many urls", "html"),)


# Each is quadratic somewhere: in trees, in backtracking, or where an unclosed thing is looked for again and again.
SHAPES: dict[str, Callable[[int], str]] = {
    "formatting": lambda n: "".join(f"<b {index}>" for index in range(n)) + "x</b>" * n,
    "attributes": lambda n: "<a " + " ".join(f"a{index}=1" for index in range(n)) + ">",
    "depth": lambda n: "<div style='color:red'><div>" * n + "x" + "</div>" * n,
    "unclosed tags": lambda n: "<a " * n,
    "unclosed quotes": lambda n: '<a x="' * n,
    "unclosed comments": lambda n: "<!--" * n,
    "unclosed raw": lambda n: "<script>" * n + "<style>" * n,
    "equals": lambda n: "<a " + "= " * n,
    "style": lambda n: "<p style='" + "color : " * n + "'>x",
    "cells": lambda n: "<table><td hidden>" * n,
    "references": lambda n: "&#" * n + "9" * n,
    "base": lambda n: "<base href=" + "a" * n + "><a href=b>" * n,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_nasty_shapes_are_read_to_their_end(shape: str) -> None:
    reading = visible_text("begin " + SHAPES[shape](3_000))
    assert reading.text.startswith("begin")


MUTATIONS = 1_000
NASTY = [
    *(
        "<",
        ">",
        "</",
        "<p",
        "<td",
        "<table>",
        "</table>",
        "<script",
        "</script>",
        "<!--",
        "-->",
        "-",
        "=",
        '"',
        "'",
        " ",
    ),
    *("hidden", "/", " style='display:none'", " color=red", " bgcolor=red", " href=x", "x", "&#", "&", ";", "\0"),
    *("\udc80", "<plaintext>", "<base href=y>", "<title>", "</TITLE", '="', "='", "<STYLE ", "\xa0", "\u017f"),
]
PIECES = st.sampled_from(NASTY)


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_never_raises(html: str) -> None:
    visible_text(html)


def _check_plain_and_styled(html: str) -> None:
    texts, tags = split_tags(html.replace("\0", ""))
    if not may_hide(set(tags)):
        assert _read_styled(texts, tags) == (_read_plainly(texts, tags), False)


@given(st.lists(PIECES).map("".join))
def test_plain_reading_is_the_styled_one_where_nothing_can_hide(html: str) -> None:
    _check_plain_and_styled(html)


# The grammar of `tags` without its quick ways: what a tag is, letter by letter.
CLEAR = re.compile(
    rf"""<(?:((?ai:script|style|title|noembed|noframes))(?=[\s/>]){_ATTRIBUTES}(?:>|\Z)"""
    r""".*?(?:(?ai:</\1)(?=[\s/>])[^>]*+(?:>|\Z)|\Z)"""
    rf"""|/?[a-zA-Z][^\s/>]*+{_ATTRIBUTES}(?:>|\Z)"""
    r"""|!--(?:-?>|.*?(?:--!?>|\Z))|[!?/][^>]*+(?:>|\Z))""",
    re.DOTALL,
)


def _check_tags(html: str) -> None:
    assert _TAGS.split(html)[1::3] == [match[0] for match in CLEAR.finditer(html)]


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_the_quick_grammar_is_the_clear_one(html: str) -> None:
    _check_tags(html)


@pytest.fixture(scope="module")
def real_parts(shipped_mail: Path) -> list[str]:
    parts = []
    for path in sorted(path for path in shipped_mail.rglob("*") if path.is_file()):
        text = path.read_text("latin-1")
        at = text.lower().find("<html")
        if at >= 0:
            parts.append(text[at:])
    assert len(parts) > 500
    return parts


def test_twins_agree_on_real_parts(real_parts: list[str]) -> None:
    for part in real_parts:
        _check_tags(part)
        _check_plain_and_styled(part)


def test_twins_agree_on_mutated_parts(real_parts: list[str]) -> None:
    rng = random.Random(1)
    small = [part for part in real_parts if len(part) < 8_192]
    for _ in range(MUTATIONS):
        html = rng.choice(small)
        for _ in range(rng.randint(1, 8)):
            at = rng.randrange(len(html) + 1)
            html = html[:at] + rng.choice(NASTY) * rng.randint(0, 2) + html[at + rng.choice((0, 0, 1, 20)) :]
        _check_tags(html)
        _check_plain_and_styled(html)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def _by_tree(html: str) -> str:
    apart = re.sub(r"(?i)<(?=/?(?:p|div|br|td|th|tr|li|h\d|table|center|hr|ol|ul|option)\b)", "\n<", html)
    tree = LexborHTMLParser(apart)
    tree.strip_tags(["script", "style", "title", "iframe", "noframes", "noembed"])
    return tree.body.text(separator="") if tree.body else ""


def test_agrees_with_a_tree_on_real_mail(shipped_mail: Path) -> None:
    alike = 0
    parts = [
        path.read_text("latin-1").partition("\n\n")[2] for path in sorted((shipped_mail / "spam_2").iterdir())[::4]
    ]
    parts = [part for part in parts if part.lstrip()[:5].lower() == "<html"]
    for part in parts:
        ours = visible_text(part)
        tree = _words(_by_tree(part))
        words = _words(ours.text)
        alike += bool(ours.defects) or len(words & tree) >= 0.95 * len(words | tree)
    assert len(parts) >= 20
    assert alike >= 0.95 * len(parts)


def test_one_text_of_made_up_tags_does_not_put_out_the_tags_of_others() -> None:
    visible_text("<p class=of-others>x")
    visible_text("".join(f"<b {index}>" for index in range(20_000)))
    assert "<p class=of-others>" in _KNOWN
    assert len(_KNOWN) < 20_000
