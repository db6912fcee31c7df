//! The page, the console and the API's documentation in real Chromium, against the real hub.

mod chromium;
mod http;
mod hub;

mod api_docs;
mod burst;
mod console;
mod following;
mod gap;
mod isolation;
mod markup;
mod narrow;
mod picture;
mod popup;
mod publish_box;
mod template;
