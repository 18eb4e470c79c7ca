# SPDX-License-Identifier: GPL-2.0
"""From samples to a table, a file of figures and a chart."""

import statistics
from xml.sax.saxutils import escape

import goals


class Line:
    """One line of the table: the costs on both sides, and their ratio."""

    def __init__(self, goal, unit, ours, theirs, mixed=None):
        self.goal, self.unit, self.ours, self.theirs = goal, unit, ours, theirs
        self.mixed = mixed or {}
        self.ratio = statistics.median(ours) / statistics.median(theirs)
        # Of the pairs that were measured in turn
        each = [a / b for a, b in zip(ours, theirs)]
        self.spread = (min(each), max(each))

    def verdict(self):
        """How the ratio stands to what is asked of it."""
        if self.goal.must is None:
            return ""
        if self.ratio <= self.goal.aim:
            return "aim reached"
        return "must reached" if self.ratio <= self.goal.must else "MISSED"


def costs(samples, row, sides):
    """What each sample of a row cost for one unit."""
    return [s.each() for s in samples if s.row == row and s.sides == sides]


def lines(samples):
    """The table's lines, in its order, as far as there are samples."""
    found = []
    for goal in goals.GOALS:
        ours, theirs = (costs(samples, goal.row, sides) for sides in ("oxtcp", "inet"))
        if not ours or not theirs:
            continue
        unit = next(s.unit for s in samples if s.row == goal.row)
        mixed = {
            sides: costs(samples, goal.row, sides)
            for sides in ("oxtcp-serves-inet", "inet-serves-oxtcp")
        }
        found.append(Line(goal, unit, ours, theirs, {k: v for k, v in mixed.items() if v}))
    return found


def number(value):
    """Four digits that count."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def table(found):
    """The lines as text."""
    text = [
        f"{'':50} {'oxtcp':>9} {'AF_INET':>9} {'ratio':>6}"
        f" {'least..most':>13} {'must':>5} {'aim':>5}",
    ]
    for line in found:
        goal = line.goal
        asked = ("", "") if goal.must is None else (f"{goal.must:g}", f"{goal.aim:g}")
        text.append(
            f"{goal.label:50} {number(statistics.median(line.ours)):>9}"
            f" {number(statistics.median(line.theirs)):>9} {line.ratio:6.3f}"
            f" {line.spread[0]:6.3f}..{line.spread[1]:.3f} {asked[0]:>5} {asked[1]:>5}"
            f"  {line.verdict()}"
        )
    return "\n".join(text)


def mixed_table(found):
    """oxtcp at one end only: at most the mean of the two is asked."""
    text = []
    for line in found:
        if not line.mixed:
            continue
        mean = (statistics.median(line.ours) + statistics.median(line.theirs)) / 2
        shown = [statistics.median(line.mixed[s]) / mean for s in sorted(line.mixed)]
        text.append(f"{line.goal.label:50} " + " ".join(f"{v:17.3f}" for v in shown))
    if not text:
        return ""
    title = "One end each, to the mean of the two families"
    head = f"{title:50} {'oxtcp connects':>17} {'oxtcp serves':>17}"
    return "\n".join([head] + text)


def as_json(found):
    """The lines for a program."""
    return [
        {
            "row": line.goal.row,
            "label": line.goal.label,
            "unit": line.unit,
            "oxtcp": line.ours,
            "inet": line.theirs,
            "mixed": line.mixed,
            "ratio": line.ratio,
            "spread": line.spread,
            "must": line.goal.must,
            "aim": line.goal.aim,
        }
        for line in found
    ]


def chart(found, caption):
    """A bar a line, its length the ratio to AF_INET, as SVG."""
    left, width, height, top = 380, 420, 22, 60
    most = max([1.2] + [line.ratio for line in found])
    scale = width / most
    total = top + height * len(found) + 30
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 80}" height="{total}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="10" y="20" font-size="15">Cost on oxtcp, AF_INET = 1 (shorter is better)</text>',
        f'<text x="10" y="38" fill="#666">{escape(caption)}</text>',
    ]
    for i, line in enumerate(found):
        y = top + i * height
        colour = {"MISSED": "#c0504d", "": "#8c8c8c"}.get(line.verdict(), "#4f8f4f")
        out.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(line.goal.label)}</text>'
            f'<rect x="{left}" y="{y + 3}" width="{line.ratio * scale:.1f}" height="{height - 7}"'
            f' fill="{colour}"/>'
            f'<text x="{left + line.ratio * scale + 5:.1f}" y="{y + 14}">{line.ratio:.2f}</text>'
        )
        for value, dash in ((line.goal.must, ""), (line.goal.aim, ' stroke-dasharray="2,2"')):
            if value is not None:
                x = left + value * scale
                out.append(
                    f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y + 1}" y2="{y + height - 2}"'
                    f' stroke="black" stroke-width="2"{dash}/>'
                )
    x = left + scale
    out.append(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 6}" y2="{total - 24}" stroke="#333"/>'
        f'<text x="{left}" y="{total - 8}" fill="#666">lines: AF_INET (long), what is asked'
        " (full), what is aimed at (dotted)</text></svg>"
    )
    return "\n".join(out) + "\n"
