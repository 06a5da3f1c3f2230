"""Every XMP packet of a picture: a JPEG may hold several, and a long one in portions (XMP part 3, 1.1.3.1)."""

from collections import defaultdict
from typing import Final

from PIL import Image

from collect.reading.xmp import MAX_XMP_BYTES
from img2gps.imaging import xmp_of

__all__ = ["packets_of"]

_STANDARD: Final = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED: Final = b"http://ns.adobe.com/xmp/extension/\0"
_GUID_BYTES, _HEAD_BYTES = 32, 40  # the digest of the whole; with its length and the portion's offset


def packets_of(image: Image.Image) -> tuple[bytes, ...]:
    """Return the packets of an image from `img2gps.imaging.open_image`, in their order; extended ones come last."""
    bodies = [body for name, body in getattr(image, "applist", ()) if name == "APP1"]
    found = [body[len(_STANDARD) :] for body in bodies if body.startswith(_STANDARD)] or [xmp_of(image)]
    portions: dict[bytes, dict[int, bytes]] = defaultdict(dict)
    for body in bodies:
        head = body[len(_EXTENDED) : len(_EXTENDED) + _HEAD_BYTES]
        if body.startswith(_EXTENDED) and len(head) == _HEAD_BYTES:
            offset = int.from_bytes(head[-4:], "big")
            portions[head[:_GUID_BYTES]].setdefault(offset, body[len(_EXTENDED) + _HEAD_BYTES :])
    found += [b"".join(portion for _, portion in sorted(parts.items())) for parts in portions.values()]
    return tuple(packet for packet in found if packet and len(packet) <= MAX_XMP_BYTES)
