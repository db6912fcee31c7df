"""PyPI's `httpx-sse`, with the loop that its documentation leaves to the caller."""

import json
import sys
import time

import httpx
from httpx_sse import connect_sse

last_id = ""
with httpx.Client(timeout=None) as client:
    while True:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        try:
            with connect_sse(client, "GET", sys.argv[1], headers=headers) as stream:
                for event in stream.iter_sse():
                    last_id = event.id or last_id
                    print(json.dumps({"id": event.id, "type": event.event, "data": event.data}), flush=True)
        except httpx.TransportError:
            pass
        time.sleep(0.05)
