//! A connection: accepted, entered in the table, recognised by its first bytes, and driven by
//! hyper until it ends or its socket is taken over.
//!
//! What must hold: whoever sends nothing, too little or nonsense costs a place in the table for a
//! bounded time, and holds up nobody.

mod accept;
mod answer;
mod answer_hold;
mod connections;
mod eviction_order;
mod first_bytes;
mod http1;
mod http2;
mod http2_frames;
mod idle_queue;
mod lifecycle;
mod limits;
mod linger;
mod parking;
mod progress;
mod record_boundary;
mod serve;
mod served_connection;
mod table;
mod takeover;
mod tls;
mod tls_takeover;
mod unfinished;

pub use self::accept::accept;
pub use self::connections::Connections;
pub use self::lifecycle::Lifecycle;
pub use self::limits::ConnectionLimits;
pub use self::parking::{ParkedConnection, Parking};
pub use self::serve::ReenteredConnection;
pub use self::table::{ConnectionTable, TableLimits};
pub(crate) use self::unfinished::Unfinished;
