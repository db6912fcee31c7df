"""PyPI's `mercure-publisher`: publishes what it is given, with a token that it signs itself, and prints the id."""

import json
import sys

from mercure_publisher import MercureConfig, MercurePublisher

url, secret, update = sys.argv[1:]
update = json.loads(update)
topics, data = update.pop("topics"), update.pop("data")
config = MercureConfig(hub_url=url, publisher_jwt_key=secret, publish_topics=["*"])
with MercurePublisher(config) as publisher:
    print(publisher.publish(topics, data, **update))
