"""The page without a server: its files over an exported model, for any host of plain files."""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup, escape
from PIL import Image, ImageDraw

from img2gps.answers import UNFAMILIAR_BELOW
from img2gps.serving.answering import unsure_beyond_m
from img2gps.serving.backend import ServedModel
from img2gps.serving.page import page_files

__all__ = ["ICON_SIDES_PX", "static_page_files"]

_FOLDER: Final = Path(__file__).parent / "phone"
_SCRIPTS: Final = ("worker.js", "resize.js", "regions.js")
ICON_SIDES_PX: Final = (192, 512)
_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'"
)


def static_page_files(model: ServedModel, others: Mapping[str, bytes], *, thumbnails: list[int]) -> dict[str, bytes]:
    """Return the files of the page by their paths, `others` (model, runtime, pictures) among what it keeps offline.

    `thumbnails` are the numbers of the training photos whose pictures are there.
    """
    more: dict[str, Any] = {"thumbnails": thumbnails, "unfamiliarBelow": UNFAMILIAR_BELOW, "walks": False}
    head = Markup(  # noqa: S704  our own text and an escaped one
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        '<link rel="manifest" href="manifest.webmanifest">\n<link rel="apple-touch-icon" href="static/icon-192.png">'
    )
    kept = "Photos stay on this device: the page computes by itself, without a network once it is loaded."
    pages = page_files(
        model, abstain_m=unsure_beyond_m(model), engine="phone/phone.js", more=more, head=str(head), kept=kept
    )
    files = {name if name == "index.html" else f"static/{name}": data for name, (_, data) in pages.items()}
    files |= {f"static/{name}": (_FOLDER / name).read_bytes() for name in _SCRIPTS}
    files |= {f"static/icon-{side}.png": _icon(side) for side in ICON_SIDES_PX}
    files["manifest.webmanifest"] = _manifest(model).encode()
    return files | {"sw.js": _service_worker({**files, **others}).encode()}


def _manifest(model: ServedModel) -> str:
    icons: list[dict[str, str]] = [
        {"src": f"static/icon-{side}.png", "sizes": f"{side}x{side}", "type": "image/png"} for side in ICON_SIDES_PX
    ]
    icons.append({"src": "static/icon.svg", "sizes": "any", "type": "image/svg+xml"})
    values = {
        "name": f"Where on {model.site}?",
        "short_name": "Where?",
        "start_url": "./",
        "display": "standalone",
        "background_color": "#f6f6f3",
        "theme_color": "#0b5fa5",
        "icons": icons,
    }
    return json.dumps(values, indent=1)


def _service_worker(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    template = (_FOLDER / "sw.js").read_text(encoding="utf-8")
    names = json.dumps(["./", *sorted(files)])
    return template.replace("{{files}}", names).replace("{{digest}}", digest.hexdigest()[:16])


def _icon(side: int) -> bytes:
    """Return the page's icon as a PNG: a dot in its two regions."""
    picture = Image.new("RGB", (side, side), "#0b5fa5")
    draw = ImageDraw.Draw(picture)
    for radius, width in ((20, 3), (11, 3)):
        box = [
            side * (32 - radius) / 64,
            side * (32 - radius) / 64,
            side * (32 + radius) / 64,
            side * (32 + radius) / 64,
        ]
        draw.ellipse(box, outline="white", width=max(1, side * width // 64))
    draw.ellipse([side * 27 / 64, side * 27 / 64, side * 37 / 64, side * 37 / 64], fill="white")
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
