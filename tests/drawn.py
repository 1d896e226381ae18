"""What is wrong with the texts of a figure at its real size."""

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from mlipshift.show import style


def faults(figure):
    """A line for every visible text that leaves the canvas, and for every two that overlap."""
    with style.house_style():
        FigureCanvasAgg(figure).draw()  # places the labels, which the canvas of a bare figure does not
    boxes = [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in _unseen(figure)
    ]
    canvas = figure.bbox
    found = [
        f"{name!r} leaves the canvas"
        for name, box in boxes
        if box.x0 < canvas.x0 - 1 or box.x1 > canvas.x1 + 1 or box.y0 < canvas.y0 - 1 or box.y1 > canvas.y1 + 1
    ]
    for (first, a), (second, b) in combinations(boxes, 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        if wide > 1 and high > 1:
            found.append(f"{first!r} and {second!r} overlap")
    return found


def _unseen(figure):
    """Texts of hidden panels, and labels of ticks beyond the ends of their axis, which are not drawn."""
    unseen = set()
    for axes in figure.axes:
        if not axes.get_visible():
            unseen |= set(axes.findobj(Text))
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            margin = 1e-9 * (high - low)
            for tick in (*axis.majorTicks, *axis.minorTicks):
                if not low - margin <= tick.get_loc() <= high + margin or not tick.label1.get_visible():
                    unseen |= {tick.label1, tick.label2}
    return unseen
