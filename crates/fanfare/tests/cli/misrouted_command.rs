//! `--exec` runs one command after the other, each with its own event.

use crate::support::{Hub, run};

#[test]
fn commands_get_their_event_one_at_a_time() {
    let hub = Hub::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let ids: Vec<_> = (1..=5)
        .map(|n| hub.publish(&["jobs/1", &format!("data {n}\nof two lines"), "--event", "job"]))
        .collect();
    // Fails where the one before has not ended.
    let script = "mkdir busy && cat >> data && \
                  echo \"$FANFARE_ID $FANFARE_EVENT $FANFARE_TOPIC\" >> names && rmdir busy";
    let arguments = ["subscribe", "jobs/*", "--since", "earliest", "-n", "5", "--exec", script];
    let ended = run(hub.fanfare(&arguments).current_dir(directory.path()));
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let read = |name| std::fs::read_to_string(directory.path().join(name)).unwrap();
    let data: String = (1..=5).map(|n| format!("data {n}\nof two lines")).collect();
    assert_eq!(read("data"), data);
    let names: String = ids.iter().map(|id| format!("{id} job jobs/1\n")).collect();
    assert_eq!(read("names"), names);
}

#[test]
fn a_failed_command_does_not_stop_the_others() {
    let hub = Hub::start(&[]);
    let large = "x".repeat(100_000);
    let id = hub.publish(&[&large]);
    hub.publish(&["2"]);
    let script = "test ${#FANFARE_ID} -gt 0; case $FANFARE_ID in *-1) exit 3;; *) cat;; esac";
    let arguments = ["subscribe", "--since", "earliest", "-n", "2", "--exec", script];
    let ended = run(&mut hub.fanfare(&arguments));
    assert_eq!((ended.code, &*ended.stdout), (Some(1), "2\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("failed for event {id}: exit status: 3")));
    assert!(ended.stderr.contains("error: commands that failed: 1"));
}
