"""The explorer's page of a bundled photograph, made when the site is built and laid beside docs/explorer.md's.

`docs/conf.py` connects `write_explorer` to Sphinx's "builder-inited".
"""
from pathlib import Path

PAGE = "explorer_chelsea.html"


def write_explorer(app):
    """Write PAGE into the folder of the site; explorer.md shows it in a frame."""
    if app.builder.format != "html":
        return
    from pysift.explorer import explore
    from pysift.photos import photo
    folder = Path(app.outdir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(explore(photo("chelsea"), name="Chelsea"), encoding="utf-8")
