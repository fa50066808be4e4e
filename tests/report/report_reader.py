"""Reads a report back with an HTML parser."""

from __future__ import annotations

from html.parser import HTMLParser

SECTIONS = {"verdict", "bars", "ranking", "scores", "riskiest", "numbers", "made", "words"}
VOID = {"meta", "br", "image"}


class Page(HTMLParser):
    """Ids, attributes, the text of each element with an id, and tables as rows of cell texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text: dict[str, str] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self._open: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [
            value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "action", "srcset"}
        ]
        if tag not in VOID:
            self._open.append((tag, given.get("id")))
        if given.get("id"):
            self.text[given["id"] or ""] = ""
        if tag == "table":
            self.tables[given["id"] or ""] = []
        if tag == "tr":
            next(reversed(self.tables.values())).append([])
        if tag in {"td", "th"}:
            next(reversed(self.tables.values()))[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for tag, id in self._open:
            if id:
                self.text[id] += data
            if tag in {"td", "th"}:
                next(reversed(self.tables.values()))[-1][-1] += data

    def column(self, table: str, start: str) -> list[str]:
        """Cells of the first column whose heading starts with `start`."""
        head, *rows = self.tables[table]
        place = next(i for i, name in enumerate(head) if name.startswith(start))
        return [row[place] for row in rows]


def sound(text: str) -> Page:
    """Parse a page, asserting what holds for every page: sections, unique ids, nothing from outside."""
    page = Page(text)
    assert set(page.text) >= SECTIONS
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "@import" not in text
    assert "url(http" not in text
    assert "#0102" not in text, "no stand-in colour is left"
    assert "Content-Security-Policy" in text
    return page


def floats(cells: list[str]) -> list[float]:
    return [float(cell.replace("▲ ", "").replace(",", "").replace("−", "-")) for cell in cells]
