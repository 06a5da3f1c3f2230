"""The format ``page``: a folder of plain files, the page that computes on the phone itself."""

import dataclasses
from pathlib import Path
from typing import Final

from img2gps.files import write_atomic
from img2gps.runtime.description import GALLERY, MODEL, MODEL_JSON, THUMBNAILS
from img2gps.serving.exported import exported_backend
from img2gps.serving.static_page import static_page_files
from train.exporting.onnx_folder import write_onnx
from train.exporting.onnxruntime_web import VERSION, runtime_files
from train.exporting.options import ExportOptions, ExportResult
from train.exporting.sizes import file_sizes

__all__ = ["write_page"]

_MODEL: Final = "model"
_README: Final = """# {title}

A page that says where on {site} a photo was taken, and computes on the phone itself: photos do not leave it.
It works without a network once it was loaded, and can be put on the home screen.

Put this folder on any host of plain files, by HTTPS (a service worker needs it; `localhost` does, too):

    python -m http.server --directory . 8000

A page opened as a file cannot load its model. `static/ort*` is onnxruntime-web {version} (MIT, Microsoft Corporation).

{notes}
"""


def write_page(run: Path, out: Path, options: ExportOptions) -> ExportResult:
    """Write the page over the model of `run` into the empty folder `out`. Raises as `write_onnx` does."""
    runtime = runtime_files(options.onnxruntime_web)
    model = out / _MODEL
    model.mkdir()
    result = write_onnx(run, model, options)
    backend = exported_backend(model)
    others = {
        f"{_MODEL}/{name}": (model / name).read_bytes()
        for name in (MODEL, MODEL_JSON, GALLERY)
        if (model / name).exists()
    }
    others |= {f"static/{name}": data for name, data in runtime.items()}
    pictures = sorted((model / THUMBNAILS).glob("*.jpg"))
    others |= {f"{THUMBNAILS}/{picture.name}": picture.read_bytes() for picture in pictures}
    numbers = [int(picture.stem) for picture in pictures]
    for name, data in (others | static_page_files(backend.model, others, thumbnails=numbers)).items():
        if not name.startswith(f"{_MODEL}/"):
            write_atomic(out / name, data, sync_folder=False)
    for picture in pictures:
        picture.unlink()
    if pictures:
        (model / THUMBNAILS).rmdir()
    site = backend.model.site
    notes = (*result.notes, "Everybody who may open the page can read all of this.")
    text = _README.format(
        title=f"Where on {site}?", site=site, version=VERSION, notes="\n".join(f"- {n}" for n in notes)
    )
    write_atomic(out / "README.md", text.encode())
    return dataclasses.replace(result, out=out, format="page", files=file_sizes(out), notes=notes)
