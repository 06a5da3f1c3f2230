"""A network that names coordinates as a pure function of uint8 pixels."""

import copy

from torch import Tensor, nn

from train.models.network.model import CoordinateNetwork, NetworkLocalizer

__all__ = ["NETWORK_OUTPUTS", "PureNetwork"]

NETWORK_OUTPUTS = ("coordinates",)


class PureNetwork(nn.Module):
    """(N, 3, height, width) uint8 RGB to (N, 2) scaled coordinates (`train.data.targets.TargetScale`)."""

    def __init__(self, localizer: NetworkLocalizer) -> None:
        super().__init__()
        self.network: CoordinateNetwork = copy.deepcopy(localizer.network).eval().requires_grad_(requires_grad=False)

    def forward(self, images: Tensor, gallery: list[Tensor]) -> tuple[Tensor]:
        """Return the scaled coordinates; `gallery` is empty."""
        network = self.network
        features: Tensor = network.backbone((images.float() - network.mean) / network.std)
        return (network.head(features),)
