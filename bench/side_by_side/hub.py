"""A hub under measurement: its description, as `crates/conformance/hubs/README.md` explains it, its processes on
a core of their own, and how it is asked.

What must hold: a hub that was started is gone afterwards, with all its processes.
"""

import atexit
import contextlib
import functools
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import tomllib
from pathlib import Path
from urllib.parse import quote, urlsplit

START_SECONDS = 60
STOP_SECONDS = 5
PLACE = re.compile(r"\{(topic|message|event|id|port|port2|port3|dir|host|certificate|key)((?::(?:json|url|sse))*)\}")


class NotMeasured(Exception):
    """Why a hub could not be started, or could not do what was asked of it."""


def sse(text):
    return "".join(f"data: {line}\n" for line in text.split("\n")) + "\n"


FILTERS = {
    "json": lambda text: json.dumps(text, ensure_ascii=False),
    # What is filled in later needs no escape: see crates/bench/src/requests.rs.
    "url": lambda text: quote(text, safe="{}"),
    "sse": sse,
}


def fill(template, values):
    """Fills in what `values` has; a place whose value comes later stays one, filtered."""

    def place(match):
        text = values.get(match[1], "{" + match[1] + "}")
        for name in filter(None, match[2].split(":")):
            text = FILTERS[name](text)
        return text

    return PLACE.sub(place, template)


def free_ports(host, number):
    held = [socket.socket() for _ in range(number)]
    for probe in held:
        probe.bind((host, 0))
    ports = [str(probe.getsockname()[1]) for probe in held]
    for probe in held:
        probe.close()
    return ports


class Hub:
    """One row of the table: a hub with one set of settings."""

    def __init__(self, path, table, variant):
        self.path = path
        self.table = table
        self.bench = table.get("bench", {})
        self.variant = variant
        self.name = variant.get("name", table["name"])
        self.key = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")
        self.publish = table["publish"]
        self.subscribe = table["subscribe"]
        offers = table.get("offers", {})
        self.has_topics = "{topic" in self.subscribe["url"]
        self.resumes = self.bench.get("resumes", offers.get("ids", True) and offers.get("resume", True))
        self.is_tls = variant.get("tls", False)

    @staticmethod
    def read(path):
        """The hubs that a file describes: one for each variant."""
        path = Path(path).resolve()
        with open(path, "rb") as file:
            table = tomllib.load(file)
        if "start" not in table:
            raise SystemExit(f"error: {path} has no [start]: the hub could not be put on a core of its own")
        return [Hub(path, table, variant) for variant in table.get("bench", {}).get("variant", [{}])]

    def settings(self):
        """What it is started with beyond its defaults, and why."""
        return [*self.bench.get("settings", []), *self.variant.get("settings", [])]

    def command(self, programs, values):
        words = [*self.table["start"]["command"], *self.variant.get("arguments", [])]
        if values["host"] != "127.0.0.1":
            words += self.bench.get("on_a_network", [])
        first, *rest = words
        # A program of this repository, where it was built; a script beside the description; or one on the PATH.
        first = programs.get(first) or next(
            (str(there) for there in [self.path.parent / first] if "/" in first and there.exists()), first)
        return [fill(word, values) for word in [first, *rest]]

    def version(self, programs):
        words = self.bench.get("version", [])
        if not words:
            return "–"
        words = [programs.get(words[0], words[0]), *words[1:]]
        path = os.environ["PATH"] + ":/usr/sbin"
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(words, capture_output=True, text=True, timeout=20,
                                  env={**os.environ, "PATH": path})
            for line in (done.stdout + done.stderr).splitlines():
                if re.search(r"\d+\.\d+", line):
                    return line.strip()
        return "unknown"

    def cannot(self, scenario):
        """Why it cannot do a scenario; nothing where it can."""
        if scenario.topics > 1 and not self.has_topics:
            return "no topics"
        if scenario.needs_resume and not self.resumes:
            return "does not resume"
        if scenario.size > self.publish.get("largest_body", scenario.size):
            return f"messages of at most {self.publish['largest_body']} bytes"
        return None

    @contextlib.contextmanager
    def started(self, programs, core, network, log):
        """Starts it on `core`; it answers by the time it is handed over."""
        directory = Path(tempfile.mkdtemp(prefix="fanfare-compare-"))
        host = network.server_host
        values = dict(zip(["port", "port2", "port3"], free_ports("127.0.0.1", 3)), host=host, dir=str(directory))
        if self.is_tls:
            values["certificate"], values["key"] = certificate()
        command = [*network.at_server, "taskset", "-c", str(core), *self.command(programs, values)]
        with open(log, "ab") as output:
            try:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                           cwd=directory, start_new_session=True)
            except OSError as error:
                raise NotMeasured(f"cannot start {command[0]}: {error}") from error
        try:
            running = Running(self, process, values)
            running.wait()
            yield running
        finally:
            stop(process)
            shutil.rmtree(directory, ignore_errors=True)


