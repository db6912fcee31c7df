//! The first command that a hub shows does not work as it stands.

use crate::support::{Hub, Setup};

/// The command of the greeting; the rest of what the hub says is around it.
fn greeting(hub: &Hub) -> String {
    hub.await_log("Try   curl");
    hub.await_log("Hello from server!");
    hub.logged()
}

#[test]
fn the_command_of_the_greeting_works() {
    let asked = "-H \"Authorization: Bearer $FANFARE_TOKEN\"";
    let hub = Setup::new(&["--publish-key", "the-key-to-publish"]).unnamed().start();
    let said = greeting(&hub);
    assert!(said.contains(asked), "{said}");
    let command = said.lines().find_map(|line| Some(line.split_once("Try   ")?.1)).unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("{command} -s")])
        .env("FANFARE_TOKEN", "the-key-to-publish")
        .output()
        .unwrap();
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(answer.contains("message sent"), "{command}: {output:?}");

    for open in [&[][..], &["--open"]] {
        let said = greeting(&Setup::new(open).unnamed().start());
        assert!(!said.contains("Authorization"), "{said}");
    }
}
