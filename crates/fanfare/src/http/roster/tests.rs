use super::*;

const BOUNDS: Bounds = Bounds {
    connections: 4,
    half_open: 2,
    idle: 1,
    unread: 1,
    head_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(20),
    write_timeout: Duration::from_secs(5),
};

fn roster(bounds: Bounds) -> Arc<Roster> {
    Roster::new(bounds, Seats::new(0))
}

fn enter_from(roster: &Arc<Roster>, address: &str, now: Instant) -> Option<(Arc<Entry>, Leave)> {
    roster.enter(address.parse().unwrap(), None, now)
}

fn enter(roster: &Arc<Roster>) -> Option<(Arc<Entry>, Leave)> {
    enter_from(roster, "192.0.2.1", Instant::now())
}

fn told(leave: &mut Leave) -> Option<Option<Refused>> {
    leave.try_recv().ok()
}

#[test]
fn a_newcomer_is_shut_out_by_those_that_send_nothing() {
    let (roster, begin) = (roster(BOUNDS), Instant::now());
    let seconds = |after| begin + Duration::from_secs(after);
    let mut entered: Vec<_> =
        (0..3).map(|n| enter_from(&roster, "192.0.2.1", seconds(n)).unwrap()).collect();
    assert_eq!(told(&mut entered[0].1), Some(Some(Refused::HalfOpen)));
    assert_eq!(told(&mut entered[1].1), None);
    assert_eq!(told(&mut entered[2].1), None);
}

#[test]
fn a_crowd_of_newcomers_leaves_before_it_could_ask() {
    let (roster, now) = (roster(BOUNDS), Instant::now());
    let mut crowd: Vec<_> =
        (0..4).map(|_| enter_from(&roster, "192.0.2.1", now).unwrap()).collect();
    roster.expire(now + GRACE / 2);
    assert!(crowd.iter_mut().all(|(_, leave)| told(leave).is_none()));
    let _busy = crowd[3].0.begin(None);
    roster.expire(now + GRACE);
    let left: Vec<_> = crowd.iter_mut().map(|(_, leave)| told(leave).is_some()).collect();
    assert_eq!(left, [true, false, false, false], "two may be half-open for longer");
}

#[test]
fn the_honest_leave_for_a_network_that_holds_many_half_open() {
    let (roster, begin) = (roster(Bounds { connections: 9, ..BOUNDS }), Instant::now());
    let mut honest = enter_from(&roster, "192.0.2.1", begin).unwrap();
    let mut others: Vec<_> = ["2001:db8::1", "2001:db8::2", "2001:db8::3"]
        .map(|address| enter_from(&roster, address, begin).unwrap())
        .into();
    roster.expire(begin + GRACE);
    assert_eq!(told(&mut honest.1), None);
    assert_eq!(others.iter_mut().filter_map(|(_, leave)| told(leave)).count(), 2);
}

#[test]
fn the_honest_leave_because_they_were_there_before() {
    let (roster, begin) = (roster(Bounds { connections: 9, ..BOUNDS }), Instant::now());
    let mut honest = enter_from(&roster, "192.0.2.1", begin).unwrap();
    let later = begin + GRACE / 2;
    let mut others: Vec<_> =
        (0..3).map(|_| enter_from(&roster, "192.0.2.2", later).unwrap()).collect();
    roster.expire(begin + GRACE);
    roster.expire(later + GRACE);
    assert_eq!(told(&mut honest.1), None);
    assert_eq!(others.iter_mut().filter_map(|(_, leave)| told(leave)).count(), 2);
}

#[test]
fn an_answer_that_is_not_read_keeps_its_connection_for_good() {
    let (roster, now) = (roster(BOUNDS), Instant::now());
    let (entry, mut leave) = enter(&roster).unwrap();
    let busy = entry.begin(None);
    roster.expire(now + BOUNDS.write_timeout * 2);
    assert_eq!(told(&mut leave), None, "it is the hub that takes its time");
    busy.progress.waits();
    roster.expire(now + BOUNDS.write_timeout / 2);
    assert_eq!(told(&mut leave), None);
    roster.expire(now + BOUNDS.write_timeout * 2);
    assert_eq!(told(&mut leave), Some(Some(Refused::Unread)));
}

