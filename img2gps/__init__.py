"""Img2GPS: from a walk with a phone to a model that tells where on a site a photo was taken.

This package holds what the two others share: the words (photo, rejection, site), the dataset
folder they meet at, and the command line. ``collect`` turns raw photos into a dataset, ``train``
turns a dataset into a model; neither imports the other.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("img2gps")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
