"""What the kernel of an executed page starts with (PYTHONSTARTUP, see conf.py): a Figure that ends a cell is a picture.

Drawn with Agg and without matplotlib's inline backend, so pyplot's figures are not shown a second time.
"""


def png(figure):
    """Return a Figure as the bytes of a PNG, cut to what is drawn, on white also in the dark theme."""
    from IPython.core.pylabtools import print_figure
    return print_figure(figure, fmt="png", bbox_inches="tight", base64=True, facecolor="white")


if __name__ == "__main__":
    get_ipython().display_formatter.formatters["image/png"].for_type_by_name(      # noqa: F821  IPython's own name
        "matplotlib.figure", "Figure", png)
