//! The crate `mercure`: publishes what it is given, with a token that it signs itself, and prints that it did. Its id
//! is not to be had.

use std::error::Error;

use mercure::client::PublishUpdatePrivacy;
use mercure::{Client, HubUrl, PublisherJwt, Topic, TopicSelector};
use serde_json::Value;
use url::Url;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [url, secret, update] = <[String; 3]>::try_from(Vec::from_iter(std::env::args().skip(1)))
        .map_err(|_| "give a URL, a secret and an update")?;
    let update: Value = serde_json::from_str(&update)?;
    let topics = update["topics"].as_array().ok_or("topics is a list")?;
    let topics = topics.iter().map(|topic| topic.as_str().unwrap_or_default().parse());
    let mut topics = topics.collect::<Result<Vec<Url>, _>>()?;
    let topic = Topic::new(topics.remove(0), topics);
    let privacy = match update["private"] {
        Value::Bool(true) => PublishUpdatePrivacy::Private,
        _ => PublishUpdatePrivacy::Public,
    };
    let token = PublisherJwt::new(&secret.into_bytes().into(), vec![TopicSelector::Wildcard])?;
    let hub = HubUrl::try_from(url.parse::<Url>()?).map_err(|_| "not the URL of a hub")?;
    let client = Client::new(reqwest::Client::new(), hub, token);
    client.publish_update(topic, update["data"].as_str(), privacy).await?;
    Ok(())
}