class Running:
    """A hub that runs, and the requests it takes, with places for what a client fills in."""

    def __init__(self, hub, process, values):
        self.hub, self.process, self.values = hub, process, values
        self.base = fill(hub.table["start"]["url"], values) + hub.table.get("prefix", "")

    def job(self, resumes=True):
        """The part of a job for the driver that says how this hub is asked."""
        subscribe, publish = self.hub.subscribe, self.hub.publish
        address, path = self.locate(subscribe["url"])
        resume = None
        if resumes and self.hub.resumes:
            if "resume_url" in subscribe:
                _, resumed = self.locate(subscribe["resume_url"])
                resume = self.head("GET", resumed, address, subscribe.get("headers", {}))
            else:
                headers = {"Last-Event-ID": "{id}", **subscribe.get("headers", {})}
                resume = self.head("GET", path, address, headers)
        publish_address, publish_path = self.locate(publish["url"])
        headers = {"Content-Length": "{length}", **publish.get("headers", {})}
        return {
            "address": address,
            "publish_address": publish_address,
            "subscribe": self.head("GET", path, address, subscribe.get("headers", {})),
            "resume": resume,
            "publish": self.head(publish.get("method", "POST"), publish_path, publish_address, headers),
            "body": fill(publish["body"], self.values),
            "wrapped": self.hub.bench.get("wrapped", False),
            "id_after": self.hub.bench.get("id_after"),
            "certificate": self.values.get("certificate"),
            "pid": self.process.pid,
        }

    def locate(self, url):
        """The address and the path of a URL of the description."""
        url = fill(url, self.values)
        parts = urlsplit(url if "://" in url else self.base + url)
        return parts.netloc, parts.path + ("?" + parts.query if parts.query else "")

    def head(self, method, path, address, headers):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {address}"]
        if method == "GET":
            lines.append("Accept: text/event-stream")
        lines += [f"{name}: {fill(value, self.values)}" for name, value in headers.items()]
        return "\r\n".join(lines) + "\r\n\r\n"

    def wait(self):
        """Waits until what is published is heard."""
        deadline = time.monotonic() + START_SECONDS
        said = None
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise NotMeasured(f"it ended at once, with {self.process.returncode}")
            try:
                said = self.is_heard()
                if said is None:
                    return
            except (OSError, ssl.SSLError, http.client.HTTPException) as error:
                said = str(error)
            time.sleep(0.05)
        raise NotMeasured(f"nothing that is published is heard: {said}")

    def prepare(self, topics):
        """Makes the topics, at a hub where that has to be done."""
        request = self.hub.bench.get("prepare")
        if not request:
            return
        address, path = self.locate(request["url"])
        connection = http.client.HTTPConnection(address, timeout=10)
        headers = {name: fill(value, self.values) for name, value in request.get("headers", {}).items()}
        for topic in topics:
            connection.request(request["method"], path.replace("{topic}", topic), headers=headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 300:
                raise NotMeasured(f"it does not make a topic: {answer.status} {answer.reason}")
        connection.close()

    def is_heard(self):
        """Subscribes, publishes, reads; what was answered instead, if it was not heard."""
        job = self.job()
        self.prepare(["ready"])
        body = job["body"].replace("{topic}", "ready").replace("{message}", "are-you-there")
        publication = job["publish"].replace("{topic}", "ready").replace("{length}", str(len(body)))
        with self.connect(job["address"]) as stream, self.connect(job["publish_address"]) as publisher:
            stream.sendall(job["subscribe"].replace("{topic}", "ready").encode())
            seen = read_until(stream, b"\r\n\r\n")
            if b" 200 " not in seen.split(b"\r\n")[0]:
                return seen[:200].decode(errors="replace") or "no answer"
            time.sleep(self.hub.subscribe.get("settle_ms", 0) / 1000)
            publisher.sendall((publication + body).encode())
            answer = read_until(publisher, b"\r\n")
            if b"are-you-there" in seen + read_until(stream, b"are-you-there"):
                return None
            return answer.decode(errors="replace").strip() or "no answer"

    def connect(self, address):
        host, _, port = address.rpartition(":")
        wire = socket.create_connection((host, int(port)), timeout=1)
        if self.hub.is_tls:
            context = ssl.create_default_context(cafile=self.values["certificate"])
            wire = context.wrap_socket(wire, server_hostname="localhost")
        return wire


def read_until(wire, end):
    seen = b""
    with contextlib.suppress(TimeoutError):
        while end not in seen and (piece := wire.recv(65536)):
            seen += piece
    return seen


@functools.cache
def certificate():
    """A certificate for localhost that signs itself, and its key, for as long as this program runs."""
    directory = tempfile.TemporaryDirectory(prefix="fanfare-compare-")
    atexit.register(directory.cleanup)
    paths = [os.path.join(directory.name, name) for name in ["certificate.pem", "key.pem"]]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
               "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
               "-addext", "basicConstraints=critical,CA:FALSE", "-days", "2", "-out", paths[0], "-keyout", paths[1]]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except OSError as error:
        raise NotMeasured("openssl is needed to make a certificate") from error
    return paths


def stop(process):
    """Ends a hub with all its processes, some of which may have groups of their own; nothing of theirs is kept."""
    family = descendants(process.pid)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)


def descendants(pid):
    """The processes that it, and they in turn, have started."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # One may end meanwhile.
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    family = [pid]
    for parent in family:
        family += [child for child, of in parents.items() if of == parent]
    return family[1:]
