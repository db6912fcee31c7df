//! A link that breaks in the middle of what it has brought.

use fanfare_testkit::RedisServer;

use crate::ledger::{Node, until};

#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_before_a_link_broke_is_woken() {
    let server = RedisServer::start(&["--user", "hub", "on", ">p", "~*", "&*", "+@all"]);
    let node = Node::connect(&format!("redis://hub:p@127.0.0.1:{}", server.port())).await;
    let begun = node.tail.heard();
    let (last, next) = (begun.next(), begun.epoch + 1);
    // One answer brings an event and the beginning of another epoch, which the node may not ask about.
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut at_once = redis::pipe();
    at_once.atomic().cmd("ACL").arg(&["SETUSER", "hub", "-evalsha"]);
    let entries =
        [(last.to_string(), "told"), (format!("{next}-0"), ""), (format!("{next}-1"), "")];
    for (id, message) in entries {
        at_once.cmd("XADD").arg("{test}:events").arg(id);
        at_once.arg(&["a", "1", "t", "a", "m", message]);
    }
    let _: redis::Value = at_once.query(&mut connection).unwrap();
    until("the node is told", || node.tail.heard() == last).await;
    until("it is woken", || node.tail.woken() == Some(last)).await;
}
