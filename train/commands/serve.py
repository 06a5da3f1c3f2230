"""``img2gps serve``."""

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from img2gps.console import PATH, FiniteRange, command, config_option, json_option, print_json, say, warn
from img2gps.text import safe_path

if TYPE_CHECKING:
    from img2gps.web.listening import ListeningAddress

__all__ = ["serve"]

_EXAMPLE = """
img2gps serve runs/default-001
img2gps serve runs/default-001 --host 0.0.0.0 --port 8080
curl -F photo=@IMG_0042.jpg http://127.0.0.1:8000/v1/locate
"""


@command("serve", example=_EXAMPLE)
@click.argument("run", type=PATH)
@click.option("--host", default="127.0.0.1", help="Address to listen on; any but this machine's own needs a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="Port to listen on; 0 for any free one.")
@click.option(
    "--public", is_flag=True, help="No token on other addresses: everybody who reaches the server may use it."
)
@click.option("--no-thumbnails", is_flag=True, help="Do not show the most similar training photos.")
@click.option(
    "--abstain",
    type=FiniteRange(min=0),
    metavar="METRES",
    help='The page says "not sure" if the 90 % region is wider.  [default: a third of the site]',
)
@click.option(
    "--timeout", type=FiniteRange(min=0, min_open=True), default=60.0, help="Seconds that one photo may take to decode."
)
@click.option("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps.")
@json_option
@config_option
def serve(
    *,
    run: Path,
    host: str,
    port: int,
    public: bool,
    no_thumbnails: bool,
    abstain: float | None,
    timeout: float,
    device: str,
    as_json: bool,
) -> None:
    """Serve a RUN or a folder of `export`: a page for phones that places photos, and POST /v1/locate.

    The answers are those of `img2gps predict`. Photos are not kept. Use --host 0.0.0.0 for other devices.
    """
    from img2gps.web.guard import is_loopback
    from train.api import serve as serve_run

    def started(address: "ListeningAddress") -> None:
        """Say where the page is, and warn where others can reach it."""
        if as_json:
            print_json({"url": address.url, "host": address.host, "port": address.port})
        say(f"{safe_path(run)} answers at {address.url} (Ctrl-C ends it)")
        if not is_loopback(address.host):
            warn("This server can be reached from other machines, and traffic is not encrypted.")

    serve_run(
        run,
        host=host,
        port=port,
        public=public,
        thumbnails=not no_thumbnails,
        abstain_m=abstain,
        timeout_s=timeout,
        device=device,
        started=started,
    )
    say("Ended.")
