"""The page: one HTML file, one style, one script, made of the pages' shared parts and the site's map."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from img2gps.report.page import embed_json
from img2gps.report.shapes import decimetres
from img2gps.serving.backend import ServedModel
from img2gps.text import safe_text

__all__ = ["CONTENT_TYPES", "page_files"]

_FOLDER: Final = Path(__file__).parent
_SHARED: Final = _FOLDER.parent / "report"
_STYLES: Final = (_SHARED / "ground.css", _SHARED / "report.css", _SHARED / "atlas.css", _FOLDER / "page.css")
_MAP: Final = tuple(_SHARED / name for name in ("palette.js", "view.js", "ground.js", "layers.js"))

_KEPT: Final = "Photos are read, answered and not kept."
CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


def page_files(
    model: ServedModel,
    *,
    abstain_m: float | None,
    engine: str,
    more: Mapping[str, Any],
    head: str = "",
    kept: str = _KEPT,
) -> dict[str, tuple[str, bytes]]:
    """Return the content type and the bytes of each file of the page.

    `engine` is the script that answers: by asking the service, or by computing in the browser. `more` goes beside
    what the page reads of the model, `head` (HTML) into its head; `kept` says what becomes of photos. Raises
    ValueError where a number is not finite.
    """
    data = {**_page_data(model, abstain_m=abstain_m), **more}
    template = (_FOLDER / "page.html").read_text(encoding="utf-8")
    html = template.replace("{{head}}", head).replace("{{kept}}", kept).replace("{{data}}", str(embed_json(data)))
    script = "\n".join(path.read_text(encoding="utf-8") for path in (*_MAP, _FOLDER / engine, _FOLDER / "page.js"))
    style = "\n".join(path.read_text(encoding="utf-8") for path in _STYLES)
    icon = (_FOLDER / "icon.svg").read_text(encoding="utf-8")
    texts = {"index.html": html, "page.css": style, "page.js": script, "icon.svg": icon}
    return {name: (CONTENT_TYPES[Path(name).suffix], text.encode()) for name, text in texts.items()}


def _page_data(model: ServedModel, *, abstain_m: float | None) -> dict[str, Any]:
    cells = None
    if model.cells is not None and model.cell_m is not None:
        corners = (model.cells // model.cell_m) * model.cell_m
        cells = {
            "size": round(10 * model.cell_m),
            "east": decimetres(corners[:, 0]),
            "north": decimetres(corners[:, 1]),
        }
    return {
        "site": {"buildings": [], "paths": [], **model.ground},
        "siteName": safe_text(model.site, limit=80),
        "modelName": safe_text(model.name, limit=80),
        "origin": [model.frame.origin_lon, model.frame.origin_lat],
        "cells": cells,
        "walks": model.locates_walks,
        "tellsStrangers": model.tells_strangers,
        "unsureBeyond": abstain_m,
    }
