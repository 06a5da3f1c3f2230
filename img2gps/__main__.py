"""``python -m img2gps``: the same program as the ``img2gps`` script."""

from img2gps.cli import main

if __name__ == "__main__":
    main()
