"""From a matplotlib drawing to inline SVG that follows the page's light or dark mode.

Drawings use the stand-in colours below; the SVG names the page's CSS variables in their place.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib.style
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure

from assay.results.visible import visible

INK, MUTED, GRID, PAGE = "#010203", "#010204", "#010205", "#010207"
SERIES = ("#010211", "#010212", "#010213", "#010214", "#010215")
ALERT = "#010206"
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", PAGE: "--page", ALERT: "--alert"} | {
    colour: f"--series-{i}" for i, colour in enumerate(SERIES, 1)
}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "assay",
    "text.parse_math": False,
    "font.size": 10.5,
    "axes.labelsize": 10.5,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "legend.handlelength": 1.5,
    "legend.borderpad": 0.1,
    "legend.frameon": False,
    "legend.borderaxespad": 0.2,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}


def density_map() -> Colormap:
    """Viridis without its darkest fifth, which would sink into a dark page."""
    viridis = matplotlib.colormaps["viridis"]
    return ListedColormap(viridis([0.2 + 0.8 * i / 255 for i in range(256)]))


def colour_scale(ax: Axes, mappable: ScalarMappable, label: str, **place: Any) -> Axes:
    """The axes of a frameless colour bar beside `ax`."""
    scale = ax.figure.colorbar(mappable, ax=ax, label=label, **place)
    assert scale.solids is not None
    scale.solids.set_rasterized(True)
    scale.outline.set_visible(False)
    scale.ax.grid(False)
    return scale.ax


def svg(draw: Callable[[Axes], object], *, id: str, label: str, size: tuple[float, float] = (4.2, 3.6)) -> Markup:
    """What `draw(ax)` draws, as an `<svg>` whose ids start with `id` and whose accessible name is `label`."""
    return figure_svg(lambda figure: draw(figure.subplots()), id=id, label=label, size=size)


def figure_svg(draw: Callable[[Figure], object], *, id: str, label: str, size: tuple[float, float]) -> Markup:
    """What `draw(figure)` draws: for figures of several axes, which they make themselves."""
    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", dpi=150, metadata=nothing)
    return Markup(visible(_embeddable(buffer.getvalue(), id, label)))


def _embeddable(text: str, id: str, label: str) -> str:
    """The `<svg>` element alone: ids prefixed, colours as variables, sizes and fonts left to the page."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{id}-\1"', text)
    text = re.sub(r'\bxlink:href="#([^"]+)"', rf'href="#{id}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{id}-\1)", text)
    text = text.replace("xlink:href=", "href=")
    text = re.sub(r"font-family: [^;\"]+(; )?", "", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    view = re.search(r'viewBox="[^"]+"', text)
    assert view is not None
    head = f'<svg {view[0]} role="img" aria-label="{escape(label)}">'
    return re.sub(r"\s*\n\s*", " ", head + text[text.index(">") + 1 :]).strip()
