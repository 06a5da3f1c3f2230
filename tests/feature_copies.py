"""Features of very many photos: those of altered copies of a campus's photos, moved along differences of others."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

__all__ = ["BLOCK", "FeatureCopies"]

BLOCK: Final = 1000
"""Photos that are made at once."""

_MOVED: Final = 0.35  # of the difference between two photos
_APART_M: Final = 3.0
_PIXELS_KEPT: Final = 64


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FeatureCopies:
    """Altered copies of rendered photos: their `known` features, and which photo of `source` each is a copy of."""

    source: Any
    known: Any
    of_photo: Any

    @classmethod
    def of(cls, folder: Path, config: Any, extractor: Any, count: int) -> "FeatureCopies":
        """Return the copies, kept in `folder` for the next size, as are the pixels of the first."""
        import numpy as np
        import torch

        from train.data.training_data import read_photos
        from train.models.probe.features.extractor import Features
        from train.models.probe.features.stored_features import features_of, named_tensors

        source, kept = read_photos(folder / "quad"), folder / "copies.pt"
        of_photo = np.arange(count) % len(source.photos)
        if not kept.is_file():
            parts = []
            for images in _altered(source, config, of_photo):
                if not parts:
                    np.save(folder / "images.npy", images.numpy())
                parts.append(extractor(images))
            torch.save(named_tensors(Features.concatenate(parts)), kept)
        return cls(source=source, known=features_of(torch.load(kept)), of_photo=of_photo)

    def block(self, number: int, count: int) -> Any:
        """Return the features of `count` photos: those of copies, moved along the difference of two others.

        Block 0 is the copies themselves.
        """
        import torch

        from train.models.probe.features.extractor import Features

        base, one, other = (torch.from_numpy(rows) for rows in self._drawn(number, count))
        share = _MOVED if number else 0.0

        def moved(part: Any) -> Any:
            return (part[base].float() + share * (part[one].float() - part[other].float())).to(part.dtype)

        return Features(
            pooled=tuple(map(moved, self.known.pooled)),
            brightness=moved(self.known.brightness),
            pyramids=tuple(tuple(map(moved, grids)) for grids in self.known.pyramids),
        )

    def _drawn(self, number: int, count: int) -> Any:
        import numpy as np

        draws = np.random.default_rng(number).integers(0, len(self.known), (3, count))
        if not number:
            draws[0] = np.arange(count) % len(self.known)
        return draws

    def features(self, path: Path, count: int, config: Any) -> Any:
        """Return the features of `count` photos, in memory where training has them there, else in a file at `path`."""
        import torch

        from train.models.probe.features.stored_features import StoredFeatures, features_of, named_tensors
        from train.models.probe.features.tensor_file import TensorFile

        blocks = (named_tensors(self.block(number, rows)) for number, rows in blocks_of(count))
        file = TensorFile.write(path, count, blocks)
        rows = torch.arange(count)
        if count <= config.exact_photos:
            return features_of(file.rows(rows.numpy()))
        return StoredFeatures(file=file, rows=rows, device=torch.device("cpu"))

    def data(self, count: int) -> Any:
        """Return `count` photos as training data: where the photos were taken, give or take, in walks of 200."""
        import numpy as np

        from train.data.training_data import Photos, TrainingData

        base = np.concatenate([self._drawn(number, rows)[0] for number, rows in blocks_of(count)])
        taken = self.source.photos.take(self.of_photo[base])
        draws, order = np.random.default_rng(count), np.arange(count)
        walk = np.asarray([f"walk-{number:05d}" for number in order % max(5, count // 200)])
        columns: dict[str, Any] = {field.name: getattr(taken, field.name) for field in dataclasses.fields(Photos)}
        columns |= {"ids": np.asarray([f"{number:064x}" for number in order]), "captured_s": 20.0 * order}
        columns |= {name: columns[name] + draws.normal(0, _APART_M, count) for name in ("east_m", "north_m")}
        photos = Photos(**{**columns, "walk": walk, "group": walk})
        return TrainingData(source=dataclasses.replace(self.source, photos=photos), train=photos)


def blocks_of(count: int) -> Iterator[tuple[int, int]]:
    """Yield the number of each block of photos and how many it has."""
    for start in range(0, count, BLOCK):
        yield start // BLOCK, min(BLOCK, count - start)


def _altered(source: Any, config: Any, of_photo: Any) -> Iterator[Any]:
    """Yield the pixels of altered copies, some at a time."""
    import numpy as np
    import torch

    from train.data.augmentation import Augmentation, augment, photo_keys, photo_uniforms
    from train.data.pixel_cache import cached_pixels

    pixels, keys = cached_pixels(source, config.pixels), photo_keys(source.photos.ids)
    strength = Augmentation(crop=0.2, rotate_deg=5.0, colour=0.4)
    for rows in np.split(of_photo, range(_PIXELS_KEPT, len(of_photo), _PIXELS_KEPT)):
        epoch = int(rows[0]) + len(rows)
        uniforms = torch.from_numpy(photo_uniforms(keys[rows], seed=int(rows[-1]), epoch=epoch)).float()
        yield augment(torch.from_numpy(pixels[rows]).float(), uniforms, strength).round().clamp(0, 255).to(torch.uint8)
