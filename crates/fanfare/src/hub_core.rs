//! The core of a hub: the logs, the streams and the way to the other nodes, without anything of HTTP requests.
//!
//! What must hold: with the state of another process, it writes nothing before it is thawed.

use std::net::SocketAddr;
use std::sync::Arc;

use fanfare_delivery::{Delivery, DeliverySettings};
use fanfare_http::{Console, Node, Presence, PublishStreams, QuestionHandler};
use fanfare_hub::Hub;
use fanfare_log::Tail;
use fanfare_settings::Settings;

use crate::cluster::RedisCluster;
use crate::config;
use crate::engine::{self, OpenEngine};
use crate::hub_state::{DeferredState, HubState};
use crate::logs::{self, Logs};
use crate::serve_error::ServeError;

/// What is under HTTP.
pub(crate) struct HubCore {
    pub(crate) node: Node,
    pub(crate) hub: Arc<Hub>,
    pub(crate) logs: Logs,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) console: Arc<Console>,
    /// Publishers that stream.
    pub(crate) publish_streams: Arc<PublishStreams>,
    pub(crate) cluster: Option<Arc<RedisCluster>>,
    /// What is left to be taken in of the state of another process.
    pub(crate) rest: Option<DeferredState>,
}

impl HubCore {
    /// Opens it for a hub that listens at `address`, with the `state` of another process if it is to go on with one.
    /// The `presence` answers what other nodes ask.
    pub(crate) async fn open(
        settings: &Settings,
        address: SocketAddr,
        delivery: &DeliverySettings,
        presence: Option<&Presence>,
        state: Option<HubState>,
    ) -> Result<Self, ServeError> {
        let node = config::node(settings, address);
        let (node, engine_state, console_state, rest) = match state {
            Some(HubState { node: identity, engine, console, rest }) => {
                (node.resumed(&identity), Some(engine), Some(console), Some(rest))
            }
            None => (node, None, None, None),
        };
        let (engine, window) = (config::engine(settings), config::window(settings));
        let OpenEngine { hub, engine } = engine::open(engine, window, engine_state).await?;
        let cluster = RedisCluster::of(&engine, node.id).map(Arc::new);
        let delivery = Arc::new(Delivery::start(&hub, delivery)?);
        let window = Console::window();
        let console_log = logs::console(Arc::clone(&window) as Arc<dyn Tail>, console_state);
        let logs = Logs { engine, console: Arc::clone(&console_log) };
        let console = Arc::new(Console::new(config::console(settings), window, console_log)?);
        let publish_streams = PublishStreams::new();
        if let Some(cluster) = &cluster {
            let deliveries = vec![Arc::clone(&delivery), Arc::clone(&console.delivery)];
            let answers =
                presence.map(|presence| Arc::new(presence.clone()) as Arc<dyn QuestionHandler>);
            cluster.listen(deliveries, Arc::clone(&publish_streams), answers);
        }
        Ok(Self { node, hub, logs, delivery, console, publish_streams, cluster, rest })
    }
}
