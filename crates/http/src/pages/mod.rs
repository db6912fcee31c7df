//! Pages: the files that the hub serves, each part of the binary but one.

mod console;
mod docs;
mod embedded;
mod index;
mod openapi;
mod security_txt;

pub(crate) use self::console::console;
pub(crate) use self::docs::docs;
pub(crate) use self::index::index;
pub(crate) use self::security_txt::security_txt;
