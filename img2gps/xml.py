"""XML of other programs (GPX, KML): any encoding, any prefix of a namespace, and nothing that could swell."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from img2gps.errors import UsageError
from img2gps.text import safe_text

__all__ = ["child", "children", "local_name", "parse_xml", "text_in"]

_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


def parse_xml(content: bytes | str, *, where: str, kind: str) -> Element:
    """Return the root of an XML document; `kind` is what it should be (``GPX``). Raises UsageError.

    A document type is refused: an entity can expand to gigabytes, and no format read here needs one.
    """
    try:
        text = content if isinstance(content, str) else _decoded(content)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise UsageError(f"{where} declares a document type, which {kind} never needs: export it again.")
        return ElementTree.fromstring(_DECLARATION.sub("", text.lstrip("\ufeff"), count=1).lstrip())  # noqa: S314  without a document type there are no entities
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        reason = safe_text(str(error), limit=120)
        raise UsageError(f"{where} is not {kind} that can be read ({reason}): export it again.") from error


def _decoded(content: bytes) -> str:
    """Return the text of an XML document by its byte order mark, else by its declaration, else as UTF-8."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    if content[:4] in (b"<\0?\0", b"<\0g\0", b"<\0k\0"):
        return content.decode("utf-16-le")
    if content[:4] in (b"\0<\0?", b"\0<\0g", b"\0<\0k"):
        return content.decode("utf-16-be")
    if content[:3] == b"\xef\xbb\xbf":
        return content.decode("utf-8-sig")
    named = re.match(rb"""\s*<\?xml[^>]*encoding=["']([A-Za-z0-9._-]+)["']""", content[:200])
    return content.decode(named.group(1).decode("ascii") if named else "utf-8")


def local_name(element: Element) -> str:
    """Return the name of an element without its namespace or prefix."""
    return str(element.tag).rpartition("}")[2].rpartition(":")[2]


def children(element: Element, *names: str) -> Iterator[Element]:
    """Yield the direct children of these names, in order."""
    for inner in element:
        if local_name(inner) in names:
            yield inner


def child(element: Element, name: str) -> Element | None:
    """Return the first direct child of a name."""
    return next(children(element, name), None)


def text_in(element: Element, name: str) -> str:
    """Return the text of the first direct child of a name, "" where there is none."""
    found = child(element, name)
    return ((found.text or "") if found is not None else "").strip()
