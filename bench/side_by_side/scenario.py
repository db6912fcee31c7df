"""What is measured: the load of each scenario, and what is read from its reports."""

from dataclasses import dataclass, field

KIB = 1024


def time_text(nanoseconds):
    for unit, size in [("s", 1e9), ("ms", 1e6), ("µs", 1e3)]:
        if abs(nanoseconds) >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.0f} ns"


def rate_text(number):
    for unit, size in [("M/s", 1e6), ("k/s", 1e3)]:
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}/s"


def bytes_text(number):
    for unit, size in [("MiB", KIB**2), ("KiB", KIB)]:
        if abs(number) >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f} B"


def share_text(share):
    return f"{share * 100:.0f} %"


@dataclass(frozen=True)
class Figure:
    """A number of a report: the path to it, how it is written, and whether more of it is better."""

    name: str
    path: str
    text: callable
    more_is_better: bool = False
    scale: float = 1
    minus: str = ""
    per: str = ""
    # Compared with Fanfare's, rather than only shown.
    compared: bool = True

    def of(self, report):
        """The number, or nothing where the report has none."""
        value = dig(report, self.path)
        if value is None:
            return None
        value -= dig(report, self.minus) if self.minus else 0
        return value * self.scale / (dig(report, self.per) if self.per else 1)


def dig(report, path):
    for name in path.split("."):
        report = (report or {}).get(name)
    return report


CPU_PER_DELIVERY = Figure("server CPU per delivery", "run.server.cpu_per_delivery", time_text)
CPU_PER_PUBLISH = Figure("server CPU per publish", "run.server.cpu_per_publish", time_text)
DELIVERIES = Figure("deliveries", "run.window.deliveries_per_second", rate_text, more_is_better=True)
LATENCIES = [Figure(name, f"run.window.latency.{path}", time_text)
             for name, path in [("p50", "p50"), ("p99", "p99"), ("p99.9", "p99_9")]]
MEMORY = Figure("memory per subscriber, the program itself included", "run.server.resident_idle", bytes_text,
                per="run.plan.subscribers")
CPU_PER_CONNECT = Figure("server CPU per connect", "run.server.cpu_per_connect", time_text)
STORM = Figure("until the last has all it missed", "storm.seconds", time_text, scale=1e9)
LOADS = [Figure("server load", "run.server.cpu_load", share_text, compared=False),
         Figure("client load", "run.client_cpu_load", share_text, compared=False)]


@dataclass(frozen=True)
class Scenario:
    """One kind of work, the same for every hub."""

    key: str
    title: str
    work: object
    figures: list
    subscribers: int
    size: int = 128
    topics: int = 1
    publishers: int = 1
    slow: int = 0
    warmup: float = 0.5
    seconds: float = 2
    needs_resume: bool = False
    # The figure that the chart shows.
    charted: tuple = field(default_factory=tuple)

    def job(self, scale):
        """The part of a job for the driver that says what is to be done. `scale` shrinks it, for tests."""
        subscribers = max(round(self.subscribers * scale), 10)
        return {
            "work": self.work,
            "subscribers": subscribers,
            "slow": min(self.slow, subscribers // 4),
            "size": self.size,
            "topics": min(self.topics, subscribers),
            "publishers": self.publishers,
            "warmup": self.warmup * min(1, scale * 4),
            "seconds": self.seconds * min(1, scale * 4),
        }


def unpaced(key, size, words):
    in_flight = min(1000, KIB**2 // size)
    return Scenario(
        key, f"Unpaced, {words}: 1,000 subscribers, four publishers as fast as they are answered, at most {in_flight} "
             "messages on their way", {"unpaced": {"in_flight": in_flight}},
        [DELIVERIES, CPU_PER_DELIVERY, *LATENCIES, *LOADS], 1000, size=size, publishers=4,
        charted=((DELIVERIES, "unpaced: deliveries per second"),) if size == 128 else ())


def paced(key, size, rate, words, **more):
    return Scenario(key, f"Paced, {words}: 1,000 subscribers, {rate} messages/s", {"paced": {"rate": rate}},
                    [CPU_PER_DELIVERY, *LATENCIES], 1000, size=size, **more)


SCENARIOS = [
    paced("paced", 128, 50, "128 B", warmup=1, seconds=3,
          charted=((CPU_PER_DELIVERY, "paced: server CPU per delivery"), (LATENCIES[2], "paced: latency p99.9"))),
    paced("paced-1k", KIB, 50, "1 KiB"),
    paced("paced-16k", 16 * KIB, 10, "16 KiB"),
    unpaced("unpaced", 128, "128 B"),
    unpaced("unpaced-1k", KIB, "1 KiB"),
    unpaced("unpaced-16k", 16 * KIB, "16 KiB"),
    Scenario(
        "idle", "Idle: 10,000 subscribers, nothing published", "idle",
        [MEMORY,
         Figure("memory that each adds", "run.server.bytes_per_subscriber", bytes_text),
         CPU_PER_CONNECT],
        10_000, seconds=0.5,
        charted=((MEMORY, "10,000 idle: memory per subscriber, all in all"),
                 (CPU_PER_CONNECT, "connecting: server CPU each"))),
    Scenario(
        "storm", "Storm: 1,000 clients lose their streams, miss 50 messages, and return at once with `Last-Event-ID`",
        {"storm": {"missed": 50}},
        [STORM,
         Figure("server CPU per client", "storm.cpu_per_return", time_text),
         *[Figure(f"a missed message, {name}", f"storm.latency.{path}", time_text)
           for name, path in [("p50", "p50"), ("p99.9", "p99_9")]]],
        1000, needs_resume=True,
        charted=((STORM, "storm: until the last has all it missed"),)),
    Scenario(
        "topics", "Topics: 10,000 topics with one subscriber each, 1,000 messages/s, each to the next topic",
        {"paced": {"rate": 1000}}, [CPU_PER_PUBLISH, *LATENCIES], 10_000, topics=10_000, publishers=4,
        charted=((CPU_PER_PUBLISH, "10,000 topics: server CPU per publish"),)),
    Scenario(
        "slow", "Slow readers: 10 of 100 subscribers read nothing for 3.5 s, while 100 messages/s of 16 KiB are "
                "published, and then all, returning where their streams were closed; latency is that of the others",
        {"paced": {"rate": 100}},
        [Figure("p99.9 of the others", "run.window.latency.p99_9", time_text),
         Figure("server memory gained meanwhile", "run.server.resident_loaded", bytes_text,
                minus="run.server.resident_idle"),
         Figure("streams closed", "run.violations.ended", lambda n: f"{n:.0f}", compared=False)],
        100, size=16 * KIB, slow=10, seconds=3),
]


def violations(report):
    """What was wrong with the messages, by name."""
    found = dig(report, "run.violations") or dig(report, "storm.violations") or {}
    # What is foreign was not published in this run, and is no violation.
    return {name: number for name, number in found.items() if number and name != "foreign"}
