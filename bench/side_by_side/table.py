"""The tables, in Markdown: medians of the rounds, how they compare with Fanfare's, and what went wrong."""

from collections import Counter
from statistics import median

from side_by_side.scenario import violations

METHOD = """\
Server and client have one core each. Every run has a server of its own; the hubs take turns within a round, so
that a machine that slows down slows all of them. Figures are medians of the rounds, with the lowest and the highest;
behind them, how many times Fanfare's (in memory, in clear text) that is. **The ratios are what counts**: the figures
are those of one machine on one day. Latency counts from when a message was due, unpaced from when it was sent.
Every message is numbered: the last column says what was never delivered, delivered twice or out of order, in all
rounds together. [How it is measured]({readme}).
"""
WORDS = {
    "lost": "never delivered", "duplicated": "delivered twice", "reordered": "out of order",
    "misrouted": "to others than its subscribers", "damaged": "damaged", "ended": "streams closed",
}


def numbers(figure, reports):
    return [value for report in reports if (value := figure.of(report)) is not None]


def middle(figure, reports):
    values = numbers(figure, reports)
    return median(values) if values else None


def cell(figure, reports, reference):
    values = numbers(figure, reports)
    if not values:
        return "–"
    text, low, high = (figure.text(value) for value in [median(values), min(values), max(values)])
    if low != high:
        text += f" ({spread(text, low, high)})"
    if figure.compared and reference:
        ratio = median(values) / reference
        text += f" · {ratio:.3g} ×"
    return text


def spread(middle_, low, high):
    """From the lowest to the highest, without the unit where all three have the same."""
    (_, _, unit), *ends = (written.partition(" ") for written in [middle_, low, high])
    return " – ".join(end[0] for end in ends) if all(end[2] == unit for end in ends) else f"{low} – {high}"


def arrived(reports):
    total = Counter()
    for report in reports:
        total.update(violations(report))
    if not total:
        return "all, once, in order"
    return ", ".join(f"**{number:,}** {WORDS[name]}" for name, number in total.items())


class Results:
    """All reports, by scenario and hub, and why some are missing."""

    def __init__(self, scenarios, hubs):
        self.scenarios, self.hubs = scenarios, hubs
        self.reports = {(scenario.key, hub.name): [] for scenario in scenarios for hub in hubs}
        self.failures = {key: [] for key in self.reports}

    def of(self, scenario, hub):
        return self.reports[scenario.key, hub.name]

    def reference(self, scenario, figure):
        """What is compared with: the first hub that is Fanfare."""
        for hub in self.hubs:
            if hub.name == "Fanfare":
                return middle(figure, self.of(scenario, hub))
        return None

    def row(self, scenario, hub):
        reports, failures = self.of(scenario, hub), self.failures[scenario.key, hub.name]
        if not reports:
            why = hub.cannot(scenario) or "; ".join(dict.fromkeys(failures)) or "not run"
            return [hub.name, why] + ["" for _ in scenario.figures]
        cells = [cell(figure, reports, self.reference(scenario, figure)) for figure in scenario.figures]
        last = arrived(reports)
        if failures:
            last += f"; {len(failures)} of {len(failures) + len(reports)} runs failed: {failures[0]}"
        return [hub.name, *cells, last]

    def markdown(self, facts, versions, network_title, rounds, readme, chart):
        parts = [f"# Side by side, {network_title}\n", METHOD.format(readme=readme)]
        parts.append(f"![Each hub's figures as multiples of Fanfare's]({chart})\n")
        parts.append(
            f"{facts['date']}. {facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, "
            f"{facts['kernel']}; {rounds} round{'' if rounds == 1 else 's'}; Fanfare at commit {facts['commit']}."
            + (f" Loads and times scaled by {facts['scale']}." if facts["scale"] != 1 else "") + "\n")
        for scenario in self.scenarios:
            parts.append(f"## {scenario.title}\n")
            heads = ["hub", *[figure.name for figure in scenario.figures], "what arrived"]
            rows = [self.row(scenario, hub) for hub in self.hubs]
            parts.append(lines([heads, ["---"] * len(heads), *rows]))
        parts.append("## Versions and settings\n")
        rows = []
        for hub in self.hubs:
            settings = "; ".join(f"`{setting}`: {reason}" for setting, reason in hub.settings()) or "its defaults"
            rows.append([hub.name, versions[hub.name], settings])
        parts.append(lines([["hub", "version", "settings beyond its defaults, and why"], ["---"] * 3, *rows]))
        return "\n".join(parts)


def lines(rows):
    return "".join("| " + " | ".join(text.replace("|", "\\|") for text in row) + " |\n" for row in rows)
