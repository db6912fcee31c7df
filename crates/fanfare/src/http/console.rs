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
use fanfare_hub::{Envelope, Requested};

use super::error::Error;
use super::pages::{Embedded, HTML, POLICY, SCRIPT, STYLE, embedded, serve};
use super::query;
use super::router::Shared;
use super::stream::{Granted, Slot, head_only};
use super::subscribe::{come_back, cursor, resolve};

static PAGE: Embedded = embedded!("console/index.html", HTML);

/// What the page loads beside the page's own style sheet and icon, by its path under `assets/`.
static ASSETS: [Embedded; 8] = [
    embedded!("console/console.css", STYLE),
    embedded!("console/console.js", SCRIPT),
    embedded!("console/series.js", SCRIPT),
    embedded!("console/charts.js", SCRIPT),
    embedded!("console/figures.js", SCRIPT),
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
    if request.method == Method::HEAD {
        return head_only();
    }
    match grant(&shared, &request).await {
        Ok(Some(granted)) => {
            slot.put(granted);
            head_only()
        }
        Ok(None) => come_back(&shared),
        Err(error) => error.answer(&shared.metrics),
    }
}

/// `None` where there is no room.
async fn grant(shared: &Shared, request: &Parts) -> Result<Option<Granted>, Error> {
    let caller = shared.access.caller(request).await?;
    let console = &shared.console;
    let seat = console.delivery.seat().filter(|_| !shared.is_draining());
    let (Some(seat), Ok(lease)) = (seat, shared.quotas.lease(&caller)) else { return Ok(None) };
    let asked = query::find(request.uri.query().unwrap_or_default(), "last_event_id")?;
    let requested = Requested::parse(cursor(&request.headers, asked.as_deref()).as_deref());
    let has_id = matches!(requested, Requested::After(_));
    let start = resolve(&console.hub, &requested).await;
    // An administrator may see all of this log; it holds nothing of the users'.
    let selector = SubscribeGrant::EVERYTHING.authorise(Selector::default());
    let selector = selector.map_err(|_| Error::Forbidden)?;
    let delivery = &console.delivery;
    Ok(Some(Granted::new(delivery, selector, Envelope::None, start, has_id, seat, lease)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::pages::assert_as_checked;

    #[test]
    fn an_asset_is_not_embedded_or_not_used() {
        let html = std::str::from_utf8(PAGE.bytes).unwrap();
        let linked = html.split("href=\"").skip(1).chain(html.split("src=\"").skip(1));
        let linked = linked.map(|rest| rest.split_once('"').unwrap().0);
        let linked = linked.filter_map(|address| address.strip_prefix("assets/"));
        let mut used: BTreeSet<_> = linked.map(str::to_owned).collect();
        for asset in ASSETS.iter().filter(|asset| asset.path.starts_with("console/")) {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            assert!(!text.contains("innerHTML"), "{} writes markup", asset.path);
            let imports = text.split("from './").skip(1);
            used.extend(
                imports.map(|rest| format!("console/{}", rest.split_once('\'').unwrap().0)),
            );
        }
        let mut embedded: BTreeSet<_> = ASSETS.iter().map(|asset| asset.path.to_owned()).collect();
        embedded.extend(["page.css".to_owned(), "icon.svg".to_owned()]);
        assert_eq!(used, embedded);
    }

    #[test]
    fn the_page_has_something_inline_that_its_policy_refuses() {
        let html = std::str::from_utf8(PAGE.bytes).unwrap();
        assert!(!html.contains("style=") && !html.contains("<style"));
        assert_eq!(html.matches("<script").count(), html.matches("<script src=").count());
    }

    #[test]
    fn what_is_vendored_is_not_what_was_checked() {
        let sums = include_str!("../../assets/vendor/uplot/SHA256SUMS");
        assert_as_checked(&ASSETS, "vendor/uplot/", sums);
    }
}
