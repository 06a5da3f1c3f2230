"""EXIF to facts, read with Pillow behind one boundary.

Mutated blocks made the reader raise SyntaxError, struct.error, TypeError, ValueError and others, so the boundary is
`Exception`. The worker's own limit handles memory that runs out.
"""

import warnings

from PIL import Image
from PIL.ExifTags import GPS, IFD

from collect.reading.facts import CLOCK_DOUBTFUL, STAMP_UNREADABLE, Facts, Position, PositionProblem
from collect.reading.gps_stamp import has_stamp, stamp_of
from collect.reading.gps_tags import altitude_of, heading_of, method_of, position_of, positive, status_of
from img2gps.exif import Camera, clock_of

__all__ = ["read_facts"]


def read_facts(image: Image.Image) -> Facts:
    """Return what the EXIF of `image` says; a block that cannot be parsed is a fact, too. Raises MemoryError only."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "Corrupt EXIF data": it is told per photo, as a reason
            return _facts(image)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  the boundary
        return Facts(position=PositionProblem(reason="no_gps", detail=f"the EXIF is damaged ({type(error).__name__})"))


def _facts(image: Image.Image) -> Facts:
    exif = image.getexif()
    main, camera, gps = dict(exif), exif.get_ifd(IFD.Exif), exif.get_ifd(IFD.GPSInfo)
    by, position = Camera.of(main, camera), position_of(gps)
    if isinstance(position, Position) and _contradicted(position, image):
        position = PositionProblem(reason="gps_not_finite", detail="the EXIF is there twice, with two positions")
    if isinstance(position, PositionProblem) and not (main or camera or gps):
        position = PositionProblem(reason="no_exif")
    heading_deg, heading_ref = heading_of(gps)
    clock, gps_time = clock_of(main, camera), stamp_of(gps)
    found = {CLOCK_DOUBTFUL: clock.is_doubtful, STAMP_UNREADABLE: gps_time is None and has_stamp(gps)}
    return Facts(
        position=position,
        accuracy_m=positive(gps.get(GPS.GPSHPositioningError)),
        dop=positive(gps.get(GPS.GPSDOP)),
        heading_deg=heading_deg,
        heading_ref=heading_ref,
        altitude_m=altitude_of(gps),
        gps_time=gps_time,
        local_time=clock.local_time,
        utc_offset_min=clock.utc_offset_min,
        gps_status=status_of(gps),
        gps_method=method_of(gps),
        traits=tuple(trait for trait, is_so in found.items() if is_so),
        make=by.make,
        model=by.model,
        serial=by.serial,
    )


def _contradicted(position: Position, image: Image.Image) -> bool:
    """Return whether a further EXIF block of a JPEG names another place: programs differ in which they believe."""
    blocks = [body[6:] for name, body in getattr(image, "applist", ()) if name == "APP1" and body[:6] == b"Exif\0\0"]
    for block in blocks[1:]:
        if block[:4] in (b"II*\0", b"MM\0*"):  # else it continues the block before
            exif = Image.Exif()
            exif.load(block)
            other = position_of(exif.get_ifd(IFD.GPSInfo))
            if isinstance(other, Position) and other != position:
                return True
    return False
