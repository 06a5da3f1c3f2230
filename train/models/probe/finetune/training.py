"""The last stages of a backbone learn a site: to locate photos, and to match views of one place."""

import dataclasses
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from img2gps.progress import Advance
from train.config.schema import ProbeConfig
from train.models.grid import Cells, soft_labels
from train.models.probe.covisibility import Poses, one_view
from train.models.probe.features.extractor import CHUNK, BackboneExtractor
from train.models.probe.features.stored_features import AnyFeatures, StoredFeatures
from train.models.probe.finetune.augmented_views import AugmentedViews
from train.models.probe.finetune.extractor import FinetunedExtractor

__all__ = ["finetuned_extractor", "steps_of", "with_finetuned"]

_NEVER: Final = -1e4
_AT_ONCE: Final = 512


def steps_of(photos: int, config: ProbeConfig) -> int:
    """Return how many steps `finetuned_extractor` takes on so many photos."""
    return max(1, config.tune_epochs * photos // config.tune_batch_size)


def finetuned_extractor(
    frozen: BackboneExtractor,
    views: AugmentedViews,
    poses: Poses,
    cells: Cells,
    config: ProbeConfig,
    *,
    advance: Advance,
) -> FinetunedExtractor:
    """Return `frozen` with its last two stages trained on N photos, as a new one; `advance` is called once per step.

    There are two losses. One is cross-entropy with soft labels over the cells. The other is contrastive: views of one
    place on two walks attract each other, and places further apart repel. Sources: van den Oord et al., "Representation
    Learning with Contrastive Predictive Coding", 2018. Several positives as in Khosla et al., "Supervised Contrastive
    Learning", NeurIPS 2020. Photos of one walk never attract: light, weather and camera would do. Batch statistics stay
    those of the first weights. On the CPU the result is a function of the arguments and the thread count.
    """
    device = poses.xy.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        backbone_extractor = FinetunedExtractor.of(frozen, scale=config.tune_scale)
        classify = nn.Linear(backbone_extractor.embed.in_features, len(cells)).to(device)
        nn.init.zeros_(classify.weight)
        nn.init.zeros_(classify.bias)
        _descend(backbone_extractor, classify, views, poses, cells, config, advance)
    return backbone_extractor.requires_grad_(requires_grad=False).eval()


def with_finetuned(features: AnyFeatures, backbone_extractor: FinetunedExtractor, views: AugmentedViews) -> AnyFeatures:
    """Return the features of N photos with the vectors of a finetuned extractor beside those of the frozen ones."""
    device = features.device if isinstance(features, StoredFeatures) else features.pooled[0].device
    with torch.inference_mode():
        starts = range(0, len(views), CHUNK)
        parts = [
            _filled(backbone_extractor, views.unaltered(start, start + CHUNK).to(device).float()) for start in starts
        ]
    if isinstance(features, StoredFeatures):
        return dataclasses.replace(features, beside=(*features.beside, torch.cat(parts)))
    return dataclasses.replace(features, pooled=(*features.pooled, torch.cat(parts)))


def _filled(backbone_extractor: FinetunedExtractor, maps: Tensor) -> Tensor:
    """Return the vectors of up to `CHUNK` maps, computed as those of `CHUNK`, as `FeatureExtractor` does."""
    filled = F.pad(maps, (0, 0, 0, 0, 0, 0, 0, CHUNK - len(maps)))
    return backbone_extractor.tail(filled)[: len(maps)]


def _descend(
    backbone_extractor: FinetunedExtractor,
    classify: nn.Linear,
    views: AugmentedViews,
    poses: Poses,
    cells: Cells,
    config: ProbeConfig,
    advance: Advance,
) -> None:
    new = [*classify.parameters(), *backbone_extractor.embed.parameters()]
    groups = [{"params": backbone_extractor.trained(), "lr": config.tune_lr}, {"params": new, "lr": config.tune_new_lr}]
    optimizer = torch.optim.AdamW(groups, weight_decay=config.tune_weight_decay)
    steps = steps_of(len(poses), config)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [config.tune_lr, config.tune_new_lr], total_steps=steps + 1, pct_start=config.tune_rise
    )
    draws = torch.Generator().manual_seed(config.seed)
    partners = _Partners(poses, config)
    width = classify.in_features
    for _ in range(steps):
        rows, view = partners.drawn(draws), torch.randint(views.count, (config.tune_batch_size,), generator=draws)
        maps = views.drawn(rows, view).to(poses.xy.device).float().contiguous(memory_format=torch.channels_last)
        vectors = backbone_extractor.tail(maps)
        logits = classify(F.dropout(config.tune_scale * vectors[:, :width], config.tune_dropout))
        own = rows.to(poses.xy.device)
        targets = soft_labels(poses.xy[own], cells, config.label_sigma_m)
        locating = -(targets * F.log_softmax(logits, dim=1)).sum(dim=1).mean()
        loss = config.tune_place_share * locating + _contrast(
            backbone_extractor.embedding(vectors), poses.take(own), config
        )
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        advance()


def _contrast(embedding: Tensor, poses: Poses, config: ProbeConfig) -> Tensor:
    """Return the contrastive loss of a batch; 0 where no two of its photos show one view on two walks."""
    distance = torch.cdist(poses.xy, poses.xy, compute_mode="donot_use_mm_for_euclid_dist")
    every = torch.arange(len(poses), device=poses.xy.device)
    alike = torch.exp(-distance.square() / (2 * config.tune_near_sigma_m**2)) * one_view(
        every, poses, within_m=config.tune_near_m
    )
    counted = (alike > 0) | (distance > config.tune_far_m)
    logits = (embedding @ embedding.T / config.tune_temperature).masked_fill(~counted, _NEVER)
    total = alike.sum(dim=1)
    probs = alike / total.clamp(min=1e-6)[:, None]
    losses = -(probs * F.log_softmax(logits, dim=1)).sum(dim=1)
    counts = total > config.tune_least_alike
    return losses[counts].mean() if bool(counts.any()) else embedding.sum() * 0.0


class _Partners:
    """Draws batches of which every other photo is joined by one that may show its view on another walk.

    Were the whole batch drawn at random, hardly any two of its photos would.
    """

    def __init__(self, poses: Poses, config: ProbeConfig) -> None:
        self._photos, self._pairs = len(poses), config.tune_batch_size // 2
        own, partner = [], []
        for rows in torch.split(torch.arange(len(poses), device=poses.xy.device), _AT_ONCE):
            near = one_view(rows, poses, within_m=config.tune_near_m).nonzero().cpu()
            own.append(near[:, 0] + rows[0].cpu())
            partner.append(near[:, 1])
        self._partner = torch.cat(partner)
        self._count = torch.bincount(torch.cat(own), minlength=self._photos)
        self._start = self._count.cumsum(0) - self._count

    def drawn(self, draws: torch.Generator) -> Tensor:
        """Return the rows of a batch; a photo without a partner is joined by itself, maybe in another view."""
        first = torch.randint(self._photos, (self._pairs,), generator=draws)
        count = self._count[first]
        pick = (torch.rand(len(first), generator=draws) * count).long().clamp(max=(count - 1).clamp(min=0))
        poses = (self._start[first] + pick).clamp(max=max(0, len(self._partner) - 1))
        second = torch.where(count > 0, self._partner[poses], first) if len(self._partner) else first
        return torch.cat([first, second])
