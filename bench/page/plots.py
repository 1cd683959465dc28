"""The page's kinds of plots, drawn by Vega-Lite into SVG.

Colours are the page's CSS variables, so that one drawing is right on a dark ground, on a light one, and on paper.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import floor, log10
from typing import Any, Literal

import altair as alt
import vl_convert

WIDTH = 880
# In pixels: of a bar and the space after it, of the axis with its title, of a legend, of a plot of lines.
BAR, AXIS, LEGEND, LINES = 26, 48, 34, 320
# The mean width of a label's character, and what surrounds names and labels.
CHARACTER, SPACE = 6.3, 24
WIDEST_CHARACTER = 8
PADDING = {"left": 5, "right": 24, "top": 5, "bottom": 5}
FONT = "Arial, Helvetica, sans-serif"
TEXT, MUTED, GRID = "var(--text)", "var(--muted)", "var(--grid)"
OURS, OTHERS = "var(--ours)", "var(--others)"
SERIES = [f"var(--series-{number})" for number in range(1, 7)]

Scale = Literal["linear", "log"]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar: its name, length and label, whether it is this project's, and the range of single runs."""

    name: str
    value: float
    text: str
    is_ours: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Point:
    """A point of a named series: its place on both axes, its label, and the range of single runs."""

    series: str
    x: float
    y: float
    text: str = ""
    low: float | None = None
    high: float | None = None


def bars(bars: Sequence[Bar], *, axis: str, scale: Scale = "linear") -> str:
    """Draw horizontal bars, this project's in its own colour."""
    chart = alt.Chart(_values(bars))
    x, least = _x(bars, axis, scale)
    # The browser's font may be wider than the one that the plot was laid out with: names would be cut at the left.
    room = alt.Axis(minExtent=WIDEST_CHARACTER * max(len(bar.name) for bar in bars))
    y = alt.Y("name:N", title=None, sort=None, axis=room)
    color = alt.condition("datum.is_ours", alt.value(OURS), alt.value(OTHERS))
    layers: list[Any] = [
        chart.mark_bar(height=alt.RelativeBandSize(0.66), cornerRadiusEnd=2).encode(
            x=x, x2=alt.datum(least), y=y, color=color
        ),
        # Beyond the range of the runs, where there is one, so that they do not overlap.
        chart.transform_calculate(end="max(datum.value, datum.high || 0)")
        .mark_text(align="left", dx=6)
        .encode(x="end:Q", y=y, text="text:N"),
    ]
    if any(bar.low is not None for bar in bars):
        layers.append(
            chart.transform_filter("datum.low != null && datum.low < datum.high")
            .mark_rule(strokeWidth=1.5, color=TEXT)
            .encode(x="low:Q", x2="high:Q", y=y)
        )
    return _svg(alt.layer(*layers).properties(height=AXIS + BAR * len({bar.name for bar in bars})))


def lines(
    points: Sequence[Point], *, axes: tuple[str, str], steps: Sequence[float] = (), reference: float | None = None,
    span: tuple[float, float] | None = None, scale: Scale = "linear",
) -> str:  # fmt: skip
    """Draw a line a series, a point's range as a thin line.

    `steps` are the values of x that are marked, doublings at an even distance; the `span` of x is shaded.
    """
    names = list(dict.fromkeys(point.series for point in points))
    chart = alt.Chart(_values(points))
    values = [value for point in points for value in (point.low, point.y, point.high) if value is not None]
    greatest = max([*values, reference or 0]) or 1
    x_scale = alt.Scale(type="log", base=2, nice=False, padding=24) if steps else alt.Scale(nice=False, padding=8)
    marks = alt.Axis(grid=False, values=list(steps), format=",d") if steps else alt.Axis(grid=False, tickMinStep=1)
    least = _below(values) if scale == "log" else 0.0
    most = greatest * (2 if scale == "log" else 1.15)
    x = alt.X("x:Q", title=axes[0], scale=x_scale, axis=marks)
    y = alt.Y(
        "y:Q",
        title=axes[1],
        scale=alt.Scale(type=scale, domain=[least, most], nice=False),
        axis=_number_axis(least, most, scale),
    )
    color = _series_color(names)
    layers: list[Any] = [
        chart.mark_line(strokeWidth=2.5).encode(x=x, y=y, color=color),
        chart.mark_point(filled=True, size=60 if steps else 16, opacity=1).encode(x=x, y=y, color=color),
        chart.mark_text(dy=-13).encode(x="x:Q", y="y:Q", text="text:N"),
    ]
    if any(point.low is not None for point in points):
        ranges = chart.transform_filter("datum.low != null && datum.low < datum.high")
        layers.append(ranges.mark_rule(strokeWidth=1.5, color=TEXT).encode(x="x:Q", y="low:Q", y2="high:Q"))
    if reference is not None:
        layers.append(alt.Chart().mark_rule(strokeDash=[5, 4], strokeWidth=1.5).encode(y=alt.datum(reference)))
    if span is not None:
        shaded = alt.Chart().mark_rect(color=OTHERS, opacity=0.35)
        layers.insert(0, shaded.encode(x=alt.datum(span[0]), x2=alt.datum(span[1])))
    return _svg(alt.layer(*layers).properties(height=LINES))


