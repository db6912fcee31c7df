//! The API's documentation for people, as FastAPI has it: Swagger UI at `/docs`, Redoc at `/redoc`.
//!
//! What must hold: they load nothing that is not the hub's, so they work without a network.

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;
use axum::{Extension, Router};

use super::embedded::{Embedded, HTML, REVALIDATE, SCRIPT, STYLE, SVG, embedded, serve};
use super::openapi;
use crate::shared_body::SharedBody;

/// The page's policy, with what Swagger UI needs beside it: the pictures in its style sheet are
/// `data:`.
const SWAGGER_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Redoc adds its rules to a `<style>` element that it creates empty, so the first hash is that of
/// nothing; the second is that of the style sheet of its scroll bars.
const REDOC_POLICY: &str = "default-src 'none'; script-src 'self'; \
     style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' \
     'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='; img-src 'self' data:; \
     connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const JSON: &str = "application/json";

/// A page, with what it loads at its own path and each file's name.
struct Viewer {
    path: &'static str,
    policy: &'static str,
    page: Embedded,
    assets: &'static [Embedded],
}

static VIEWERS: [Viewer; 2] = [
    Viewer {
        path: "/docs",
        policy: SWAGGER_POLICY,
        page: embedded!("docs/index.html", HTML),
        assets: &[
            embedded!("docs/docs.js", SCRIPT),
            embedded!("docs/docs.css", STYLE),
            embedded!("icon.svg", SVG),
            embedded!("vendor/swagger-ui/swagger-ui.css", STYLE),
            embedded!("vendor/swagger-ui/swagger-ui-bundle.js", SCRIPT),
        ],
    },
    Viewer {
        path: "/redoc",
        policy: REDOC_POLICY,
        page: embedded!("redoc/index.html", HTML),
        assets: &[
            embedded!("redoc/redoc.js", SCRIPT),
            embedded!("redoc/redoc.css", STYLE),
            embedded!("icon.svg", SVG),
            embedded!("vendor/redoc/redoc.standalone.js", SCRIPT),
        ],
    },
];

/// Both pages, what they load, and `/openapi.json` for a hub under `prefix`.
pub(crate) fn docs(prefix: &str) -> Router {
    let description = Bytes::from(openapi::document(prefix));
    let headers = [(CONTENT_TYPE, JSON), (CACHE_CONTROL, REVALIDATE)];
    let mut router = Router::new().route(
        "/openapi.json",
        get(move || async move { (Extension(SharedBody), headers, description) }),
    );
    for Viewer { path, policy, page, assets } in &VIEWERS {
        router = serve(router, path, page, policy);
        for asset in *assets {
            let name = asset.path.rsplit('/').next().unwrap_or(asset.path);
            router = serve(router, &format!("{path}/{name}"), asset, policy);
        }
    }
    router
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::super::embedded::{assert_as_checked, assert_nothing_inline, loaded_by};
    use super::*;

    #[tokio::test]
    async fn every_address_in_a_page_is_served_and_every_asset_used() {
        for viewer in &VIEWERS {
            let loaded = loaded_by(&viewer.page, viewer.assets);
            assert_eq!(loaded.len(), viewer.assets.len(), "{loaded:?}");
            for address in loaded {
                let request = Request::get(format!("/{address}")).body(Body::empty()).unwrap();
                let answer = docs("/sse").oneshot(request).await.unwrap();
                assert_eq!(answer.status(), 200, "{address}");
                assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
            }
        }
    }

    #[test]
    fn no_page_has_anything_inline_that_its_policy_refuses() {
        VIEWERS.iter().for_each(|viewer| assert_nothing_inline(&viewer.page, viewer.assets));
    }

    #[test]
    fn what_is_vendored_is_what_was_checked() {
        let [swagger_ui, redoc] = VIEWERS.each_ref().map(|viewer| viewer.assets);
        let sums = include_str!("../../assets/vendor/swagger-ui/SHA256SUMS");
        assert_as_checked(swagger_ui, "vendor/swagger-ui/", sums);
        let sums = include_str!("../../assets/vendor/redoc/SHA256SUMS");
        assert_as_checked(redoc, "vendor/redoc/", sums);
    }
}
