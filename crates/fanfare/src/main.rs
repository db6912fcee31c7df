//! The hub server and its command line.

fn main() {}
