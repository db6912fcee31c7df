//! A shard, turned by hand.

mod bounds;
mod ends;
mod model;
mod repeatable;
mod rig;
