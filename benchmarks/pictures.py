"""Draws what a run measured: `python -m benchmarks.pictures bench.json docs/performance`."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams |= {
    "svg.hashsalt": "recovery",  # the same figures give the same file
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

INK = "#2b6a57"


def batches(axes: Axes, points: list[tuple[int, float]]) -> None:
    """The burst's throughput by what bounds its batches."""
    axes.semilogx(*zip(*points, strict=True), "o-", color=INK)
    axes.set(xlabel="daemon.in_flight", ylabel="mails a second", ylim=(0, None), title="Burst by batch size")
    _plain(axes, [count for count, _ in points])


def lateness(axes: Axes, late_ms: list[float]) -> None:
    """How many reminders came how late."""
    ordered = sorted(late_ms)
    share = [100 * (place + 1) / len(ordered) for place in range(len(ordered))]
    axes.semilogx([max(late, 0.5) for late in ordered], share, color=INK)
    axes.axhline(99, color="grey", linewidth=0.8, linestyle="--")
    axes.set(xlabel="ms from due to accepted and recorded", ylabel="% of reminders", title="Lateness at 150 a second")
    _plain(axes, [2, 5, 10, 20, 50, 100])


def pending(axes: Axes, points: list[tuple[int, float, float, float]]) -> None:
    """What an idle daemon costs, and how late reminders are, by how much is pending."""
    counts, cpu, memory, late = zip(*points, strict=True)
    for values, unit, style in ((cpu, "% of a core, idle", "o-"), (late, "ms late at the median", "s--")):
        axes.plot([count / 1e6 for count in counts], values, style, label=unit)
    axes.plot([count / 1e6 for count in counts], [mb / 10 for mb in memory], "^:", label="memory, in tens of MB")
    axes.set(xlabel="million checkouts pending", ylim=(0, None), title="Cost by what is pending")
    axes.legend(frameon=False, loc=(0.45, 0.16))


def _plain(axes: Axes, ticks: list[int]) -> None:
    """Write these numbers, and no powers of ten, along a logarithmic axis."""
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()


PICTURES = {"batches": batches, "lateness": lateness, "pending": pending}


def main() -> None:
    """Draw each picture whose data the run has."""
    data: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())["data"]
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        if name in data:
            figure, axes = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
            draw(axes, data[name])
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            plt.close(figure)


if __name__ == "__main__":
    main()
