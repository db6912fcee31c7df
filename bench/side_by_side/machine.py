"""What was measured on, and when. Nothing names the machine."""

import datetime
import os
import platform
import re
import subprocess


def machine():
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%d %B %Y, %H:%M UTC"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3),
        "kernel": kernel(),
        "load_before": round(os.getloadavg()[0], 1),
        "commit": commit(),
    }


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True,
                          cwd=os.path.dirname(__file__))
    return done.stdout.strip() or "unknown"


def kernel():
    """Its version, without what its builder called it."""
    return f"{platform.system()} " + re.match("[0-9.]*", platform.release())[0].rstrip(".")
