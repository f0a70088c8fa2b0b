"""Draw the ratios of a comparison as grouped bars: for each network the best peer's time divided by smc's.

    python plot.py RESULTS.json OUT.svg
"""

import json
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

OURS = "smc"
COLOURS = ["#4269d0", "#97bbf5", "#e8743b", "#f6b48f"]


def ratios(results):
    """By way (threads, batch) the ratio of each network; none where somebody's figures are missing."""
    times = {}
    for r in results["results"]:
        times.setdefault((r["threads"], r["batch"]), {}).setdefault(r["model"], {})[r["engine"]] = r["wall_min"]
    names = [model["name"] for model in results["models"] if model["kind"] == "network"]
    found = {}
    for way, models in sorted(times.items()):
        for name in names:
            figures = dict(models.get(name, {}))
            ours = figures.pop(OURS, None)
            if ours and figures:
                found.setdefault(way, {})[name] = min(figures.values()) / ours
    return [name for name in names if any(name in way for way in found.values())], found


def main():
    with open(sys.argv[1]) as file:
        names, found = ratios(json.load(file))
    # The same figures give the same bytes.
    matplotlib.rcParams.update({"svg.hashsalt": "smc", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9})
    figure, axes = plt.subplots(figsize=(9, 3.6))
    width = 0.8 / max(len(found), 1)
    for n, (way, values) in enumerate(found.items()):
        threads, batch = way
        at = [i + (n - (len(found) - 1) / 2) * width for i in range(len(names))]
        label = f"{threads} thread{'s' * (threads > 1)}, batch {batch}"
        axes.bar(at, [values.get(name, 0) for name in names], width * 0.92, label=label, color=COLOURS[n % len(COLOURS)])
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
    axes.set_ylabel("best peer's time / smc's time")
    axes.set_title("above 1, smc is ahead of every peer", loc="left", fontsize=9)
    if found:
        axes.legend(frameon=False, ncols=len(found), loc="upper center", bbox_to_anchor=(0.5, -0.24))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(sys.argv[2], bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
