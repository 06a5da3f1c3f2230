"""Img2GPS: from a walk with a phone to a model that tells where on a site a photo was taken.

This package holds what the two others share: the words (photo, rejection, site), the dataset
folder they meet at, and the command line. ``collect`` turns raw photos into a dataset, ``train``
turns a dataset into a model; neither imports the other.
"""

__all__ = ["__version__"]

__version__: str


def __getattr__(name: str) -> str:
    """Return the version, which is looked up when it is first asked for: the program must start without delay."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("img2gps")
    except PackageNotFoundError:  # run from a source tree that was never installed
        found = "0+unknown"
    globals()[name] = found
    return found
