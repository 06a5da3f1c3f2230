"""A model that gives less away: fewer heads, coarser positions."""

import dataclasses
from typing import Any

from img2gps.errors import UsageError
from img2gps.text import safe_text
from train.exporting.options import ExportOptions
from train.models.familiarity import Familiarity
from train.models.probe.heads.ensemble import Ensemble, head_names
from train.models.probe.heads.neighbours import Neighbours
from train.models.probe.model import ProbeLocalizer
from train.models.walks import WalkSmoother

__all__ = ["changed_model"]


def changed_model(localizer: ProbeLocalizer, options: ExportOptions) -> ProbeLocalizer:
    """Return the model with the heads and the coarseness of `options`, the very one where these change nothing.

    Raises UsageError for heads that it does not have.
    """
    names = list(localizer.ensemble.heads) if options.heads is None else head_names(options.heads)
    missing = [name for name in names if name not in localizer.ensemble.heads]
    if missing:
        raise UsageError(f"The run has no head {safe_text(missing[0])}: it has {', '.join(localizer.ensemble.heads)}.")
    if names == list(localizer.ensemble.heads) and not options.round_m:
        return localizer
    cells = localizer.ensemble.cells.middles if options.round_m else localizer.ensemble.cells
    heads: dict[str, Any] = {name: localizer.ensemble.heads[name] for name in names}
    for name, head in heads.items():
        heads[name] = dataclasses.replace(head, cells=cells) if hasattr(head, "cells") else head
    if options.round_m and isinstance(heads.get("neighbours"), Neighbours):
        coarse = (heads["neighbours"].xy / options.round_m).round() * options.round_m
        heads["neighbours"] = dataclasses.replace(heads["neighbours"], xy=coarse)
    ensemble = Ensemble(
        descriptor_model=localizer.ensemble.descriptor_model,
        heads=heads,
        cells=cells,
        prior=localizer.ensemble.prior,
        exponent=localizer.ensemble.exponent if len(heads) > 1 else 1.0,
    )
    compares = "neighbours" in heads
    familiarity = localizer.familiarity if compares else Familiarity(held_out=localizer.familiarity.held_out[:0])
    return dataclasses.replace(
        localizer,
        ensemble=ensemble,
        familiarity=familiarity,
        reliability=localizer.reliability if compares else None,
        walk_smoother=WalkSmoother.around(cells),
    )
