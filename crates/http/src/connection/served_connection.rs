//! A connection that is served, as what drives it to its end, whichever the protocol.

use std::error::Error;
use std::pin::Pin;

/// Why it ended otherwise than it should.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;
/// A connection on its way to its end.
pub(super) type ServedConnection<'a> =
    Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'a>>;
