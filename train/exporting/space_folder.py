"""The format ``space``: a folder for a Hugging Face Space, or for ``docker build`` anywhere."""

import dataclasses
import importlib.metadata
import json
from pathlib import Path
from typing import Any, Final

import img2gps
from img2gps.files import write_atomic
from img2gps.serving.exported import exported_backend
from img2gps.text import safe_text
from train.exporting.onnx_folder import write_onnx
from train.exporting.options import ExportOptions, ExportResult
from train.exporting.sizes import file_sizes

__all__ = ["NEEDS", "write_space"]

NEEDS: Final = (
    *("jinja2", "numpy", "onnxruntime", "pillow", "pillow-heif", "pyproj", "python-multipart", "shapely"),
    *("starlette", "uvicorn"),
)
"""What the service needs without torch."""

_PORT: Final = 7860
_PYTHON: Final = "3.12"
_LEFT_OUT: Final = frozenset({"__pycache__", "demo.py", "cli.py"})
_DOCKERFILE: Final = f"""FROM python:{_PYTHON}-slim
RUN useradd --create-home --uid 1000 user
WORKDIR /home/user/app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY --chown=user . .
USER user
ENV PYTHONDONTWRITEBYTECODE=1
EXPOSE {_PORT}
HEALTHCHECK CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:{_PORT}/health')"]
CMD ["python", "-m", "img2gps.serving", "model", "--host", "0.0.0.0", "--port", "{_PORT}", "--public"]
"""
_README: Final = """---
title: {title}
emoji: 📍
colorFrom: blue
colorTo: green
sdk: docker
app_port: {port}
pinned: false
---

# {heading}

Take a photo or choose one, and see where on {site} it was taken. Photos are read, answered and not kept.

Push this folder to a Space of the kind Docker, or run it anywhere:

    docker build -t where . && docker run -p {port}:{port} where

`POST /v1/locate` answers programs; `/openapi.json` says how. The model computes with onnxruntime, without torch.

{notes}
"""


def write_space(run: Path, out: Path, options: ExportOptions) -> ExportResult:
    """Write the Space over the model of `run` into the empty folder `out`. Raises what `write_onnx` raises."""
    model = out / "model"
    model.mkdir()
    result = write_onnx(run, model, options)
    site = exported_backend(model).model.site
    notes = (
        *result.notes,
        "Everybody who may use the Space can see thumbnails and places of similar training photos.",
    )
    package = Path(img2gps.__file__).parent
    for path in sorted(package.rglob("*")):
        parts = path.relative_to(package).parts
        if path.is_file() and not _LEFT_OUT.intersection(parts):
            write_atomic(out / "img2gps" / Path(*parts), path.read_bytes(), sync_folder=False)
    texts = {
        "Dockerfile": _DOCKERFILE,
        "requirements.txt": "".join(f"{name}=={importlib.metadata.version(name)}\n" for name in NEEDS),
        ".dockerignore": "README.md\nSHA256SUMS\n",
        "README.md": _README.format(
            title=json.dumps(_plain(f"Where on {site}?"), ensure_ascii=False),
            heading=_plain(f"Where on {site}?"),
            site=_plain(site),
            port=_PORT,
            notes="\n".join(f"- {note}" for note in notes),
        ),
    }
    for name, text in texts.items():
        write_atomic(out / name, text.encode())
    return dataclasses.replace(result, out=out, format="space", files=file_sizes(out), notes=notes)


def _plain(text: str) -> Any:
    return safe_text(text, limit=80)
