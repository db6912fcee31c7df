//! A hub's description: how to publish, how to subscribe, and what it offers.
//!
//! It is read from TOML; `hubs/README.md` explains the keys. What a hub does not offer is skipped,
//! not held against it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::template::Template;

/// The hub of this repository.
const FANFARE: &str = include_str!("../hubs/fanfare.toml");

/// What a check can need of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// The hub, not its publisher, makes events of messages.
    Framing,
    /// What is published to one topic is not heard on another.
    Topics,
    /// An event can be given a type.
    EventTypes,
    /// Every event has an id.
    Ids,
    /// The answer to a publish says the event's id.
    PublishId,
    /// Ids end in a number that counts without holes.
    DenseIds,
    /// A client resumes after its last event id.
    Resume,
    /// The id to resume after can stand in the URL.
    ResumeQuery,
    /// A word in place of an id asks for everything retained.
    Earliest,
    /// An id that the hub never gave out is known, to ask for it.
    UnknownId,
    /// The hub says when it cannot resume.
    Gap,
    /// A repeated publish can be known by a key.
    Idempotency,
    /// Publishes are JSON.
    Json,
    /// A longest body is known.
    Largest,
    /// Pages of one origin are allowed in.
    Cors,
    /// The hub can be started and stopped.
    Start,
}

impl Capability {
    /// The name, as a report has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Framing => "framing",
            Self::Topics => "topics",
            Self::EventTypes => "event types",
            Self::Ids => "ids",
            Self::PublishId => "the id in the answer",
            Self::DenseIds => "ids without holes",
            Self::Resume => "resumption",
            Self::ResumeQuery => "resumption by query",
            Self::Earliest => "everything retained",
            Self::UnknownId => "an id it never gave out",
            Self::Gap => "a word where it cannot resume",
            Self::Idempotency => "idempotency keys",
            Self::Json => "JSON to publish",
            Self::Largest => "a longest body",
            Self::Cors => "an allowed origin",
            Self::Start => "a command to start it",
        }
    }
}

