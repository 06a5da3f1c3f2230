"""The card of a published model: YAML that the Hub reads, and text for people."""

import re
from collections.abc import Mapping
from typing import Any, Final

from img2gps.hub.yaml_text import yaml_text
from img2gps.text import format_count, safe_text
from train.runs.folder import RunFolder
from train.runs.remarks import TELLS_NO_STRANGERS, evaluations_of, familiarity_sentence

__all__ = ["hub_card"]

_FIGURES: Final = {
    "rmse_m": "RMSE (m)",
    "mean_m": "mean error (m)",
    "median_m": "median error (m)",
    "p90_m": "90th percentile of the error (m)",
}
_TASK: Final = {"type": "image-feature-extraction", "name": "Where on a site a photo was taken"}
_STRANGE: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_UNMEASURED: Final = (
    "No figure on photos that the model never saw: run `img2gps evaluate` on the run, and export again."
)
"""Said where a run has no evaluation."""

Json = Mapping[str, Any]


def hub_card(
    run: RunFolder, values: Json, license_word: str, *, photos: int, gallery: int, fold: int | None
) -> tuple[str, tuple[str, ...]]:
    """Return README.md and what to know of it in sentences.

    `values` are those of config.json, `photos` the rows of photos.parquet, `gallery` the photos that are compared.
    """
    documents = [] if fold is not None else _documents(run)
    notes = (_given_away(gallery), *(() if documents else (_UNMEASURED,)))
    results = [_result(document) for document in documents] or _of_training(values)
    header: dict[str, Any] = {
        "license": license_word,
        "library_name": "img2gps",
        "tags": ["geospatial", "geolocation", "image", "img2gps"],
    }
    if results:
        header["model-index"] = [{"name": safe_text(values["run"]["name"]), "results": results}]
    lines = [
        f"---\n{yaml_text(header)}---",
        f"# {safe_text(values['run']['name'])}",
        f"Tells where on {safe_text(values['site']) or 'its site'} a photo was taken.",
        _table(values),
        f"## Figures\n\n{_figures(documents, values)}",
        "## Use\n\nThe folder is a run. Load it (`hf download OWNER/NAME --local-dir RUN`), then:\n\n"
        "    img2gps predict RUN PHOTOS\n    img2gps serve RUN\n    img2gps evaluate RUN --on DATASET",
        f"## Photos that it must not be scored on\n\n{_unscored(photos)}",
        f"## What it gives away\n\n{notes[0]}",
        f"## Limits\n\n{_limits(values)}",
    ]
    return "\n\n".join(lines) + "\n", notes


def _documents(run: RunFolder) -> list[Json]:
    """Return the newest evaluation of each dataset and split that is no split of training, in order of names."""
    found = {}
    for document in reversed(evaluations_of(run)):
        if document.get("run") == run.root.resolve().name and document.get("split") != "train":
            found[str(document.get("dataset")), str(document.get("split"))] = document
    return [found[name] for name in sorted(found)]


def _result(document: Json) -> dict[str, Any]:
    intervals = document.get("intervals") or {}
    metrics = []
    for key, name in _FIGURES.items():
        bounds = intervals.get(key)
        spread = f", 95 % interval {bounds[0]:.2f} to {bounds[1]:.2f}" if bounds else ", too few groups for an interval"
        metric: dict[str, Any] = {"type": key, "value": round(float(document[key]), 4), "name": f"{name}{spread}"}
        if bounds:
            metric["args"] = {"interval_95": [round(float(bound), 4) for bound in bounds]}
        metrics.append(metric)
    name, split = safe_text(str(document["dataset"])), safe_text(str(document["split"]))
    dataset = {"type": _STRANGE.sub("-", name), "name": f"{name}, {split}", "split": split}
    return {"task": dict(_TASK), "dataset": dataset, "metrics": metrics}


def _of_training(values: Json) -> list[dict[str, Any]]:
    """Return the figures that training measured on the validation photos: without intervals, and named so."""
    figures = values["figures"]
    if figures is None:
        return []
    metrics = [
        {"type": key, "value": round(float(figures[key]), 4), "name": f"{name}, on photos that the training used"}
        for key, name in _FIGURES.items()
        if figures.get(key) is not None
    ]
    dataset = {"type": "validation", "name": "validation photos of the training", "split": "val"}
    return [{"task": dict(_TASK), "dataset": dataset, "metrics": metrics}]


def _table(values: Json) -> str:
    weights, pixels, run = values["weights"], values["pixels"], values["run"]
    rows = {
        "preset": values["preset"],
        "model": values["model"],
        "first weights": f"{weights['from']}: {weights['source']}",
        "licence of the first weights": weights["licence"],
        "input": f"{pixels['width']} x {pixels['height']} px, {pixels['fit']}",
        "fingerprint of the run": run["fingerprint"],
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {safe_text(str(text))} |" for name, text in rows.items())])


def _figures(documents: list[Json], values: Json) -> str:
    if not documents:
        known = values["figures"]
        said = f" On the validation photos of its training: RMSE {known['rmse_m']:.1f} m." if known else ""
        return f"{_UNMEASURED}{said}"
    head = ["| dataset | split | photos | figure | value | 95 % interval |", "|---|---|---|---|---|---|"]
    rows = []
    for document in documents:
        where = " | ".join(safe_text(str(document[key])) for key in ("dataset", "split", "photos"))
        for key, name in _FIGURES.items():
            bounds = (document.get("intervals") or {}).get(key)
            spread = f"{bounds[0]:.1f} to {bounds[1]:.1f}" if bounds else "too few groups"
            rows.append(f"| {where} | {name} | {document[key]:.1f} | {spread} |")
    return "\n".join([*head, *rows])


def _unscored(photos: int) -> str:
    return (
        f"`photos.parquet` lists {format_count(photos, 'photo')} that it learned from or was calibrated on. It has the "
        "SHA-256 of the original (`id`) and of the working copy (`photo_sha256`), and a perceptual hash (`phash`). "
        "`img2gps evaluate RUN --on DATASET` leaves them out by each of these, and counts them."
    )


def _given_away(gallery: int) -> str:
    if gallery:
        return (
            "It compares photos: it holds where "
            f"{format_count(gallery, 'training photo was', 'training photos were')} taken, exactly as in the "
            "dataset it was trained on, and their features."
        )
    return (
        "It compares no photos: of single training photos it holds hashes alone. The positions in photos.parquet are "
        "the mean position, so references of `evaluate` that need single ones say nothing."
    )


def _limits(values: Json) -> str:
    held_out = values.get("tells_strangers")
    strangers = familiarity_sentence(values.get("familiarity_power")) if held_out else TELLS_NO_STRANGERS
    lines = (
        "It knows this site only: a photo from anywhere else is placed on the site all the same.",
        "Figures hold for photos like those they were measured on; other days, light and phones are harder.",
        strangers,
    )
    return "\n".join(f"- {line}" for line in lines)
