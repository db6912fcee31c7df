//! The page in real Chromium, against the real hub.

mod chromium;
mod http;
mod hub;

mod burst;
mod following;
mod gap;
mod isolation;
mod markup;
mod narrow;
mod picture;
mod popup;
mod publish_box;
mod template;
