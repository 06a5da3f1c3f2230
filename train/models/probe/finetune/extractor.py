"""A backbone whose last stages learn the site, cut in two: what stays as it is need not be computed twice."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from img2gps.errors import UsageError
from img2gps.pixels import PixelSpec
from img2gps.text import safe_text
from train.models.backbones import stage_of
from train.models.probe.features.extractor import BackboneExtractor, pooled_grid

__all__ = ["FinetunedExtractor"]

_TUNED_STAGES: Final = 2
_EMBEDDING: Final = 256


class FinetunedExtractor(BackboneExtractor):
    """A backbone with its last two stages to be trained, and an embedding on top (see `training` beside it).

    Its vectors are its pooled output, its last map averaged to 3 x 2 fields, and the embedding, each of unit length.
    Raises UsageError for a network that cannot be cut between two stages: one of attention, or of branches.
    """

    def __init__(self, name: str, spec: PixelSpec, *, own_statistics: float, scale: float) -> None:
        super().__init__(name, spec, own_statistics=own_statistics, tokens=False)  # tokens cannot be cut in two
        self.scale = scale
        uncut = UsageError(
            f"{safe_text(name)} cannot be cut before its last stages: set tune_epochs to 0, or name a network such as "
            "resnet18 or timm/tf_efficientnet_lite0 last."
        )
        if len(self.stages) <= _TUNED_STAGES:
            raise uncut
        self._cut = list(self.stages)[-1 - _TUNED_STAGES]
        try:
            self.embed = nn.Linear(self._width(), _EMBEDDING)
        except (RuntimeError, AssertionError, IndexError) as error:  # what networks raise on maps they did not expect
            raise uncut from error

    @classmethod
    def of(cls, frozen: BackboneExtractor, *, scale: float) -> "FinetunedExtractor":
        """Return an extractor with the weights of `frozen`; `scale` is the length of the vectors its layers take."""
        backbone_extractor = cls(frozen.name, frozen.spec, own_statistics=frozen.own_statistics, scale=scale)
        backbone_extractor.backbone.load_state_dict(frozen.backbone.state_dict())
        return backbone_extractor.to(memory_format=torch.channels_last).to(frozen.mean.device).eval()

    def trained(self) -> list[nn.Parameter]:
        """Return the parameters of the backbone behind the cut."""
        names = list(dict.fromkeys(stage_of(name) for name, _ in self.backbone.named_parameters()))
        behind = set(names[names.index(self._cut) + 1 :])
        return [part for name, part in self.backbone.named_parameters() if stage_of(name) in behind]

    def trunk(self, images: Tensor) -> Tensor:
        """Return the maps (N, C, H, W) of images at the cut.

        The stages behind see the first of them, for a pass runs to its end; what they make of it is dropped.
        """
        found: list[Tensor] = []

        def keep(output: Tensor) -> Tensor:
            found.append(output)
            return output[:1].clone()  # the stages behind may work in place

        with self._at_cut(keep):
            self.passed(self.normalised(images))
        return found[0]

    def tail(self, maps: Tensor) -> Tensor:
        """Return the vectors (N, D) of maps at the cut.

        The stages before see one blank picture, and what they make of it gives way to the maps.
        """
        return self._vectors(self._blank(), maps)

    def embedding(self, vectors: Tensor) -> Tensor:
        """Return the embedding (N, 256), of unit length, within vectors."""
        return vectors[:, -_EMBEDDING:]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the vectors (N, D) of images; no head takes its maps."""
        return self._vectors(self.normalised(images)), None

    def is_even(self, image: Tensor) -> bool:
        """Return that features depend on the number of threads, in their last digits: nothing is folded or packed."""
        return False

    def _vectors(self, inputs: Tensor, at_cut: Tensor | None = None) -> Tensor:
        plain = self._plain(inputs, at_cut)
        return torch.cat([plain, F.normalize(self.embed(self.scale * plain), dim=1)], dim=1)

    def _plain(self, inputs: Tensor, at_cut: Tensor | None) -> Tensor:
        with self._at_cut(lambda output: output if at_cut is None else at_cut):
            final, maps = self.passed(inputs)
        return torch.cat([F.normalize(final, dim=1), pooled_grid(maps[-1])], dim=1)

    @contextlib.contextmanager
    def _at_cut(self, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """Let what `change` makes of the maps at the cut go on in their place."""
        handle = self.stages[self._cut].register_forward_hook(lambda _module, _inputs, output: change(output))
        try:
            yield
        finally:
            handle.remove()

    def _blank(self) -> Tensor:
        return self.mean.new_zeros(1, 3, self.spec.height, self.spec.width)

    @torch.inference_mode()
    def _width(self) -> int:
        """Return the width of the vectors without the embedding, having gone through the cut as training does."""
        self.eval()
        maps = self.trunk(torch.zeros(2, 3, self.spec.height, self.spec.width))
        return self._plain(self._blank(), maps).shape[1]