/// Why a description cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no TOML, or has other keys than those known.
    #[error("the description of the hub is wrong: {0}")]
    Parse(#[from] toml::de::Error),
    /// A text has a place that cannot be filled in.
    #[error("the description of the hub is wrong: {0}")]
    Template(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    own_events: String,
    #[serde(default)]
    prefix: String,
    publish: PublishTable,
    subscribe: SubscribeTable,
    #[serde(default)]
    offers: Offers,
    cors: Option<CorsTable>,
    start: Option<StartTable>,
    /// What `bench/compare` wants to know of it.
    #[serde(rename = "bench")]
    _bench: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishTable {
    #[serde(default = "post")]
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    typed_headers: BTreeMap<String, String>,
    body: String,
    typed_body: Option<String>,
    id: Option<String>,
    #[serde(default)]
    json: bool,
    idempotency_header: Option<String>,
    largest_body: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscribeTable {
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    resume_query: Option<String>,
    /// For a hub that has another address for those who come back; `bench/compare` asks there.
    #[serde(rename = "resume_url")]
    _resume_url: Option<IgnoredAny>,
    earliest: Option<String>,
    unknown_id: Option<String>,
    gap_event: Option<String>,
    #[serde(default)]
    settle_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Offers {
    framing: bool,
    ids: bool,
    dense_ids: bool,
    resume: bool,
}

impl Default for Offers {
    fn default() -> Self {
        Self { framing: true, ids: true, dense_ids: false, resume: true }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CorsTable {
    origin: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StartTable {
    command: Vec<String>,
    url: String,
    #[serde(default)]
    stop: HubStopSignal,
}

/// What asks a hub to end its streams and then itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum HubStopSignal {
    #[default]
    #[serde(rename = "TERM")]
    Term,
    #[serde(rename = "QUIT")]
    Quit,
    #[serde(rename = "INT")]
    Int,
}

fn post() -> String {
    "POST".to_owned()
}

/// How to publish.
#[derive(Debug, Clone)]
pub(crate) struct Publish {
    pub(crate) method: String,
    pub(crate) url: Template,
    pub(crate) headers: Vec<(String, Template)>,
    pub(crate) typed_headers: Vec<(String, Template)>,
    pub(crate) body: Template,
    pub(crate) typed_body: Option<Template>,
    pub(crate) id: Option<IdPlace>,
    json: bool,
    pub(crate) idempotency_header: Option<String>,
    pub(crate) largest_body: Option<usize>,
}

/// Where in the answer to a publish the id stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IdPlace {
    /// At this JSON pointer of the body.
    Json(String),
    /// In this field.
    Header(String),
    /// The body is the id.
    Body,
}

/// How to subscribe.
#[derive(Debug, Clone)]
pub(crate) struct Subscribe {
    pub(crate) url: Template,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) resume_query: Option<String>,
    pub(crate) earliest: Option<String>,
    pub(crate) unknown_id: Option<String>,
    pub(crate) gap_event: Option<String>,
    pub(crate) settle: std::time::Duration,
}

/// How to start and stop the hub.
#[derive(Debug, Clone)]
pub(crate) struct StartCommand {
    pub(crate) command: Vec<Template>,
    pub(crate) url: Template,
    pub(crate) stop: HubStopSignal,
    /// Where the command runs.
    pub(crate) directory: Option<PathBuf>,
}

/// The description of a hub.
#[derive(Debug, Clone)]
pub struct HubDescription {
    /// What it is called.
    pub name: String,
    /// What the types of its own events begin with; empty where it has none.
    pub(crate) own_events: String,
    /// The path under which it answers where its URL names none.
    pub(crate) prefix: String,
    pub(crate) publish: Publish,
    pub(crate) subscribe: Subscribe,
    pub(crate) cors_origin: Option<String>,
    pub(crate) start: Option<StartCommand>,
    framing: bool,
    ids: bool,
    dense_ids: bool,
    resume: bool,
}

impl HubDescription {
    /// Fanfare, started as `program` where it has to be started.
    ///
    /// # Errors
    ///
    /// If the description that comes with this crate is broken.
    pub fn fanfare(program: &Path) -> Result<Self, HubError> {
        let mut hub = Self::parse(FANFARE, None)?;
        if let Some(first) = hub.start.as_mut().and_then(|start| start.command.first_mut()) {
            *first = template(&program.to_string_lossy())?;
        }
        Ok(hub)
    }

    /// The hub that a file describes.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or means nothing.
    pub fn read(path: &Path) -> Result<Self, HubError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| HubError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path.parent())
    }

    /// The hub that a text describes; its start command runs in `directory`.
    ///
    /// # Errors
    ///
    /// If the text means nothing.
    pub fn parse(text: &str, directory: Option<&Path>) -> Result<Self, HubError> {
        let file: File = toml::from_str(text)?;
        let publish = Publish {
            method: file.publish.method,
            url: template(&file.publish.url)?,
            headers: templates(file.publish.headers)?,
            typed_headers: templates(file.publish.typed_headers)?,
            body: template(&file.publish.body)?,
            typed_body: file.publish.typed_body.as_deref().map(template).transpose()?,
            id: file.publish.id.map(|place| IdPlace::parse(&place)),
            json: file.publish.json,
            idempotency_header: file.publish.idempotency_header,
            largest_body: file.publish.largest_body,
        };
        let subscribe = Subscribe {
            url: template(&file.subscribe.url)?,
            headers: file.subscribe.headers.into_iter().collect(),
            resume_query: file.subscribe.resume_query,
            earliest: file.subscribe.earliest,
            unknown_id: file.subscribe.unknown_id,
            gap_event: file.subscribe.gap_event,
            settle: std::time::Duration::from_millis(file.subscribe.settle_ms),
        };
        let start = file.start.map(|table| start(&table, directory)).transpose()?;
        Ok(Self {
            name: file.name,
            own_events: file.own_events,
            prefix: file.prefix,
            publish,
            subscribe,
            cors_origin: file.cors.map(|cors| cors.origin),
            start,
            framing: file.offers.framing,
            ids: file.offers.ids,
            dense_ids: file.offers.dense_ids,
            resume: file.offers.resume,
        })
    }

    /// Names the origin whose pages the hub lets in.
    pub fn allow_origin(&mut self, origin: Option<String>) {
        self.cors_origin = origin;
    }

    /// Adds arguments to the command that starts the hub.
    ///
    /// # Errors
    ///
    /// If one has a place that cannot be filled in.
    pub fn start_with(&mut self, arguments: &[String]) -> Result<(), HubError> {
        if let Some(start) = &mut self.start {
            for argument in arguments {
                start.command.push(template(argument)?);
            }
        }
        Ok(())
    }

    /// Whether it offers what a check needs.
    #[must_use]
    pub fn offers(&self, capability: Capability) -> bool {
        let (publish, subscribe) = (&self.publish, &self.subscribe);
        match capability {
            Capability::Framing => self.framing,
            Capability::Topics => subscribe.url.names("topic"),
            Capability::EventTypes => {
                publish.typed_body.is_some() || !publish.typed_headers.is_empty()
            }
            Capability::Ids => self.ids,
            Capability::PublishId => self.ids && publish.id.is_some(),
            Capability::DenseIds => self.ids && self.dense_ids,
            Capability::Resume => self.ids && self.resume,
            Capability::ResumeQuery => self.ids && self.resume && subscribe.resume_query.is_some(),
            Capability::Earliest => self.ids && self.resume && subscribe.earliest.is_some(),
            Capability::UnknownId => self.ids && self.resume && subscribe.unknown_id.is_some(),
            Capability::Gap => self.ids && self.resume && subscribe.gap_event.is_some(),
            Capability::Idempotency => publish.idempotency_header.is_some(),
            Capability::Json => publish.json,
            Capability::Largest => publish.largest_body.is_some(),
            Capability::Cors => self.cors_origin.is_some(),
            Capability::Start => self.start.is_some(),
        }
    }
}

impl IdPlace {
    fn parse(text: &str) -> Self {
        match text.strip_prefix("header:") {
            Some(name) => Self::Header(name.to_ascii_lowercase()),
            None if text == "body" => Self::Body,
            None => Self::Json(text.to_owned()),
        }
    }
}

fn start(table: &StartTable, directory: Option<&Path>) -> Result<StartCommand, HubError> {
    let command = table.command.iter().map(|word| template(word)).collect::<Result<Vec<_>, _>>()?;
    if command.is_empty() {
        return Err(HubError::Template("start.command names no program".to_owned()));
    }
    Ok(StartCommand {
        command,
        url: template(&table.url)?,
        stop: table.stop,
        directory: directory.filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned),
    })
}

fn template(text: &str) -> Result<Template, HubError> {
    Template::parse(text).map_err(HubError::Template)
}

fn templates(headers: BTreeMap<String, String>) -> Result<Vec<(String, Template)>, HubError> {
    headers.into_iter().map(|(name, value)| Ok((name, template(&value)?))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn every_description_of_the_suite_is_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("hubs");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut read = 0;
        for path in files.filter(|path| path.extension().is_some_and(|it| it == "toml")) {
            let hub = HubDescription::read(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(hub.start.is_some(), "{} is started by the suite", hub.name);
            read += 1;
        }
        assert!(read > 3);
    }
}
