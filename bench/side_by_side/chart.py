"""The chart: for each figure that is charted, every hub's as a multiple of Fanfare's, as SVG."""

import math
from html import escape

from side_by_side.table import arrived, middle

LEFT, BAR, GAP, HEAD, PANEL_WIDTH, MARGIN = 130, 15, 5, 44, 410, 18
FONT = "font-family='ui-sans-serif,system-ui,sans-serif'"
OURS, THEIRS, FLOOR = "#0b7285", "#adb5bd", "#495057"


def ratio_text(ratio):
    if ratio >= 100:
        return f"{ratio:.0f} ×"
    return f"{ratio:.3g} ×" if ratio >= 0.01 else f"1/{1 / ratio:.0f} ×"


def panels(results):
    for scenario in results.scenarios:
        for figure, title in scenario.charted:
            reference = results.reference(scenario, figure)
            if not reference:
                continue
            bars = []
            for hub in results.hubs:
                reports = results.of(scenario, hub)
                value = middle(figure, reports)
                if value is None or value <= 0:
                    bars.append((hub, None, hub.cannot(scenario) or "no result"))
                else:
                    flaw = "" if arrived(reports).startswith("all") else " †"
                    text = f"{ratio_text(value / reference)}  ({figure.text(value)}){flaw}"
                    bars.append((hub, value / reference, text))
            better = "more is better" if figure.more_is_better else "less is better"
            yield title, better, bars


def svg(results, facts, network_title):
    found = list(panels(results))
    rows = len(results.hubs)
    height = HEAD + rows * (BAR + GAP) + 14
    columns = 2
    total_height = 56 + math.ceil(len(found) / columns) * height + 30
    width = columns * PANEL_WIDTH + 3 * MARGIN
    out = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {total_height}' width='{width}' "
        f"height='{total_height}' role='img' {FONT}>",
        f"<title>{escape(f'Hubs compared with Fanfare, {network_title}')}</title>",
        f"<rect width='{width}' height='{total_height}' rx='10' fill='#fff' stroke='#dee2e6'/>",
        text(MARGIN, 30, f"Multiples of Fanfare's, {network_title}", 16, "#212529", bold=True),
        text(MARGIN, 48, f"one core for the server, one for the client; logarithmic; {facts['date']}", 11, "#868e96"),
    ]
    for number, (title, better, bars) in enumerate(found):
        x = MARGIN + (number % columns) * (PANEL_WIDTH + MARGIN)
        out += panel(x, 60 + (number // columns) * height, title, better, bars)
    out.append(text(MARGIN, total_height - 12, "† not every message arrived once and in order: see the table", 11, "#868e96"))
    return "\n".join(out) + "\n</svg>\n"


def panel(x, y, title, better, bars):
    out = [text(x, y + 20, title, 13, "#212529", bold=True), text(x, y + 35, better, 11, "#868e96")]
    logs = [math.log10(ratio) for _, ratio, _ in bars if ratio]
    low, high = min([0, *logs]) - 0.15, max([0, *logs])
    # What is written behind the longest bar has to fit.
    room = PANEL_WIDTH - LEFT - 130
    scale = room / max(high - low, 0.3)
    one = x + LEFT + (0 - low) * scale
    bottom = y + HEAD + len(bars) * (BAR + GAP)
    out.append(f"<path d='M{one:.1f} {y + HEAD - 4}V{bottom}' stroke='#ced4da' fill='none'/>")
    for row, (hub, ratio, words) in enumerate(bars):
        top = y + HEAD + row * (BAR + GAP)
        out.append(text(x + LEFT - 6, top + 12, hub.name, 12, "#212529", end=True))
        if ratio is None:
            out.append(text(x + LEFT + 4, top + 12, words, 11, "#868e96", italic=True))
            continue
        length = max((math.log10(ratio) - low) * scale, 2)
        colour = OURS if hub.name.startswith("Fanfare") else FLOOR if hub.bench.get("is_floor") else THEIRS
        out.append(f"<rect x='{x + LEFT}' y='{top}' width='{length:.1f}' height='{BAR}' rx='2' fill='{colour}'/>")
        out.append(text(x + LEFT + length + 5, top + 12, words, 11, "#212529"))
    return out


def text(x, y, words, size, colour, bold=False, italic=False, end=False):
    style = " font-weight='600'" * bold + " font-style='italic'" * italic + " text-anchor='end'" * end
    return f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' fill='{colour}'{style}>{escape(words)}</text>"
