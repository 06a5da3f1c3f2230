"""Tensors of a file into a network: by name, by the names of another project, or in their order."""

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from torch import Tensor, nn

from img2gps.errors import UsageError
from img2gps.text import format_count, join_words, safe_text
from train.models.weights.layouts import translated

__all__ = ["fill", "grouped", "resampled"]

_SHOWN: Final = 4
_CLASSIFIER: Final = 2  # tensors, which some networks keep beside a layer that stays


def fill(model: nn.Module, given: Mapping[str, Tensor], *, where: str) -> list[str]:
    """Load a state dict into a network without classifier, in place, and return the names that found no place in it.

    Positions embedded for another size are resampled. Every name and shape is checked. Raises UsageError, which lists
    what is missing, what is of another shape and what is left over.
    """
    own = model.state_dict()
    fitting, left = dict(given), list[str]()
    if not _fits(own, fitting):
        _, fitting, left = translated(given)
    if not _fits(own, fitting):
        fitting = resampled(model, fitting)
    if not _fits(own, fitting) and (in_order := _in_order(own, fitting)) is not None:
        fitting = in_order
    if not _fits(own, fitting):
        raise UsageError(_sentence(where, own, fitting))
    model.load_state_dict({name: fitting.get(name, tensor) for name, tensor in own.items()})
    return [*(name for name in fitting if name not in own), *left]


def _fits(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> bool:
    return not _misfits(own, found) and len(_strays(own, found)) <= _CLASSIFIER


def _misfits(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """Return the names that are missing or of another shape; counters of batches need not be there."""
    return [
        name
        for name, tensor in own.items()
        if (tensor.is_floating_point() if name not in found else found[name].shape != tensor.shape)
    ]


def _strays(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """Return the names that the network has no place for within its parts, as for those of a deeper one."""
    parts = {name.split(".")[0] for name in own}
    return [name for name in found if name not in own and name.split(".")[0] in parts]


def resampled(model: nn.Module, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as the family of a timm network brings them to its size, where it has a way to."""
    change: Callable[..., Any] | None = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if change is None:
        return dict(found)
    try:
        changed = change(dict(found), model)
    except Exception:  # noqa: BLE001  tensors of another network: what does not fit is listed
        return dict(found)
    return dict(changed)


def _in_order(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Return tensors by the network's names where they are as many, of its kinds and shapes in its order, else None.

    Other projects name the same layers otherwise and keep their order; a classifier (2 tensors) comes last. Kinds
    (weight, bias, running_mean) are compared, for a .safetensors file is sorted by name.
    """
    if not len(own) <= len(found) <= len(own) + _CLASSIFIER:
        return None
    pairs = list(zip(own, found, strict=False))
    kinds = all(name.split(".")[-1] == other.split(".")[-1] for name, other in pairs)
    return {name: found[other] for name, other in pairs} if kinds else None


def _sentence(where: str, own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    misfits = _misfits(own, found)
    missing = [name for name in misfits if name not in found]
    shapes = [
        f"{name} ({_shape(found[name])} instead of {_shape(own[name])})" for name in misfits if name not in missing
    ]
    unknown = [name for name in found if name not in own]
    parts = [
        f"{len(names)} {what}: {_listed(names)}"
        for what, names in (("missing", missing), ("of another shape", shapes), ("unknown", unknown))
        if names
    ]
    return (
        f"{where}: these weights do not fit the model, which has {format_count(len(own), 'tensor')}; they belong to "
        f"another ({'; '.join(parts)})."
    )


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"


def _listed(names: list[str]) -> str:
    shown = [safe_text(name, limit=80) for name in names[:_SHOWN]]
    more = len(names) - len(shown)
    return join_words([*shown, f"{more:,} more"] if more else shown, "and")


def grouped(names: list[str]) -> str:
    """Return names of tensors in words, those of one part together: ``aggregator (12 tensors) and mask_token``."""
    parts = Counter(name.split(".")[0] for name in names)
    words = [safe_text(part if count == 1 else f"{part} ({count} tensors)", limit=80) for part, count in parts.items()]
    return _listed(words)
