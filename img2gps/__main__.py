"""``python -m img2gps``: the same program as the ``img2gps`` script."""

import os
import sys

# Little is imported before the signals have their answer (`start.main`): until then they have the interpreter's.
# ``-m`` puts the working folder first in the search path: a user's own train.py there must not be taken for ours.
if sys.path[0] and not os.path.isfile(f"{sys.path[0]}/img2gps/__main__.py"):  # noqa: PTH113  pathlib loads slowly
    del sys.path[0]

from img2gps.start import main

if __name__ == "__main__":
    main()
