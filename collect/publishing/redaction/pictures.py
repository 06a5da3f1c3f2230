"""The working copies with people made unrecognisable."""

import dataclasses
import io

from PIL import Image

from collect.publishing.pictures import Picture, PictureSource
from collect.publishing.redaction.jpeg_blocks import UnreadableJpegError, hide_regions
from collect.reading.working_copy import perceptual_hash
from img2gps.errors import InvalidDatasetError
from img2gps.redactions import Redactions

__all__ = ["RedactedCopies"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RedactedCopies:
    """What `source` gives, with the regions of `redactions` hidden."""

    source: PictureSource
    redactions: Redactions

    def read(self, photo_id: str) -> Picture:
        """Return a picture. Raises InvalidDatasetError where it is damaged or of a kind that ingest does not write."""
        picture = self.source.read(photo_id)
        boxes = self.redactions.hidden(photo_id)
        if not boxes:
            return picture
        try:
            data = hide_regions(picture.data, boxes)
        except UnreadableJpegError as error:
            raise InvalidDatasetError(
                f"The working copy of {photo_id} cannot be redacted ({error}): ingest its original with --rehash."
            ) from error
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            phash = perceptual_hash(image)
        return dataclasses.replace(picture, data=data, phash=phash, redacted=len(boxes))
