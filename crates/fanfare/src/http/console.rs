//! The console: its page at `<prefix>/console`, and the stream of statistics that it shows.
//!
//! The page itself is for everyone, since it holds nothing; what it asks for is guarded.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;
use fanfare_auth::SubscribeGrant;
use fanfare_event::Selector;
use fanfare_hub::Requested;

use super::admin;
use super::client::network_of;
use super::embedded::{Embedded, HTML, POLICY, SCRIPT, STYLE, embedded, serve};
use super::error::Error;
use super::places::Placed;
use super::router::Shared;
use super::stream::{Asked, Granted, Slot, head_only};
use super::subscribe::{Parameters, come_back, cursor, resolve};

static PAGE: Embedded = embedded!("console/index.html", HTML);

/// What the page loads beside the page's own style sheet and icon, by its path under `assets/`.
static ASSETS: [Embedded; 9] = [
    embedded!("console/console.css", STYLE),
    embedded!("console/console.js", SCRIPT),
    embedded!("console/series.js", SCRIPT),
    embedded!("console/charts.js", SCRIPT),
    embedded!("console/figures.js", SCRIPT),
    embedded!("console/nodes.js", SCRIPT),
    embedded!("console/subscribers.js", SCRIPT),
    embedded!("vendor/uplot/uPlot.min.css", STYLE),
    embedded!("vendor/uplot/uPlot.iife.min.js", SCRIPT),
];

/// The page at `<prefix>/console` and its assets at `<prefix>/assets/`.
pub(super) fn page(prefix: &str) -> Router {
    let router = serve(Router::new(), &format!("{prefix}/console"), &PAGE, POLICY);
    ASSETS.iter().fold(router, |router, asset| {
        serve(router, &format!("{prefix}/assets/{}", asset.path), asset, POLICY)
    })
}

/// Grants a stream of statistics, and answers with its head.
pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    Extension(slot): Extension<Slot>,
    request: Request,
) -> Response {
    let (request, _) = request.into_parts();
    match grant(&shared, &request).await {
        Ok(Some(granted)) => {
            if request.method != Method::HEAD {
                slot.put(granted);
            }
            head_only()
        }
        Ok(None) => come_back(&shared),
        Err(error) => error.answer(&shared.metrics),
    }
}

/// `None` where there is no room.
async fn grant(shared: &Shared, request: &Parts) -> Result<Option<Granted>, Error> {
    let caller = match admin::watcher(shared, request).await {
        // As for every stream: any other status would end an EventSource for good.
        Err(error) if error.is_passing() => {
            shared.metrics.refused(error.reason());
            return Ok(None);
        }
        caller => caller?,
    };
    let asked = Parameters::parse(request.uri.query().unwrap_or_default())?;
    let console = &shared.console;
    let seat = console.delivery.seat().filter(|_| !shared.is_draining());
    let (Some(seat), Ok(lease)) = (seat, shared.quotas.lease(&caller, 0)) else { return Ok(None) };
    shared.hub.watch();
    let requested =
        Requested::parse(cursor(&request.headers, asked.last_event_id.as_deref()).as_deref());
    let has_id = matches!(requested, Requested::After(_));
    Placed::leave(request);
    let Some(start) = resolve(&console.hub, &requested).await else { return Ok(None) };
    // An administrator may see all of this log; it holds nothing of the users'.
    let selector = SubscribeGrant::EVERYTHING.authorise(Selector::default());
    let selector = selector.map_err(|_| Error::Forbidden(caller.identity().clone()))?;
    let delivery = &console.delivery;
    let asked = Asked { selector, envelope: asked.envelope, start, has_id };
    Ok(Some(Granted::new(delivery, asked, network_of(caller.address), seat, lease)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::embedded::{assert_as_checked, assert_nothing_inline, loaded_by};

    #[test]
    fn an_asset_is_embedded_and_not_used() {
        let loaded = loaded_by(&PAGE, &ASSETS);
        for asset in &ASSETS {
            assert!(loaded.contains(&format!("assets/{}", asset.path)), "{}", asset.path);
        }
    }

    #[test]
    fn the_page_has_something_inline_that_its_policy_refuses() {
        assert_nothing_inline(&PAGE, &ASSETS);
    }

    #[test]
    fn what_is_vendored_is_not_what_was_checked() {
        let sums = include_str!("../../assets/vendor/uplot/SHA256SUMS");
        assert_as_checked(&ASSETS, "vendor/uplot/", sums);
    }
}
