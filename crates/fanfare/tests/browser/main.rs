//! The page, the console and the API's documentation in real Chromium, against the real hub.

mod chromium;
mod http;
mod hub;

mod api_docs;
mod burst;
mod console;
mod dead_end;
mod following;
mod gallery;
mod gap;
mod isolation;
mod listening;
mod markup;
mod narrow;
mod news;
mod popup;
mod publish_box;
mod reading;
mod reconnect;
mod sign_in;
mod tabs;
mod template;
mod upgrade;
