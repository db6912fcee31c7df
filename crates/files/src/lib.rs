//! Files that people write and the hub reads: keys, certificates, settings, a page.
//!
//! What must hold: a file is read whole or not at all. One that is longer than its bound is an error, never
//! read in part: the rest of a key is another key.

mod bounded;
mod stamp;
mod watched;

pub use bounded::{read_bounded, read_bounded_text, read_to_bound};
pub use stamp::FileStamp;
pub use watched::WatchedFiles;
