"""PyPI's `pymercure`: publishes what it is given, and prints the id."""

import json
import sys

# This file bears the name of the package, and Python looks beside it first.
sys.path.pop(0)

from pymercure.message import Message  # noqa: E402
from pymercure.publisher.sync import SyncPublisher  # noqa: E402

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
