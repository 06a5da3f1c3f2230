"""One self-contained HTML page: no request to any network, and a policy in the page that refuses one.

The page's one style and one script are inline and named by their SHA-256 in its Content-Security-Policy (W3C CSP Level
3, section 2.3.1). So nothing that a file name smuggles in can run, even if escaping had a hole.
"""

import base64
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup, escape

from img2gps import __version__
from img2gps.text import format_count

__all__ = ["MAP_SCRIPTS", "NARROW", "as_metres", "as_percent", "embed_json", "render_page", "with_code"]

_FOLDER: Final = Path(__file__).parent
_KILOMETRES_FROM_M: Final = 10_000.0

NARROW: Final = "\u202f"
"""The space between a number and its unit: narrow, and no line breaks at it (SI brochure, 5.4.3)."""

MAP_SCRIPTS: Final = ("palette.js", "view.js", "ground.js", "layers.js", "dots.js", "facets.js", "facts.js", "atlas.js")
"""The shared scripts behind a page with a map, in the order they are joined in."""


def render_page(
    template: Path,
    *,
    title: str,
    scripts: Sequence[str] = (),
    data: Mapping[str, Any] | None = None,
    **context: Any,
) -> str:
    """Return the page that `template` (a jinja2 file that extends ``base.j2``) makes of `context`.

    `scripts` are file names, found beside the template or in this package, and joined in order into one module. `data`
    becomes the JSON that they read with ``JSON.parse`` from the element ``#data``. Values in `context` are escaped by
    jinja2; text from files must have passed `img2gps.text.safe_text` before. Raises ValueError where `data` holds NaN
    or infinity, jinja2.UndefinedError where the template misses a value.
    """
    style = "\n".join(
        (_FOLDER / name).read_text(encoding="utf-8") for name in ("ground.css", "report.css", "atlas.css")
    )
    script = "\n".join(_find(name, template.parent).read_text(encoding="utf-8") for name in scripts)
    return (
        _environment(template.parent)
        .get_template(template.name)
        .render(
            title=title,
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own files
            data=None if data is None else embed_json(data),
            policy=_policy(style, script),
            made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            version=__version__,
            **context,
        )
    )


def embed_json(value: object) -> Markup:
    """Return JSON that is safe inside a script element: without ``<``, ``>`` and ``&``, in ASCII."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 - nothing in it can end the element


def with_code(text: str) -> Markup:
    """Return text with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped


def as_metres(value: float | None, digits: int = 1) -> str:
    """Return ``12.3 m`` (``12.3 km`` from 10 km on), or an en dash where there is no value."""
    if value is None or math.isnan(value):
        return "–"
    far = abs(value) >= _KILOMETRES_FROM_M
    return (f"{value / 1000:,.1f} km" if far else f"{value:,.{digits}f} m").replace("-", "−")


def as_percent(value: float | None) -> str:
    """Return ``61 %``, or an en dash where there is no value; a share that is not all and not nothing says so."""
    if value is None or math.isnan(value):
        return "–"
    if 0 < value < 0.005:
        return "< 1 %"
    if 0.995 <= value < 1:
        return "> 99 %"
    return f"{100 * value:.0f} %"


def _find(name: str, folder: Path) -> Path:
    return folder / name if (folder / name).is_file() else _FOLDER / name


@cache
def _environment(folder: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _FOLDER]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"metres": _unbroken(as_metres), "percent": _unbroken(as_percent)}
    environment.filters |= {"counted": format_count, "number": _number, "code": _with_code}
    return environment


def _unbroken(write: Callable[..., str]) -> Callable[..., str]:
    """Return `write` with a space before the unit at which no line breaks."""
    return lambda *given: write(*given).replace(" ", NARROW)


def _with_code(text: str) -> Markup:
    """Return escaped text in which what stands between backticks is set as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just before


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:z,.{digits}f}".replace("-", "−")


def _policy(style: str, script: str) -> str:
    sources = ["default-src 'none'", "img-src data:", f"style-src {_source(style)}"]
    if script:
        sources.append(f"script-src {_source(script)}")
    return "; ".join([*sources, "base-uri 'none'", "form-action 'none'"])


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
