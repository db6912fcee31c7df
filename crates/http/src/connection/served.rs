//! What becomes of a connection that is served, whichever protocol drives it.

use std::error::Error;
use std::pin::Pin;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;
/// A connection on its way to its end.
pub(super) type Served<'a> = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'a>>;
