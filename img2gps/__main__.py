"""``python -m img2gps``: the same program as the ``img2gps`` script."""

from img2gps.start import main

if __name__ == "__main__":
    main()
