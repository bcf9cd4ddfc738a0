"""The site: `make docs` builds it from this folder, without a network, to be opened from file://.

Pages with the front matter `file_format: mystnb` are executed; what their cells returned is kept under .cache for
as long as the packages, the scripts and the records stay as they are.
"""
import os
import sys
import zlib
from pathlib import Path

import pysift

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
SOURCES = sorted(path for name in ("pysift", "diffsift", "cnn", "benchmarks", "docs")       # code and records
                 for path in (ROOT / name).rglob("*") if path.suffix in (".py", ".json"))

project = "siftgrad"
author = copyright = "The siftgrad contributors"
version = release = pysift.__version__
extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
exclude_patterns = ["_static", "results"]
nitpicky = True
default_role = "code"                               # `name` in a docstring is code, as it is in Markdown
highlight_language = "none"                         # a block of code without a language is a formula or a listing

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
mathjax_path = "tex-svg.js"                         # MathJax's own default is on a server

# jupyter-cache knows a page by its cells only: a change of what they use asks for new results, so for a new cache
nb_execution_mode = "cache"
nb_execution_cache_path = str(CACHE / f"pages-{zlib.crc32(b''.join(path.read_bytes() for path in SOURCES)):08x}")
nb_execution_raise_on_error = True
nb_execution_timeout = 300                          # seconds for one cell: the first ever compiles the kernels
nb_execution_show_tb = True
nb_merge_streams = True
nb_render_markdown_format = "myst"                  # what a cell displays as Markdown may hold a table

autodoc_typehints = "none"                          # the docstrings say more: shapes, units, ranges
autodoc_preserve_defaults = True                    # SIFTParams() rather than its 28 fields
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "siftgrad"
html_static_path = ["_static"]
html_css_files = ["siftgrad.css", "pipeline.css"]
html_context = {"default_mode": "auto"}              # light or dark, as the reader's system is
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False                    # a summary is fetched, which a page from file:// may not do
templates_path = ["_templates"]
html_sidebars = {"**": ["contents.html"]}
html_theme_options = {
    "navbar_center": [],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


def setup(app):
    """Give kernels their start and folders of their own (HOME may be read-only), docstrings their formulas."""
    os.environ |= {
        "MPLBACKEND": "Agg", "PYTHONSTARTUP": str(ROOT / "docs/kernel.py"), "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "IPYTHONDIR": str(CACHE / "ipython"), "JUPYTER_CONFIG_DIR": str(CACHE / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(CACHE / "jupyter/runtime"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    profile = CACHE / "ipython/profile_default"
    profile.mkdir(parents=True, exist_ok=True)      # a kernel warns that it talks to us over loopback unencrypted
    (profile / "ipython_kernel_config.py").write_text("get_config().IPKernelApp.log_level = 'ERROR'\n")
    sys.path.insert(0, str(ROOT / "docs"))
    from docstrings import as_written, unexplained
    from explorer_page import write_explorer
    app.connect("autodoc-process-docstring", as_written, priority=400)         # before numpydoc's
    app.connect("builder-inited", write_explorer)
    app.connect("autodoc-skip-member", unexplained)
