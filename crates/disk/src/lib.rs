//! The event log on disk: segments of records, and a thread that writes them.
//!
//! ```text
//! FORMAT                    whose directory this is, and in which version
//! lock                      held by the hub that has it open, as is the directory itself
//! epochs                    the lineage, replaced at every start
//! trimmed                   up to where each topic was trimmed
//! keys                      idempotency keys whose events were trimmed within their window
//! unsynced                  there while events are acknowledged that are not on disk yet
//! <epoch>-<seq>.log         a segment, named by its first position
//! <epoch>-<seq>.idx         its index, once it is closed; alone where the disk was full and it has keys
//! <epoch>-<seq>.log.damaged a segment of which nothing can be read
//! ```
//!
//! What must hold:
//!
//! - What was acknowledged is found again after a crash, at its position, or its readers get a gap.
//! - One thread changes files; readers hold no lock while they read them.
//! - Every start is a new epoch, recorded before it is used.

mod closed_segment;
mod completion;
mod disk_log;
mod disk_state;
mod file_names;
mod format;
mod freeze;
mod index;
mod index_cache;
mod index_file;
mod keys_file;
mod lineage_file;
mod lock;
mod name_table;
mod open_error;
mod options;
mod queue;
mod reader;
mod reclaim;
mod recovery;
mod refusal;
mod report;
mod resume;
mod scan;
mod segment;
mod segment_keys;
mod selection;
mod shared;
mod state;
mod storage;
mod summary;
mod topic_limit;
mod trims;
mod trims_file;
mod unsynced_file;
mod upkeep;
mod writer;

pub use disk_log::DiskLog;
pub use disk_state::DiskState;
pub use freeze::FreezeError;
pub use lock::LockDescriptors;
pub use open_error::OpenError;
pub use options::{DiskOptions, InvalidSyncPolicy, SyncPolicy};
pub use report::{Damage, LogReport, SegmentReport, stats, verify};
pub use storage::{Directory, Storage, StoredFile};
pub use writer::{DiskWriter, Progress};
