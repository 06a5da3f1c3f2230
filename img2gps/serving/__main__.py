"""``python -m img2gps.serving OUT``: the service over an exported model, where neither torch nor the commands are."""

import argparse
import sys
from pathlib import Path

from img2gps.errors import Img2GPSError
from img2gps.serving.exported import exported_backend
from img2gps.serving.serve import serve_backend

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Serve an export until told to stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m img2gps.serving", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="OUT", help="a folder of img2gps export")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--public", action="store_true", help="no token: whoever reaches the server may use it")
    parser.add_argument("--no-thumbnails", action="store_true", help="show no training photos")
    parser.add_argument("--abstain", type=float, metavar="METRES", help="a 90 %% region beyond which it is not sure")
    given = parser.parse_args(arguments)
    try:
        serve_backend(
            exported_backend(given.folder, thumbnails=not given.no_thumbnails),
            host=given.host,
            port=given.port,
            public=given.public,
            abstain_m=given.abstain,
            started=lambda address: _say(f"Answers at {address.url}"),
        )
    except Img2GPSError as error:
        _say(str(error))
        return error.exit_code
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
