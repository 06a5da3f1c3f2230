"""How Sphinx builds these pages: ``sphinx-build -W docs OUT``."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "Img2GPS"
copyright = "the authors of Img2GPS; MIT licence"  # noqa: A001 - the name that Sphinx reads
release = version = installed("img2gps")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click", "generated"]
exclude_patterns = ["_build"]
nitpicky = False
default_role = "code"
smartquotes_action = "qe"  # no dashes: they would change the names of options

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "Img2GPS"
html_static_path = ["_static"]
html_css_files = ["wide-tables.css"]
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
