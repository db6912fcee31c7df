"""`curl -N`, and the few lines that read what it prints."""

import json
import subprocess
import sys
import time

last_id = ""
while True:
    resume = ["-H", f"Last-Event-ID: {last_id}"] if last_id else []
    curl = subprocess.Popen(["curl", "-sN", *resume, sys.argv[1]], stdout=subprocess.PIPE)
    kind, data = "message", []
    for line in curl.stdout:
        name, _, value = line.decode().removesuffix("\n").partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            last_id = value
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "" and value == "":
            if data:
                print(json.dumps({"id": last_id, "type": kind, "data": "\n".join(data)}), flush=True)
            kind, data = "message", []
    curl.wait()
    time.sleep(0.05)
