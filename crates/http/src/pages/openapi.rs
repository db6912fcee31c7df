//! The description of the API, as OpenAPI 3.1: `/openapi.json`.
//!
//! It is a file, written by hand and reviewed like the code; what keeps it true are the tests
//! below. Every route of the router is described in it, and every operation it describes is
//! answered. Names and schemas are those that FastAPI gives the guide's server, so that clients
//! generated from either fit both.

use serde_json::{Map, Value};

/// The description of a hub under [`WRITTEN_FOR`].
const DOCUMENT: &str = include_str!("../../assets/openapi.json");
/// The prefix in the paths of [`DOCUMENT`].
const WRITTEN_FOR: &str = "/sse";

/// The description of a hub under `prefix`, as JSON.
pub(super) fn document(prefix: &str) -> String {
    // What is embedded is known to parse; see the tests.
    let mut document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    if let Some(Value::Object(paths)) = document.get_mut("paths") {
        *paths = std::mem::take(paths).into_iter().map(|path| under(prefix, path)).collect();
    }
    format!("{document:#}\n")
}

/// One entry of `paths`, moved under `prefix` if it is not the same for all.
fn under(prefix: &str, (path, mut operations): (String, Value)) -> (String, Value) {
    let Some(rest) = path.strip_prefix(WRITTEN_FOR) else { return (path, operations) };
    let moved = format!("{prefix}{rest}");
    for (method, operation) in operations.as_object_mut().unwrap_or(&mut Map::new()) {
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        let function = id.strip_suffix(&id_suffix(&path, method)).unwrap_or(id);
        operation["operationId"] = format!("{function}{}", id_suffix(&moved, method)).into();
    }
    (moved, operations)
}

/// What FastAPI appends to a function's name: `_sse_send_post` for `POST /sse/send`.
fn id_suffix(path: &str, method: &str) -> String {
    let path: String = path.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    format!("{path}_{method}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::AccessConfig;
    use crate::quotas::QuotaLimits;
    use crate::router::{RouterConfig, router};
    use crate::state::AppState;

    #[test]
    fn what_is_served_is_what_is_checked_in() {
        assert_eq!(document(WRITTEN_FOR), DOCUMENT);
    }

    #[test]
    fn another_prefix_is_not_described_under_the_default_one() {
        for (prefix, path, id) in [
            ("", "/send", "send_message_send_post"),
            ("/v1/live.sse", "/v1/live.sse/send", "send_message_v1_live_sse_send_post"),
        ] {
            let document: Value = serde_json::from_str(&document(prefix)).unwrap();
            assert_eq!(document["paths"][path]["post"]["operationId"], id);
            assert!(document["paths"]["/healthz"].is_object());
            assert!(document["paths"].get("/sse/send").is_none());
        }
    }

    #[test]
    fn the_names_are_those_of_the_guides_server() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let id = |path: &str, method: &str| document["paths"][path][method]["operationId"].clone();
        assert_eq!(id("/sse/", "get"), "get_index_sse__get");
        assert_eq!(id("/sse/events", "get"), "sse_sse_events_get");
        assert_eq!(id("/sse/send", "post"), "send_message_sse_send_post");
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(id.ends_with(&id_suffix(path, method)), "{id}");
            }
        }
    }

    #[test]
    fn every_schema_that_is_referred_to_is_there_and_used() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        // Events' data cannot be referred to: OpenAPI 3.1 has no schema for a stream of events.
        let said_in_words = ["Envelope", "Gap", "Stats"];
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            let reference = format!("\"#/components/schemas/{name}\"");
            assert!(said_in_words.contains(&&**name) || DOCUMENT.contains(&reference), "{name}");
        }
        for reference in DOCUMENT.split("#/components/schemas/").skip(1) {
            let name = reference.split_once('"').unwrap().0;
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    /// The router cannot be asked for its routes, only printed. Should the print change, no route
    /// is found and the test fails.
    #[tokio::test]
    async fn every_route_is_described() {
        let app = AppState::idle(&QuotaLimits::few(), AccessConfig::private(), 1);
        let config =
            RouterConfig { prefix: "/sse", templates: None, security_contacts: &[], mercure: None };
        let printed = format!("{:?}", router(&app, config));
        let routes = printed.split("node: Node").nth(1).unwrap();
        let routes: Vec<_> = routes
            .split("RouteId(")
            .skip(1)
            .filter_map(|rest| rest.split('"').nth(1))
            .filter(|path| path.starts_with('/'))
            // OpenAPI does not say that a parameter may hold slashes.
            .map(|path| path.replace("{*", "{"))
            .collect();
        assert!(routes.iter().any(|path| path == "/sse/send"), "{printed}");
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let described = document["paths"].as_object().unwrap();
        // Files, redirects, and the description itself, which FastAPI leaves out too.
        let left_out = [
            "/",
            "/sse",
            "/sse/send/",
            "/sse/events/",
            "/sse/console/",
            "/sse/fanfare.js",
            "/docs",
            "/redoc",
            "/openapi.json",
        ];
        let folders = ["/sse/assets/", "/docs/", "/redoc/"];
        let files = |path: &str| folders.iter().any(|folder| path.starts_with(folder));
        for path in &routes {
            let known =
                described.contains_key(path) || left_out.contains(&path.as_str()) || files(path);
            assert!(known, "{path} is not in assets/openapi.json");
        }
        for path in described.keys() {
            assert!(routes.contains(path), "{path} is described and not served");
        }
    }
}
