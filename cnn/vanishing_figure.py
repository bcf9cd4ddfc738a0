"""The figure of `cnn.vanishing`: the norm of the gradient at each layer, one panel a kind of network."""
from __future__ import annotations

from cnn.pictures import blank
from cnn.vanishing import KINDS, label


def draw(rows: list[dict]):
    """Draw start and, if there is one, training: a column a kind, a line a seed, a colour a depth."""
    moments = [("start", [row for row in rows if row["step"] == 0]), ("trained", [r for r in rows if r["step"] > 0])]
    moments = [(name, chosen) for name, chosen in moments if chosen]
    figure, axes = blank(len(moments), 4, 13, 3.3 * len(moments))
    depths = sorted({row["depth"] for row in rows})
    for line, (name, chosen) in zip(axes, moments):
        for ax, (shortcuts, batch_norm) in zip(line, KINDS):
            for row in chosen:
                if (row["shortcuts"], row["batch_norm"]) != (shortcuts, batch_norm) or row["slope"] is None:
                    continue
                colour = f"C{depths.index(row['depth'])}"
                ax.plot(range(1, len(row["norms"]) + 1), row["norms"], color=colour, linewidth=0.8,
                        label=f"depth {row['depth']}" if row["seed"] == 0 else None)
            kind = label({"shortcuts": shortcuts, "batch_norm": batch_norm})
            ax.set(yscale="log", xlabel="layer, from the image", title=f"{name}: {' '.join(kind.split())}")
        line[0].set_ylabel("norm of the gradient")
    axes[0, 0].legend(fontsize=8)
    return figure
