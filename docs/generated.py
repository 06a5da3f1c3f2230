"""A Sphinx extension: a page for each command, written from the program itself, and notebooks as pages."""

import json
from importlib.metadata import entry_points
from pathlib import Path

from docutils.nodes import document
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx

_INDEX = """Commands
========

Every command prints this with ``--help``. ``img2gps --help`` lists them.

.. toctree::
   :maxdepth: 1

"""


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for files, and read notebooks."""
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)
    app.connect("builder-inited", lambda app: write_commands(Path(app.srcdir) / "reference" / "commands"))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class NotebookParser(MystParser):
    """Reads a notebook as the Markdown that its cells make; outputs are not kept in it."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: document) -> None:
        """Parse the cells, code among them as Python blocks."""
        super().parse(notebook_as_markdown(inputstring), document)


def notebook_as_markdown(text: str) -> str:
    """Return the cells of a notebook, given as JSON, as one page."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(f"```python\n{source}\n```" if kind == "code" else source for kind, source in cells) + "\n"


def write_commands(folder: Path) -> None:
    """Write a page for each command that is installed, and their index."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for entry in sorted(entry_points(group="img2gps.commands"), key=lambda entry: entry.name):
        names.append(entry.name)
        title = f"img2gps {entry.name}"
        text = f"{title}\n{'=' * len(title)}\n\n.. click:: {entry.value}\n   :prog: {title}\n   :nested: full\n"
        _write(folder / f"{entry.name}.rst", text)
    _write(folder / "index.rst", _INDEX + "".join(f"   {name}\n" for name in names))


def _write(path: Path, text: str) -> None:
    """Write `text` where it is new: Sphinx reads a file again whose time has changed."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
