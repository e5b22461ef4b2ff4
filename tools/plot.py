# SPDX-License-Identifier: BSD-2-Clause
"""Curves over logarithmic axes, as an SVG picture."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 860, 460
LEFT, RIGHT, TOP, BOTTOM = 78, 250, 44, 56
# Told apart in print and by most eyes: colour and dash.
STYLES = [("#0b5fa5", ""), ("#c4421a", "7 3"), ("#2e7d32", "2 3"), ("#6a3d9a", "9 3 2 3"), ("#8a6d00", "4 2"), ("#444444", "1 4")]


def quantity(value, units, step):
    """A number with as large a unit as fits: (5000, ns us ms, 1000) is 5 us."""
    unit = 0
    while unit + 1 < len(units) and value >= step:
        value /= step
        unit += 1
    return f"{value:.3g} {units[unit]}".strip()


def time(ns):
    return quantity(ns, ["ns", "us", "ms", "s"], 1000)


def size(count, in_bytes):
    return quantity(count, ["B", "KiB", "MiB", "GiB"], 1024) if in_bytes else f"{count:,}"


def decades(low, high):
    return range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)


class Plot:
    def __init__(self, title, x_label, in_bytes, curves):
        self.title, self.x_label, self.in_bytes, self.curves = title, x_label, in_bytes, curves
        xs = [x for _, points in curves for x, _ in points]
        ys = [y for _, points in curves for _, y in points]
        self.x_low, self.x_high = min(xs), max(max(xs), 2 * min(xs))
        tens = decades(min(ys), max(ys))
        self.y_low, self.y_high = 10.0 ** tens[0], 10.0 ** tens[-1]
        self.out = []

    def x(self, value):
        share = math.log(value / self.x_low) / math.log(self.x_high / self.x_low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        share = math.log(value / self.y_low) / math.log(self.y_high / self.y_low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def text(self, x, y, text, extra=""):
        self.out.append(f'<text x="{x:.1f}" y="{y:.1f}" {extra}>{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, colour):
        self.out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>')

    def axes(self):
        for ten in decades(self.y_low, self.y_high):
            y = self.y(10.0 ** ten)
            self.line(LEFT, y, WIDTH - RIGHT, y, "#dddddd")
            self.text(LEFT - 8, y + 4, time(10.0 ** ten), 'text-anchor="end"')
        ticks = sorted({x for _, points in self.curves for x, _ in points})
        last = -1000
        for tick in ticks:
            x = self.x(tick)
            self.line(x, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 5, "#333333")
            if x - last > 54:
                self.text(x, HEIGHT - BOTTOM + 20, size(tick, self.in_bytes), 'text-anchor="middle"')
                last = x
        self.line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "#333333")
        self.line(LEFT, TOP, LEFT, HEIGHT - BOTTOM, "#333333")
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, self.x_label, 'text-anchor="middle"')
        self.text(LEFT, 26, self.title, 'font-size="16" font-weight="bold"')

    def draw_curve(self, points, colour, dash):
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        self.out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        for x, y in points:
            self.out.append(f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3" fill="{colour}"/>')

    def labels(self):
        """Beside the curves' ends, moved apart where they would meet."""
        places = []
        for (name, points), (colour, dash) in zip(self.curves, STYLES * len(self.curves)):
            self.draw_curve(points, colour, dash)
            places.append([self.y(points[-1][1]), name, points[-1], colour])
        places.sort()
        for above, below in zip(places, places[1:]):
            below[0] = max(below[0], above[0] + 32)
        overflow = max(0, places[-1][0] - (HEIGHT - BOTTOM - 16))
        for place in places:
            place[0] -= overflow
        for y, name, end, colour in places:
            x = WIDTH - RIGHT + 24
            self.out.append(f'<line x1="{WIDTH - RIGHT + 6}" y1="{self.y(end[1]):.1f}" x2="{x - 4}" y2="{y:.1f}" stroke="{colour}"/>')
            self.text(x, y, name, f'fill="{colour}"')
            self.text(x, y + 14, time(end[1]), f'fill="{colour}" font-size="11"')

    def svg(self):
        self.axes()
        self.labels()
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
                'font-family="sans-serif" font-size="13">\n<rect width="100%" height="100%" fill="white"/>\n'
                + "\n".join(self.out) + "\n</svg>\n")