#[test]
fn unread_answers_pile_up() {
    let (roster, now) = (roster(BOUNDS), Instant::now());
    let mut entered: Vec<_> = (0..2).map(|_| enter(&roster).unwrap()).collect();
    let unread: Vec<_> = entered.iter().map(|(entry, _)| entry.begin(None)).collect();
    for busy in &unread {
        busy.progress.waits();
        std::thread::sleep(Duration::from_millis(2));
    }
    roster.expire(now + Duration::from_secs(1));
    assert_eq!(told(&mut entered[0].1), Some(Some(Refused::Unread)));
    assert_eq!(told(&mut entered[1].1), None);
}

#[test]
fn the_honest_lose_an_answer_for_a_network_that_reads_none() {
    let (roster, now) = (roster(Bounds { unread: 2, ..BOUNDS }), Instant::now());
    let (honest, mut honest_told) = enter_from(&roster, "192.0.2.1", now).unwrap();
    let (proxy, mut proxy_told) = enter_from(&roster, "192.0.2.2", now).unwrap();
    let stalls = honest.begin(None);
    stalls.progress.waits();
    std::thread::sleep(Duration::from_millis(2));
    // Two of one client behind a proxy are more than one.
    let client = Some("198.51.100.1".parse().unwrap());
    let unread = [(); 2].map(|()| proxy.begin(client));
    unread.iter().for_each(|busy| busy.progress.waits());
    roster.expire(now + Duration::from_secs(1));
    assert_eq!(told(&mut honest_told), None);
    assert_eq!(told(&mut proxy_told), Some(Some(Refused::Unread)));
    assert_eq!(roster.census().unread, 2);
}

#[test]
fn those_who_read_nothing_lock_the_others_out() {
    let (roster, now) = (roster(BOUNDS), Instant::now());
    let mut entered: Vec<_> = (0..4).map(|_| enter(&roster).unwrap()).collect();
    let busy: Vec<_> = entered.iter().map(|(entry, _)| entry.begin(None)).collect();
    busy[2].progress.waits();
    assert!(enter_from(&roster, "192.0.2.1", now).is_none(), "it may still read");
    let later = Instant::now() + GRACE;
    assert!(enter_from(&roster, "192.0.2.1", later).is_some());
    assert_eq!(told(&mut entered[2].1), Some(Some(Refused::Connections)));
}

#[test]
fn a_busy_connection_is_made_to_leave() {
    let roster = roster(BOUNDS);
    let mut entered: Vec<_> = (0..4).map(|_| enter(&roster).unwrap()).collect();
    let busy: Vec<_> = entered.iter().map(|(entry, _)| entry.begin(None)).collect();
    assert!(enter(&roster).is_none());
    roster.expire(Instant::now() + BOUNDS.idle_timeout);
    assert!(entered[2..].iter_mut().all(|(_, leave)| told(leave).is_none()));
    drop(busy);
}

#[test]
fn the_wrong_idle_connection_leaves() {
    let roster = roster(BOUNDS);
    let (first, mut first_told) = enter(&roster).unwrap();
    let (second, mut second_told) = enter(&roster).unwrap();
    let (one, another) = (first.begin(None), first.begin(None));
    drop(second.begin(None));
    drop(one);
    assert_eq!(roster.census(), Census { connections: 2, half_open: 0, idle: 1, unread: 0 });
    drop(another);
    assert_eq!(told(&mut second_told), Some(Some(Refused::Idle)));
    assert_eq!(told(&mut first_told), None);
    assert_eq!(roster.census(), Census { connections: 2, half_open: 0, idle: 1, unread: 0 });
}

#[test]
fn time_passes_and_nobody_leaves() {
    let roster = roster(BOUNDS);
    let (idle, mut idle_told) = enter(&roster).unwrap();
    drop(idle.begin(None));
    let (_half_open, mut half_open_told) = enter(&roster).unwrap();
    let now = Instant::now();
    roster.expire(now + Duration::from_secs(5));
    assert_eq!((told(&mut half_open_told), told(&mut idle_told)), (None, None));
    roster.expire(now + BOUNDS.head_timeout);
    assert_eq!(told(&mut half_open_told), Some(Some(Refused::HeadTimeout)));
    roster.expire(now + BOUNDS.idle_timeout);
    assert_eq!(told(&mut idle_told), Some(None));
}

#[test]
fn one_who_left_is_still_counted() {
    let roster = roster(BOUNDS);
    let (entry, _leave) = enter(&roster).unwrap();
    drop(entry.begin(None));
    drop(entry);
    assert_eq!(roster.census(), Census { connections: 0, half_open: 0, idle: 0, unread: 0 });
}
