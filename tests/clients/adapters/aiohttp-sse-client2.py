"""PyPI's `aiohttp-sse-client2`. It resumes after a stream that ended, not after one that broke."""

import asyncio
import json
import sys
from datetime import timedelta

import aiohttp
from aiohttp_sse_client2 import client as sse


async def main():
    last_id = ""
    forever = aiohttp.ClientTimeout(total=None)
    patient = {"timeout": forever, "reconnection_time": timedelta(milliseconds=50), "max_connect_retry": 1000}
    while True:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        try:
            async with sse.EventSource(sys.argv[1], headers=headers, **patient) as events:
                async for event in events:
                    last_id = event.last_event_id or last_id
                    said = {"id": event.last_event_id, "type": event.type or "message", "data": event.data}
                    print(json.dumps(said), flush=True)
        except aiohttp.ClientError:
            await asyncio.sleep(0.05)


asyncio.run(main())
