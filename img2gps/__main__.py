"""``python -m img2gps``: the same program as the ``img2gps`` script."""

import sys
from pathlib import Path

# ``-m`` puts the working folder first in the search path: a user's own train.py there must not be taken for ours.
if sys.path[0] and not (Path(sys.path[0]) / "img2gps" / "__main__.py").is_file():
    del sys.path[0]

from img2gps.start import main

if __name__ == "__main__":
    main()
