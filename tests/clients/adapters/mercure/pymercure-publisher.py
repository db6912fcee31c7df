"""PyPI's `pymercure`: publishes what it is given, and prints the id."""

import json
import sys

from pymercure.message import Message
from pymercure.publisher.sync import SyncPublisher

url, token, update = sys.argv[1:]
update = json.loads(update)
message = Message(
    update["topics"],
    update["data"],
    message_id=update.get("id"),
    event_type=update.get("type"),
    retry=update.get("retry"),
)
print(SyncPublisher(url, token).publish(message))
