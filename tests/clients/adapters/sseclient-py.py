"""PyPI's `sseclient-py` over urllib3, with the loop that its documentation leaves to the caller."""

import json
import sys
import time

import sseclient
import urllib3

last_id = ""
pool = urllib3.PoolManager()
while True:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    try:
        response = pool.request("GET", sys.argv[1], headers=headers, preload_content=False, retries=False)
        for event in sseclient.SSEClient(response).events():
            last_id = event.id or last_id
            print(json.dumps({"id": event.id, "type": event.event, "data": event.data}), flush=True)
    except urllib3.exceptions.HTTPError:
        pass
    time.sleep(0.05)
