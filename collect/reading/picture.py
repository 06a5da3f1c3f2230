"""What kind of picture a photo is, where it is no ordinary one: its size, its camera, what its XMP says of it.

Google's Photo Sphere XMP (developers.google.com/streetview/spherical-metadata) marks panoramas, DJI's namespace drones.
"""

import re
from typing import Final

from PIL import Image

from collect.reading.xmp_packets import packets_of

__all__ = ["picture_traits"]

_SMALL_PX: Final = 200
_STRIP_RATIO: Final = 3.0  # the widest frames of phones that are no panoramas are 65:24
_SPHERE_RATIO: Final = (1.98, 2.02)
_SPHERE_CAMERAS: Final = re.compile(
    r"ricoh theta|insta ?360|arashi|gear ?360|sm-r210|sm-c200|lg-r105|mjxj|mi sphere|qoocam|keymission 360|virb 360"
    r"|gopro.*(?:fusion|max)|sp360|vuze|360fly|giroptic|ladybug|panono|pilot era|\b360\b",
    re.IGNORECASE,
)
_DRONE_MAKES: Final = re.compile(
    r"dji|parrot|autel.*|skydio|yuneec|sensefly|hubsan|potensic|fimi|3d ?r(?:obotics)?|hover ?air|zero ?zero.*|xiro"
    r"|freefly.*|holy ?stone|wingtra.*|ehang|walkera",
    re.IGNORECASE,
)
_DRONE_MODELS: Final = re.compile(
    r"l[123]d-20c|fimi.*|hoverair.*", re.IGNORECASE
)  # the Hasselblad cameras of DJI's Mavic
_HANDHELD: Final = re.compile(r".*(osmo|pocket|action|ronin|\bac00\d|\bot-?\d{3}).*", re.IGNORECASE)
_DRONE_XMP: Final = re.compile(rb"drone-(?:dji|parrot|autel|skydio):")
_PANORAMA_XMP: Final = re.compile(
    rb"ProjectionType\s*(?:=\s*[\"']|>)\s*(?:equirectangular|cylindrical|cubemap)|GPano:FullPanoWidthPixels",
    re.IGNORECASE,
)


def picture_traits(image: Image.Image, make: str | None, model: str | None) -> tuple[str, ...]:
    """Return what is not ordinary about an opened image that was not yet scaled: codes of `img2gps.reasons.FLAGS`."""
    short, long = sorted(image.size)
    packet = b"\n".join(packets_of(image))
    camera = f"{make or ''} {model or ''}"
    sphere = _SPHERE_RATIO[0] * short <= long <= _SPHERE_RATIO[1] * short and bool(_SPHERE_CAMERAS.search(camera))
    found = {
        "panorama": sphere or long >= _STRIP_RATIO * short or bool(_PANORAMA_XMP.search(packet)),
        "drone": _is_drone(make or "", model or "", packet),
        "small_picture": short < _SMALL_PX,
    }
    return tuple(code for code, is_so in found.items() if is_so)


def _is_drone(make: str, model: str, packet: bytes) -> bool:
    if _HANDHELD.fullmatch(model):
        return False
    return bool(_DRONE_MAKES.fullmatch(make) or _DRONE_MODELS.fullmatch(model) or _DRONE_XMP.search(packet))
