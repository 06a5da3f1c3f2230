"""Convolutions as oneDNN wants them: weights in its own order, and the activation in the same pass."""

import functools
from typing import Any, Final

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import get_same_padding
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["PackedConvolution", "can_be_fused", "can_be_packed", "padded"]

_KINDS: Final = (nn.Conv2d, Conv2dSame)


def can_be_packed(convolution: nn.Conv2d) -> bool:
    """Return whether `PackedConvolution` can stand for a convolution: by its kind, its device and this torch."""
    return (
        type(convolution) in _KINDS
        and not convolution._forward_hooks
        and convolution.padding_mode == "zeros"
        and not isinstance(convolution.padding, str)
        and convolution.weight.device.type == "cpu"
        and convolution.weight.dtype == torch.float32
        and _packing_works()
    )


@functools.cache
@torch.inference_mode()
def _packing_works() -> bool:
    """Return whether this torch packs a small convolution on this processor, and says the same with it.

    No random numbers are drawn: those of a seed stay the same.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    plain = nn.utils.skip_init(nn.Conv2d, 16, 16, 1, bias=False)  # type: ignore[no-untyped-call]
    plain.weight.copy_(torch.linspace(-0.5, 1.0, 256).view(16, 16, 1, 1))
    maps = torch.linspace(-1.0, 1.0, 16 * 64).view(1, 16, 8, 8).contiguous(memory_format=torch.channels_last)
    try:
        return torch.allclose(PackedConvolution(plain, nn.ReLU6())(maps), F.relu6(plain(maps)), atol=1e-4)
    except (AttributeError, RuntimeError, NotImplementedError):  # operations that torch does not promise to keep
        return False


class PackedConvolution(nn.Module):
    """A convolution with its activation, where nothing is learnt.

    The numbers are those of torch's convolutions with several threads, to the bit; with one thread, torch takes another
    way for 1 x 1 kernels. So features are the same on any number of processors.
    """

    def __init__(self, convolution: nn.Conv2d, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.convolution = convolution
        self._bounds: tuple[str, list[float]] = ("none", [])
        if activation is not None:
            self._bounds = _fused(activation)
        self._pads = isinstance(convolution, Conv2dSame)
        self._packed: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of a copy, which packs the weights again: they are opaque."""
        return self.__dict__ | {"_packed": None}

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps (N, C, H, W) of maps, their channels last in memory."""
        own = self.convolution
        if self._pads:
            maps = padded(maps, _same(maps, own))
        layout = (own.padding, own.stride, own.dilation, own.groups)
        if self._packed is None:
            ordered = torch.ops.mkldnn._reorder_convolution_weight
            self._packed = ordered(own.weight, *layout, list(maps.shape))
        name, bounds = self._bounds
        found: Tensor = torch.ops.mkldnn._convolution_pointwise(maps, self._packed, own.bias, *layout, name, bounds, "")
        return found


def can_be_fused(activation: nn.Module) -> bool:
    """Return whether an activation can be part of the pass before it."""
    return type(activation) in {nn.ReLU, nn.ReLU6, nn.Hardtanh}


def _fused(activation: nn.Module) -> tuple[str, list[float]]:
    if isinstance(activation, nn.Hardtanh):  # ReLU6, too
        return "hardtanh", [float(activation.min_val), float(activation.max_val)]
    return "relu", []


def _same(maps: Tensor, convolution: nn.Conv2d) -> tuple[int, int, int, int]:
    """Return what TensorFlow's rule adds left, right, above and below."""
    pads: list[int] = []
    for axis in (1, 0):
        size, kernel = maps.shape[2 + axis], convolution.kernel_size[axis]
        whole = get_same_padding(size, kernel, convolution.stride[axis], convolution.dilation[axis])
        pads += [whole // 2, whole - whole // 2]
    return pads[0], pads[1], pads[2], pads[3]


def padded(maps: Tensor, pads: tuple[int, int, int, int]) -> Tensor:
    """Return maps with zeros around them; `F.pad` would fill all of the new maps with zeros first."""
    left, right, above, below = pads
    if not any(pads):
        return maps
    if not maps.is_contiguous(memory_format=torch.channels_last):
        return F.pad(maps, pads)
    count, channels, height, width = maps.shape
    size = (count, channels, height + above + below, width + left + right)
    wider = torch.empty(size, dtype=maps.dtype, device=maps.device, memory_format=torch.channels_last)
    wider[:, :, :above] = 0
    wider[:, :, above + height :] = 0
    wider[:, :, :, :left] = 0
    wider[:, :, :, left + width :] = 0
    wider[:, :, above : above + height, left : left + width] = maps
    return wider
