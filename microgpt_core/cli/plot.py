"""Lines in a picture, drawn by matplotlib: what `--plot FILE` writes.

Matplotlib is no dependency of the core's, and takes long to import: it is asked for here, when something is drawn.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import TypeAlias

from microgpt_core.errors import ConfigurationError, MicrogptError
from microgpt_core.storage.atomic import atomic_write

Line: TypeAlias = tuple[Sequence[float], Sequence[float]]  # x and y

FORMATS = (".png", ".svg", ".pdf")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito's: whoever sees them
STYLES = ("-", "--", "-.", ":")  # and on paper without colours


def check_plot(path: Path) -> None:
    """Raise what keeps a picture from being drawn there, as `save_lines` does: to be asked before long work."""
    if (suffix := path.suffix.lower()) not in FORMATS:
        raise ConfigurationError(f"--plot {path}: found {suffix or 'no suffix'}, allowed: {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise ConfigurationError(f"--plot {path}: there is no folder {path.parent} to write it into; make it first")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        install = "microgpt plugins install matplotlib"
        raise MicrogptError(f"pictures are drawn with matplotlib, which isn't installed: {install}") from error


def save_lines(
    path: Path,
    title: str,
    x_label: str,
    y_label: str,
    lines: Mapping[str, Line],
    mark: tuple[float, str] | None = None,
) -> None:
    """Draw lines, by their names, into a file of the format that its suffix says. `mark` is an x, and what it means.

    The same lines give the same file. Raises ConfigurationError for another suffix and where there is no folder,
    MicrogptError without matplotlib, StorageError.
    """
    check_plot(path)
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    suffix = path.suffix.lower()
    with rc_context({"svg.hashsalt": "microgpt", "font.size": 10}):
        figure = Figure(figsize=(7.0, 4.0), layout="constrained")
        axes = figure.subplots()
        for (name, (x, y)), colour, style in zip(lines.items(), cycle(COLOURS), cycle(STYLES)):
            axes.plot(x, y, color=colour, linestyle=style, label=name)
        if mark is not None:
            axes.axvline(mark[0], color="#777777", linewidth=1.0, linestyle=":")
            axes.annotate(
                f" {mark[1]}", (mark[0], 0.02), xycoords=("data", "axes fraction"), color="#555555", va="bottom"
            )
        axes.set(title=title, xlabel=x_label, ylabel=y_label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        if len(lines) > 1:
            axes.legend(frameon=False)
        drawn = BytesIO()
        dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}  # none: the same file each time
        figure.savefig(drawn, format=suffix[1:], dpi=144, metadata=dates[suffix])
    atomic_write(path, drawn.getvalue())
