"""A page as elements and text, and what it may hold."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta"}
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav"),
    *("section", "article", "div", "h1", "h2", "h3", "p", "span", "bdi", "a", "ul", "li"),
    *("dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption"),
    *("details", "summary", "pre", "code"),
    *("svg", "g", "path", "use", "text", "defs", "clippath", "rect"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "scope"),
    *("style", "data-label", "aria-label", "role", "viewbox", "stroke-linejoin", "clip-path"),
    *("stroke-linecap", "d", "x", "y", "width", "height", "transform"),
}


class Reader(HTMLParser):
    """Elements with their attributes, text, and whether every element is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.others: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    handle_pi = unknown_decl = handle_comment

    def structure(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]


def assert_harmless(read: Reader) -> None:
    assert read.open == []
    assert read.others == []
    assert {tag for tag, _ in read.elements} <= ELEMENTS
    for tag, attributes in read.elements:
        assert set(attributes) <= ATTRIBUTES, (tag, attributes)
        for name, value in attributes.items():
            if name == "href":
                assert (value or "").startswith("#")
            if name in {"style", "clip-path"}:
                assert all(to.startswith("#") for to in re.findall(r"url\((.?)", value or ""))
    assert [a for t, a in read.elements if t == "meta" and "http-equiv" in a] == [
        {
            "http-equiv": "Content-Security-Policy",
            "content": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        }
    ]


def words(page: str) -> str:
    return " ".join(" ".join(Reader(page).text).split())