def _below(values: Sequence[float]) -> float:
    """Return the power of ten where a logarithmic axis begins."""
    return float(10.0 ** floor(log10(min((value for value in values if value), default=1)) - 0.01))


def _values(items: Sequence[Bar] | Sequence[Point]) -> alt.InlineData:
    return alt.InlineData(values=[asdict(item) for item in items])


def _series_color(names: Sequence[str]) -> alt.Color:
    """Colour by series; the legend is left out where there is but one."""
    legend = alt.Legend(title=None, orient="top", symbolType="circle") if len(names) > 1 else None
    return alt.Color("series:N", sort=list(names), legend=legend, scale=alt.Scale(domain=list(names), range=SERIES))


def _number_axis(low: float = 0, high: float = 0, scale: Scale = "linear") -> alt.Axis:
    # 1,000 and 0.5, but 20k from ten thousand on, where the digits would touch.
    expression = "datum.value >= 10000 ? format(datum.value, '~s') : format(datum.value, ',~g')"
    if scale == "linear":
        return alt.Axis(labelExpr=expression, tickCount=6, labelBound=True)
    powers = [10.0**exponent for exponent in range(floor(log10(low) + 0.5), floor(log10(high)) + 1)]
    return alt.Axis(labelExpr=expression, values=powers)


def _x(bars: Sequence[Bar], title: str, scale: Scale) -> tuple[alt.X, float]:
    """Return the horizontal axis, which leaves room for the labels right of their bars, and where it begins."""
    plot = WIDTH - SPACE - PADDING["right"] - WIDEST_CHARACTER * max(len(bar.name) for bar in bars)
    least = _below([value for bar in bars for value in (bar.value, bar.low) if value]) if scale == "log" else 0.0

    def needed(bar: Bar) -> float:
        """Return the end that lets this bar's label end at the plot's edge."""
        free, value = max(0.3, 1 - (len(bar.text) * CHARACTER + SPACE) / plot), bar.high or bar.value
        return least * (value / least) ** (1 / free) if scale == "log" else value / free

    most = max(map(needed, bars)) or 1
    domain = alt.Scale(type=scale, domain=[least, most], nice=False)
    return alt.X("value:Q", title=title, scale=domain, axis=_number_axis(least, most, scale)), least


def _svg(chart: alt.LayerChart | alt.FacetChart) -> str:
    """Return the chart as an SVG element of the page's width."""
    drawn = (
        # The padding takes what a browser's wider font adds to the labels at the edges.
        chart.properties(width=WIDTH, padding=PADDING, autosize=alt.AutoSizeParams(type="fit", contains="padding"))
        .configure(background="transparent", font=FONT)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=TEXT, titleColor=MUTED, gridColor=GRID, domainColor=GRID, tickColor=GRID, labelFontSize=12,
            titleFontSize=12, titleFontWeight="normal", labelLimit=0, titlePadding=10,
        )
        .configure_axisY(domain=False, ticks=False, labelPadding=8)
        .configure_legend(labelColor=TEXT, labelFontSize=12, labelLimit=400, columns=4)
        .configure_text(color=TEXT, fontSize=12)
        .configure_rule(color=MUTED)
    )  # fmt: skip
    return str(vl_convert.vegalite_to_svg(drawn.to_dict()))
