"""The phones that walk the generated campus. They are invented and say so in their EXIF."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A phone: what it writes into EXIF, how it stores portrait photos and how it develops colours.

    `reports_accuracy` stands for GPSHPositioningError; `heading_ref` is T (true north) or M (magnetic north);
    `sideways` means that portrait photos are stored lying, with Orientation 6.
    """

    make: str
    model: str
    reports_accuracy: bool
    heading_ref: str
    sideways: bool
    portrait_share: float
    view_deg: float
    gains: tuple[float, float, float]
    contrast: float
    saturation: float

    @property
    def name(self) -> str:
        """Make and model in one."""
        return f"{self.make} {self.model}"


DEVICES = (
    Device(
        make="Img2GPS", model="Rendered Phone A", reports_accuracy=True, heading_ref="T", sideways=True,
        portrait_share=0.5, view_deg=67.0, gains=(1.04, 1.0, 0.95), contrast=1.06, saturation=1.1,
    ),
    Device(
        make="Img2GPS", model="Rendered Phone B", reports_accuracy=False, heading_ref="M", sideways=False,
        portrait_share=0.35, view_deg=71.0, gains=(0.97, 1.0, 1.05), contrast=0.97, saturation=0.92,
    ),
)  # fmt: skip
