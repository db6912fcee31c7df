"""PyPI's `pymercure`: prints what it hears of a topic. It does not come back by itself."""

import json
import sys

from pymercure.consumer import Consumer

url, topic = sys.argv[1:]


def heard(message):
    said = {"id": message.message_id, "type": message.event_type, "data": message.data}
    print(json.dumps(said), flush=True)


consumer = Consumer(url, [topic], heard)
consumer.start_consumption()
consumer.join()
