"""Where client and server meet: on loopback, or over a pair of virtual devices between two network namespaces.

On loopback, the sender's CPU time pays for the receiver's side of the kernel too; over the pair less of it does.
"""

import contextlib
import os
import subprocess
import sys

# Of the addresses that are for tests of networks (RFC 2544).
SERVER, CLIENT = "198.18.77.1", "198.18.77.2"
INSIDE = "FANFARE_COMPARE_NAMESPACE"


class Loopback:
    """Both in this namespace."""

    server_host = "127.0.0.1"
    at_server = ()
    title = "over loopback"


class Pair:
    """This process is in the client's namespace, and starts servers in the other."""

    server_host = SERVER
    title = "over a veth pair between two network namespaces"

    def __init__(self, server):
        self.at_server = ("ip", "netns", "exec", server)


def network():
    """The network that this process was put into."""
    server = os.environ.get(INSIDE)
    return Pair(server) if server else Loopback()


def run_in_pair():
    """Lays a pair, runs this program again in the client's namespace, and takes the pair away. The exit code."""
    server, client = f"ffs{os.getpid()}", f"ffc{os.getpid()}"
    with contextlib.ExitStack() as stack:
        for name in [server, client]:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)
            ip("-n", name, "link", "set", "lo", "up")
        # The device is taken away with its namespace.
        ip("-n", server, "link", "add", "bench", "type", "veth", "peer", "name", "bench", "netns", client)
        for name, address in [(server, SERVER), (client, CLIENT)]:
            ip("-n", name, "address", "add", f"{address}/30", "dev", "bench")
            ip("-n", name, "link", "set", "bench", "up")
        command = ["ip", "netns", "exec", client, sys.executable, *sys.argv]
        inside = subprocess.Popen(command, env={**os.environ, INSIDE: server})
        # Whoever ends this program waits for that one to end what it has started.
        stack.callback(inside.wait)
        stack.callback(inside.terminate)
        return inside.wait()


def ip(*words):
    try:
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
    except OSError:
        raise SystemExit("error: --veth needs iproute2") from None
    if done.returncode:
        raise SystemExit(f"error: --veth takes root: `ip {' '.join(words)}`: {done.stderr.strip()}")
