//! A shard, turned by hand.

mod bounds;
mod comings;
mod ends;
mod failed_pages;
mod heartbeats;
mod losses;
mod model;
mod pauses;
mod repeatable;
mod rig;
mod short_turns;
mod wakes;
