//! The hub server and its command line.

#[allow(dead_code)] // until the server routes to it
mod http;

fn main() {}
