"""The model card of an export: what it is, how to use it, whose weights it holds and what it gives away."""

from collections.abc import Mapping, Sequence
from typing import Any

from img2gps.basemap.features import Basemap
from img2gps.text import safe_text
from train.runs.remarks import TELLS_NO_STRANGERS, familiarity_sentence

__all__ = ["card"]


def card(values: Mapping[str, Any], notes: Sequence[str], *, basemap: Basemap | None = None) -> str:
    """Return README.md of an export as Markdown, from its model.json, the sentences that export told, and its map."""
    weights, parity, run = values["weights"], values["parity"], values["run"]
    pixels = values["pixels"]
    site = safe_text(values["site"]) or "its site"
    lines = [
        f"# {safe_text(run['name'])}",
        "",
        f"Tells where on {site} a photo was taken, without torch.",
        "",
        "| | |",
        "|---|---|",
        f"| preset | {safe_text(values['preset'])} |",
        f"| model | {safe_text(values['model'])} |",
        f"| first weights | {safe_text(weights['from'])}: {safe_text(weights['source'])} |",
        f"| licence of the first weights | {safe_text(weights['licence'])} |",
        f"| input | {pixels['width']} x {pixels['height']} px, {pixels['fit']}; {_photos_at_once(values['batch'])} |",
        f"| graph | ONNX, opset {values['opset']}{', weights of 16 bits' if values['half'] else ''} |",
        f"| against the run | {parity['worst_m']:.3f} m at most, on {parity['photos']} photos ({parity['of']}) |",
        *_figures(values["figures"]),
        *_map(basemap),
        f"| fingerprint of the run | {run['fingerprint']} |",
        "",
        "## Use",
        "",
        "    pip install 'img2gps[runtime]'",
        "",
        "    from img2gps.runtime import Locator",
        '    answer = Locator("FOLDER").locate("photo.jpg")',
        "    print(answer.lat, answer.lon, answer.radius_90_m, answer.familiarity)",
        "",
        "## What it gives away",
        "",
        *(f"- {safe_text(note)}" for note in notes),
        *_cells(values),
        "",
        "## Limits",
        "",
        "- It knows this site only: a photo from anywhere else is placed on the site all the same.",
        "- Figures hold for photos like those they were measured on; other days, light and phones are harder.",
        f"- {_strangers(values)}",
    ]
    return "\n".join(lines) + "\n"


def _map(basemap: Basemap | None) -> list[str]:
    if basemap is None:
        return []
    licence = f", {safe_text(basemap.licence)}" if basemap.licence else ""
    return [f"| map of the site | {safe_text(basemap.credit)}{licence} |"]


def _photos_at_once(batch: int | None) -> str:
    return "any number of photos at once" if batch is None else f"{batch} at once"


def _figures(figures: Mapping[str, Any] | None) -> list[str]:
    if figures is None:
        return ["| errors | not measured |"]
    lines = [f"| errors ({figures['split']}) | RMSE {figures['rmse_m']:.1f} m, median {figures['median_m']:.1f} m |"]
    if isinstance(whole := figures.get("whole"), Mapping):
        lines.append(f"| of the whole model | RMSE {whole['rmse_m']:.1f} m, median {whole['median_m']:.1f} m |")
    return lines


def _cells(values: Mapping[str, Any]) -> list[str]:
    if values["cells"] is None:
        return []
    if values["gallery"] is not None and values["gallery"]["round_m"]:
        return ["- Its cells lie within metres of where training photos were taken."]
    return ["- Its cells stand for the mean position of the training photos in each: `--round-m` moves them."]


def _strangers(values: Mapping[str, Any]) -> str:
    if not values["familiarity"]["held_out"]:
        return TELLS_NO_STRANGERS
    return familiarity_sentence(values["familiarity"]["power"])
