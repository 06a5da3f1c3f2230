"""Img2GPS: from a walk with a phone to a model that tells where on a site a photo was taken.

This package holds what the two others share: the words (photo, rejection, site), the dataset folder and the command
line. ``collect`` turns raw photos into a dataset. ``train`` turns a dataset into a model. Neither imports the other.

    >>> from img2gps import Site
    >>> Site.open("penn-engineering-quad").name
    'penn-engineering-quad'

`Dataset.open("quad").frame()` is a GeoDataFrame of a dataset's photos, corrections applied.
"""

from typing import TYPE_CHECKING

from img2gps.lazy import lazy_names

if TYPE_CHECKING:
    from img2gps.dataset import Dataset
    from img2gps.site import Site
    from img2gps.version import __version__

__all__ = ["Dataset", "Site", "__version__"]

# the version, too: looking it up takes longer than the program may take to start
__getattr__, __dir__ = lazy_names(
    __name__, {"Dataset": "img2gps.dataset", "Site": "img2gps.site", "__version__": "img2gps.version"}
)
