//! What a hub says when it starts: where it is, and what looks like a mistake.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fanfare_auth::{KeyFile, TokenSecret};
use fanfare_settings::{FilePath, Settings};

/// What a file's mode allows users who are neither its owner nor in its group. A group may be meant
/// to read it.
const OTHERS: u32 = 0o007;

/// Warns of settings that are allowed and most likely not meant.
pub(crate) fn warn_about_settings(settings: &Settings) {
    if settings.open {
        if !settings.listen.ip().to_canonical().is_loopback() {
            tracing::warn!("everyone on the network may publish and subscribe (--open)");
        }
        return;
    }
    if settings.is_private() || settings.has_token_keys() {
        return;
    }
    if settings.publish_key.is_empty() && settings.publish_key_file.is_empty() {
        tracing::warn!("nobody may publish: no --publish-key and no key for tokens is given");
    }
    if settings.subscribe_key.is_empty()
        && settings.subscribe_key_file.is_empty()
        && settings.anonymous_subscribe.is_empty()
    {
        tracing::warn!(
            "nobody may subscribe: give --subscribe-key, a key for tokens, or \
             --anonymous-subscribe '**'"
        );
    }
}

/// Warns of files of secrets that every user of this machine can read.
pub(crate) fn warn_about_readable_keys(settings: &Settings) {
    let keys = settings.publish_key_file.iter().chain(&settings.subscribe_key_file);
    let secrets = settings.jwt_secret.iter().filter_map(TokenSecret::path);
    let files = keys.map(KeyFile::path).chain(secrets);
    let mut named = Vec::new();
    for file in files.chain(settings.tls_key.iter().map(FilePath::path)) {
        if !named.contains(&file) && is_readable_by_others(file) {
            tracing::warn!("other users can read the key in {0}: chmod 600 {0}", file.display());
            named.push(file);
        }
    }
}

fn is_readable_by_others(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.permissions().mode() & OTHERS != 0)
}

/// Prints where the page is and how to send a first message. Standard output may be closed.
pub(crate) fn print_greeting(address: SocketAddr, settings: &Settings) {
    let prefix = settings.prefix.as_str();
    let host = match settings.acme_domain.first() {
        Some(domain) if address.port() == 443 => domain.as_str().to_owned(),
        Some(domain) => format!("{}:{}", domain.as_str(), address.port()),
        None if address.ip().is_unspecified() => format!("localhost:{}", address.port()),
        None => address.to_string(),
    };
    let scheme = if settings.is_secure() { "https" } else { "http" };
    let asks_who = !settings.open && !settings.is_private();
    let (credential, token) = if asks_who {
        (
            " -H \"Authorization: Bearer $FANFARE_TOKEN\"",
            "        FANFARE_TOKEN stands for a key or a token that may publish; the page asks for one.\n",
        )
    } else {
        ("", "")
    };
    let authority = if settings.tls_cert.is_some() {
        "        If the certificate is from an authority of your own: curl --cacert AUTHORITY.pem …\n"
    } else {
        ""
    };
    let development = if settings.dev {
        "Development: pages of this machine, on any port, may use this hub (--dev).\n\n"
    } else {
        ""
    };
    let greeting = format!(
        "Fanfare {version} is listening.\n\n  \
         Open  {scheme}://{host}{prefix}/\n  \
         Try   curl -X POST {scheme}://{host}{prefix}/send -H 'Content-Type: application/json'{credential} \
         -d '{{\"message\": \"Hello from server!\"}}'\n{token}{authority}\n{development}",
        version = env!("CARGO_PKG_VERSION"),
    );
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(greeting.as_bytes()).and_then(|()| stdout.flush());
}
