"""Which of very many vectors are the most alike to one: by an index where faiss is installed, else by all of them."""

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from img2gps.progress import stderr

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["PhotoIndex"]

_GROUP: Final = 2  # components that one code of four bits stands for
_BITS: Final = 4
_SAMPLE: Final = 20_000  # vectors that the codes are learnt on
_BLOCK: Final = 8192


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PhotoIndex:
    """Codes (N, B) uint8 of N vectors (N, K) and the `centroids` (G, 16, 2) they stand for; `search` is faiss's index.

    This is product quantisation (Jégou, Douze and Schmid, PAMI 33, 2011), four bits per two components. They are
    compared in registers (André, Kermarrec and Le Scouarnec, "Cache locality is not enough", VLDB 2015). The codes of
    100,000 photos are 13 MB with `quick`. All of them are compared: nothing is missed for lying in another cell of a
    list.
    """

    centroids: Tensor
    codes: Tensor
    search: Any

    @classmethod
    def fit(cls, vectors: Tensor) -> Self | None:
        """Return the index of unit vectors (N, K) float32; None for too few and, saying so, without faiss."""
        faiss = _faiss()
        if faiss is None or len(vectors) < 1 << _BITS:
            return None
        faiss.omp_set_num_threads(torch.get_num_threads())
        padded = _padded(vectors.cpu())
        index = _empty(faiss, padded.shape[1])
        index.train(padded[:: max(1, len(padded) // _SAMPLE)])
        for start in range(0, len(padded), _BLOCK):
            index.add(padded[start : start + _BLOCK])
        centroids = faiss.vector_to_array(index.pq.centroids).reshape(-1, 1 << _BITS, _GROUP)
        codes = faiss.vector_to_array(index.codes).reshape(len(padded), -1)
        return cls(
            centroids=torch.from_numpy(centroids.copy()),
            codes=torch.from_numpy(codes.copy()),
            search=faiss.IndexPQFastScan(index),
        )

    @classmethod
    def from_tensors(cls, centroids: Tensor, codes: Tensor, vectors: Tensor) -> Self | None:
        """Return the index of stored codes of `vectors` (N, K). Raises ValueError where they do not fit.

        None, and a word about it, without faiss.
        """
        groups = -(-vectors.shape[1] // _GROUP)
        fits = centroids.shape == (groups, 1 << _BITS, _GROUP) and codes.shape == (len(vectors), -(-groups // 2))
        if not fits or centroids.dtype != torch.float32 or codes.dtype != torch.uint8:
            raise ValueError(f"an index of {tuple(codes.shape)} for {tuple(vectors.shape)}")
        faiss = _faiss()
        if faiss is None:
            return None
        index = _empty(faiss, groups * _GROUP)
        faiss.copy_array_to_vector(centroids.cpu().numpy().ravel(), index.pq.centroids)
        faiss.copy_array_to_vector(codes.cpu().numpy().ravel(), index.codes)
        index.ntotal, index.is_trained = len(vectors), True
        return cls(centroids=centroids, codes=codes, search=faiss.IndexPQFastScan(index))

    def candidates(self, queries: Tensor, count: int) -> Tensor:
        """Return the rows (Q, count) that are about the most alike to queries (Q, K), in no order worth a name."""
        faiss = _faiss()
        assert faiss is not None
        faiss.omp_set_num_threads(torch.get_num_threads())
        found = self.search.search(_padded(queries.cpu()), count)[1]
        return torch.from_numpy(found).clamp(min=0).to(queries.device)


def _padded(vectors: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return vectors with zeros behind, so that their components make whole groups."""
    return np.ascontiguousarray(F.pad(vectors.float(), (0, -vectors.shape[1] % _GROUP)).numpy())


def _empty(faiss: "ModuleType", width: int) -> Any:
    index = faiss.IndexPQ(width, width // _GROUP, _BITS, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.min_points_per_centroid = 1  # no warning of few: beyond the threshold there are enough
    return index


@functools.cache
def _faiss() -> "ModuleType | None":
    """Return faiss, or None, having said what that costs."""
    try:
        import faiss
    except ImportError:
        remedy = 'pip install "img2gps[scale]"'
        stderr().print(f"Without faiss all training photos are compared, exactly but slower: {remedy}.", markup=False)
        return None
    module: ModuleType = faiss
    return module
