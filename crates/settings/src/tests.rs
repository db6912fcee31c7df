use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, FromArgMatches};

use super::*;
use crate::table::TABLE;

fn flags(arguments: &[&str]) -> Flags {
    let command = Flags::augment_args(clap::Command::new("test").no_binary_name(true));
    Flags::from_arg_matches(&command.get_matches_from(arguments)).unwrap()
}

fn resolve(
    arguments: &[&str],
    variables: &[(&str, &str)],
    file: &str,
) -> Result<Settings, Vec<SettingsError>> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    let file = ConfigFile::parse(Path::new("fanfare.toml"), file).map_err(|error| vec![error])?;
    let env = |name: &str| variables.get(name).map(OsString::from);
    Settings::resolve(&flags(arguments), env, Some(&file))
}

fn messages(result: Result<Settings, Vec<SettingsError>>) -> Vec<String> {
    result.unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn every_default_is_what_is_documented() {
    let settings = Settings::resolve(&Flags::default(), |_| None, None).unwrap();
    assert_eq!(settings.listen, SocketAddr::from(([127, 0, 0, 1], 8000)));
    assert_eq!(settings.prefix.as_str(), "/sse");
    assert_eq!(settings.templates, None);
    assert_eq!(settings.allow_origin, []);
    assert_eq!((&settings.tls_cert, &settings.tls_key), (&None, &None));
    assert_eq!((&settings.acme_domain[..], &settings.acme_cache), (&[][..], &None));
    assert!(settings.acme_directory.url().starts_with("https://acme-v02.api.letsencrypt.org/"));
    assert!(settings.is_private() && !settings.open);
    assert_eq!(settings.cookie_name, None);
    assert_eq!(settings.publish_rate, None);
    assert_eq!(settings.max_subscribers_per_address, None);
    assert_eq!(settings.max_subscribers_per_subject, 1_000);
    assert_eq!(settings.max_topics, 256);
    assert_eq!(settings.max_requests, 4_096);
    assert_eq!(settings.trusted_proxy, []);
    assert_eq!(settings.heartbeat, Duration::from_secs(15));
    assert_eq!(settings.retry, Duration::from_secs(3));
    assert_eq!(settings.write_timeout, Duration::from_secs(30));
    assert_eq!(settings.drain, Duration::from_secs(5));
    assert_eq!(settings.max_subscribers, None);
    assert_eq!(settings.shards, None);
    assert_eq!(settings.max_message.in_memory(), 1 << 20);
    assert_eq!(settings.idempotency_window, Duration::from_secs(300));
    assert_eq!(settings.idempotency_keys, 1_000_000);
    assert_eq!(settings.redis_wait_replicas, 0);
    assert_eq!(settings.retain_count, 100_000);
    assert_eq!(settings.retain_bytes.get(), 256 << 20);
    assert_eq!(settings.retain_age, Duration::from_secs(86_400));
    assert_eq!(settings.window_count, 65_536);
    assert_eq!(settings.window_bytes.get(), 64 << 20);
    assert_eq!(settings.max_connections, None);
    assert_eq!(settings.max_half_open, None);
    assert_eq!(settings.max_idle, 16_384);
    assert_eq!(settings.head_timeout, Duration::from_secs(10));
    assert_eq!(settings.body_timeout, Duration::from_secs(30));
    assert_eq!(settings.idle_timeout, Duration::from_secs(75));
    assert_eq!(settings.max_head.get(), 64 << 10);
    assert_eq!(settings.max_target.get(), 32 << 10);
    assert_eq!(settings.max_bodies.get(), 256 << 20);
    assert_eq!(settings.max_http2_requests, 256);
    assert_eq!(settings.log_format, LogFormat::Text);
    assert_eq!(settings.log_level.as_str(), "info");
}

#[test]
fn the_right_source_wins() {
    let variable = [("FANFARE_HEARTBEAT", "2s")];
    let file = "heartbeat = '3s'";
    let heartbeat = |result: Result<Settings, _>| result.unwrap().heartbeat.as_secs();
    assert_eq!(heartbeat(resolve(&["--heartbeat", "1s"], &variable, file)), 1);
    assert_eq!(heartbeat(resolve(&[], &variable, file)), 2);
    assert_eq!(heartbeat(resolve(&[], &[], file)), 3);
    assert_eq!(heartbeat(resolve(&[], &[], "")), 15);
}

#[test]
fn an_empty_variable_does_not_hide_the_file() {
    let settings = resolve(&[], &[("FANFARE_SHARDS", "")], "shards = 3").unwrap();
    assert_eq!(settings.shards, Some(3));
}

#[test]
fn a_list_is_whole_and_never_merged() {
    let origins = |result: Result<Settings, _>| {
        let origins = result.unwrap().allow_origin;
        origins.iter().map(|origin| origin.as_str().to_owned()).collect::<Vec<_>>()
    };
    let two = ["http://a.example", "http://b.example"];
    let file = "allow_origin = ['http://a.example', 'http://b.example']";
    assert_eq!(origins(resolve(&[], &[], file)), two);
    let variable = [("FANFARE_ALLOW_ORIGIN", "http://a.example, http://b.example")];
    assert_eq!(origins(resolve(&[], &variable, "allow_origin = 'http://c.example'")), two);
    let arguments = ["--allow-origin", two[0], "--allow-origin", two[1]];
    assert_eq!(origins(resolve(&arguments, &[], "allow_origin = 'http://c.example'")), two);
    assert_eq!(
        origins(resolve(&[], &[], "allow_origin = 'http://c.example'")),
        ["http://c.example"]
    );
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    let alone = ["--tls-cert requires --tls-key"];
    assert_eq!(messages(resolve(&["--tls-cert", "cert.pem"], &[], "")), alone);
    assert_eq!(messages(resolve(&[], &[("FANFARE_TLS_KEY", "key.pem")], "")).len(), 1);
    let both = resolve(&["--tls-cert", "cert.pem"], &[], "tls_key = 'key.pem'").unwrap();
    assert_eq!(both.tls_key.unwrap().path(), Path::new("key.pem"));
}

#[test]
fn no_certificate_is_ordered_that_nobody_keeps_or_shows() {
    let said = |arguments: &[&str]| messages(resolve(arguments, &[], ""));
    let domain = ["--acme-domain", "events.example.com"];
    let cache = ["--acme-cache", "certificates"];
    assert_eq!(said(&domain), ["--acme-domain requires --acme-cache"]);
    assert_eq!(said(&cache), ["--acme-cache requires --acme-domain"]);
    let contact = ["--acme-contact", "ops@example.com"];
    assert_eq!(said(&contact), ["--acme-contact requires --acme-domain"]);
    let files = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let both = said(&[&domain[..], &cache, &files].concat());
    assert_eq!(both, ["--tls-cert and --acme-domain cannot both be given: leave one out"]);
    assert!(resolve(&[&domain[..], &cache].concat(), &[], "").unwrap().is_secure());
}

#[test]
fn a_longest_heartbeat_below_the_heartbeat_is_refused() {
    let shorter = [
        "--heartbeat-max: 10s is shorter than --heartbeat, which is 15s: make it longer, or leave it out",
    ];
    assert_eq!(messages(resolve(&["--heartbeat-max", "10s"], &[], "")), shorter);
    for max in ["15s", "5m"] {
        let settings = resolve(&["--heartbeat-max", max], &[], "").unwrap();
        assert!(settings.heartbeat_max.is_some());
    }
    assert_eq!(resolve(&[], &[], "heartbeat = '1m'").unwrap().heartbeat_max, None);
}

#[test]
fn a_limit_for_each_topic_is_refused_in_memory() {
    let limit = ["--retain-topic-count", "10"];
    let alone = ["--retain-topic-count requires --data"];
    assert_eq!(messages(resolve(&limit, &[], "")), alone);
    let on_disk = resolve(&limit, &[], "data = 'events'").unwrap();
    assert_eq!(on_disk.retain_topic_count, Some(10));
}

#[test]
fn waiting_for_replicas_is_refused_where_there_are_none() {
    let alone = ["--redis-wait-replicas requires --redis"];
    assert_eq!(messages(resolve(&["--redis-wait-replicas", "1"], &[], "")), alone);
    let redis = [("FANFARE_REDIS", "redis://localhost"), ("FANFARE_REDIS_WAIT_REPLICAS", "2")];
    assert_eq!(resolve(&[], &redis, "").unwrap().redis_wait_replicas, 2);
}

#[test]
fn toml_numbers_are_read_as_written() {
    let file = "retain_count = 1_000\nmax_message = 512\nshards = '2'";
    let settings = resolve(&[], &[], file).unwrap();
    assert_eq!(settings.retain_count, 1_000);
    assert_eq!(settings.max_message.get(), 512);
    assert_eq!(settings.shards, Some(2));
}

#[test]
fn every_message_says_where_and_what() {
    assert_eq!(
        messages(resolve(&[], &[("FANFARE_RETAIN_AGE", "12 parsecs")], "")),
        ["--retain-age (from FANFARE_RETAIN_AGE): \"12 parsecs\" is not a duration: \
          write a number and a unit, such as 250ms, 15s, 5m, 24h or 7d"]
    );
    assert_eq!(
        messages(resolve(&["--shards", "257"], &[], "")),
        ["--shards (from the command line): 257 is out of range: allowed is 1 to 256"]
    );
    assert_eq!(
        messages(resolve(&[], &[], "\nheartbeat = 15")),
        ["--heartbeat (from fanfare.toml, line 2, key heartbeat): \"15\" is not a duration: \
          write a number and a unit, such as 250ms, 15s, 5m, 24h or 7d"]
    );
    assert_eq!(
        messages(resolve(&[], &[], "heartbeat = ['15s']")),
        [
            "--heartbeat (from fanfare.toml, line 1, key heartbeat): write a plain value, not an array"
        ]
    );
}

#[test]
fn every_mistake_is_reported() {
    let found = messages(resolve(
        &["--prefix", "sse"],
        &[("FANFARE_DRAIN", "1 hour")],
        "retain-age = '1h'\n[log_level]\nhyper = 'off'",
    ));
    assert_eq!(found.len(), 4, "{found:#?}");
    for part in ["did you mean retain_age?", "--prefix", "--drain", "--log-level"] {
        assert!(found.iter().any(|message| message.contains(part)), "{part} in {found:#?}");
    }
}

#[test]
fn every_range_can_be_read_and_includes_its_bounds() {
    for setting in TABLE {
        let Some((min, max)) = setting.range else { continue };
        for bound in [min, max] {
            let argument = format!("--{}={bound}", setting.flag());
            // Some are of use only with one engine.
            let redis = [("FANFARE_REDIS", "redis://localhost")];
            let disk = [("FANFARE_DATA", "events")];
            let engine = if setting.flag() == "retain-topic-count" { disk } else { redis };
            // One may not be less than another.
            let file = if setting.flag() == "heartbeat-max" { "heartbeat = '100ms'" } else { "" };
            resolve(&[&argument], &engine, file).unwrap();
        }
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf_8_is_not_mangled() {
    use std::os::unix::ffi::OsStringExt;
    let env = |name: &str| (name == "FANFARE_PREFIX").then(|| OsString::from_vec(vec![b'/', 0xff]));
    let error = messages(Settings::resolve(&Flags::default(), env, None));
    assert_eq!(error, ["--prefix (from FANFARE_PREFIX): the value is not UTF-8"]);
}

#[test]
fn the_network_is_never_let_in_without_a_word() {
    let secret = "0123456789abcdef0123456789abcdef";
    for listen in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "[::ffff:192.0.2.1]:80"] {
        let said = messages(resolve(&["--listen", listen], &[], ""));
        assert!(said[0].contains("--publish-key") && said[0].contains("--open"), "{said:?}");
        for way_out in [["--publish-key", "the-key-to-publish"], ["--jwt-secret", secret]] {
            let settings = resolve(&[&["--listen", listen], &way_out[..]].concat(), &[], "");
            assert!(!settings.unwrap().is_private(), "{way_out:?}");
        }
        assert!(resolve(&["--listen", listen, "--open"], &[], "").unwrap().open);
        assert!(resolve(&["--listen", listen, "--open=false"], &[], "").is_err());
        assert!(resolve(&["--listen", listen], &[("FANFARE_OPEN", "true")], "").is_ok());
    }
    for listen in ["127.0.0.1:80", "[::1]:80", "127.8.8.8:80", "[::ffff:127.0.0.1]:80"] {
        assert!(resolve(&["--listen", listen], &[], "").unwrap().is_private());
    }
}

#[test]
fn no_secret_is_shown_with_the_settings() {
    let file =
        "jwt_secret = '0123456789abcdef0123456789abcdef'\npublish_key = ['abcdefghijklmnop']";
    let shown = format!("{:?}", resolve(&[], &[], file).unwrap());
    assert!(!shown.contains("cdef0123") && !shown.contains("abc"), "{shown}");
}
