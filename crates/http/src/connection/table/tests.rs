use super::*;

const BOUNDS: TableLimits = TableLimits {
    connections: 4,
    half_open: 2,
    idle: 1,
    unread: 1,
    head_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(20),
    write_timeout: Duration::from_secs(5),
};

fn table(bounds: TableLimits) -> Arc<ConnectionTable> {
    ConnectionTable::new(bounds, Seats::new(0))
}

fn enter_from(
    table: &Arc<ConnectionTable>,
    address: &str,
    now: Instant,
) -> Option<(Arc<ConnectionEntry>, Eviction)> {
    table.enter(address.parse().unwrap(), None, now)
}

fn enter(table: &Arc<ConnectionTable>) -> Option<(Arc<ConnectionEntry>, Eviction)> {
    enter_from(table, "192.0.2.1", Instant::now())
}

fn told(leave: &mut Eviction) -> Option<Option<RefusalReason>> {
    leave.try_recv().ok()
}

#[test]
fn no_newcomer_is_shut_out_by_those_that_send_nothing() {
    let (table, begin) = (table(BOUNDS), Instant::now());
    let seconds = |after| begin + Duration::from_secs(after);
    let mut entered: Vec<_> =
        (0..3).map(|n| enter_from(&table, "192.0.2.1", seconds(n)).unwrap()).collect();
    assert_eq!(told(&mut entered[0].1), Some(Some(RefusalReason::HalfOpen)));
    assert_eq!(told(&mut entered[1].1), None);
    assert_eq!(told(&mut entered[2].1), None);
}

#[test]
fn no_crowd_of_newcomers_leaves_before_it_could_ask() {
    let (table, now) = (table(BOUNDS), Instant::now());
    let mut crowd: Vec<_> = (0..4).map(|_| enter_from(&table, "192.0.2.1", now).unwrap()).collect();
    table.expire(now + GRACE / 2);
    assert!(crowd.iter_mut().all(|(_, leave)| told(leave).is_none()));
    let _busy = crowd[3].0.begin(None);
    table.expire(now + GRACE);
    let left: Vec<_> = crowd.iter_mut().map(|(_, leave)| told(leave).is_some()).collect();
    assert_eq!(left, [true, false, false, false], "two may be half-open for longer");
}

#[test]
fn the_honest_do_not_leave_for_a_network_that_holds_many_half_open() {
    let (table, begin) = (table(TableLimits { connections: 9, ..BOUNDS }), Instant::now());
    let mut honest = enter_from(&table, "192.0.2.1", begin).unwrap();
    let mut others: Vec<_> = ["2001:db8::1", "2001:db8::2", "2001:db8::3"]
        .map(|address| enter_from(&table, address, begin).unwrap())
        .into();
    table.expire(begin + GRACE);
    assert_eq!(told(&mut honest.1), None);
    assert_eq!(others.iter_mut().filter_map(|(_, leave)| told(leave)).count(), 2);
}

#[test]
fn the_honest_do_not_leave_because_they_were_there_before() {
    let (table, begin) = (table(TableLimits { connections: 9, ..BOUNDS }), Instant::now());
    let mut honest = enter_from(&table, "192.0.2.1", begin).unwrap();
    let later = begin + GRACE / 2;
    let mut others: Vec<_> =
        (0..3).map(|_| enter_from(&table, "192.0.2.2", later).unwrap()).collect();
    table.expire(begin + GRACE);
    table.expire(later + GRACE);
    assert_eq!(told(&mut honest.1), None);
    assert_eq!(others.iter_mut().filter_map(|(_, leave)| told(leave)).count(), 2);
}

#[test]
fn the_honest_do_not_leave_for_a_network_whose_many_idle_ones_ask_now_and_then() {
    let (table, now) = (table(TableLimits { connections: 9, idle: 3, ..BOUNDS }), Instant::now());
    let (honest, mut told_honest) = enter_from(&table, "192.0.2.1", now).unwrap();
    drop(honest.begin(None));
    let mut others: Vec<_> = (0..4)
        .map(|_| {
            let entered = enter_from(&table, "192.0.2.2", now).unwrap();
            drop(entered.0.begin(None));
            entered
        })
        .collect();
    for _ in 0..3 {
        others.iter().for_each(|(entry, _)| drop(entry.begin(None)));
    }
    assert_eq!(told(&mut told_honest), None);
    assert_eq!(told(&mut others[0].1), Some(Some(RefusalReason::Idle)));
}

#[test]
fn no_answer_that_is_not_read_keeps_its_connection_for_good() {
    let (table, now) = (table(BOUNDS), Instant::now());
    let (entry, mut leave) = enter(&table).unwrap();
    let busy = entry.begin(None);
    table.expire(now + BOUNDS.write_timeout * 2);
    assert_eq!(told(&mut leave), None, "it is the hub that takes its time");
    busy.progress.waits();
    table.expire(now + BOUNDS.write_timeout / 2);
    assert_eq!(told(&mut leave), None);
    table.expire(now + BOUNDS.write_timeout * 2);
    assert_eq!(told(&mut leave), Some(Some(RefusalReason::Unread)));
}

#[test]
fn unread_answers_do_not_pile_up() {
    let (table, now) = (table(BOUNDS), Instant::now());
    let mut entered: Vec<_> = (0..2).map(|_| enter(&table).unwrap()).collect();
    let unread: Vec<_> = entered.iter().map(|(entry, _)| entry.begin(None)).collect();
    for busy in &unread {
        busy.progress.waits();
        std::thread::sleep(Duration::from_millis(2));
    }
    table.expire(now + Duration::from_secs(1));
    assert_eq!(told(&mut entered[0].1), Some(Some(RefusalReason::Unread)));
    assert_eq!(told(&mut entered[1].1), None);
}

#[test]
fn the_honest_lose_no_answer_for_a_network_that_reads_none() {
    let (table, now) = (table(TableLimits { unread: 2, ..BOUNDS }), Instant::now());
    let (honest, mut honest_told) = enter_from(&table, "192.0.2.1", now).unwrap();
    let (proxy, mut proxy_told) = enter_from(&table, "192.0.2.2", now).unwrap();
    let stalls = honest.begin(None);
    stalls.progress.waits();
    std::thread::sleep(Duration::from_millis(2));
    // Two of one client behind a proxy are more than one.
    let client = Some(Network64::of("198.51.100.1".parse().unwrap()));
    let unread = [(); 2].map(|()| proxy.begin(client));
    unread.iter().for_each(|busy| busy.progress.waits());
    table.expire(now + Duration::from_secs(1));
    assert_eq!(told(&mut honest_told), None);
    assert_eq!(told(&mut proxy_told), Some(Some(RefusalReason::Unread)));
    assert_eq!(table.counts().unread, 2);
}

#[test]
fn no_unread_answer_is_overlooked_among_thousands() {
    let (table, now) = (table(TableLimits { unread: usize::MAX, ..BOUNDS }), Instant::now());
    let (entry, _leave) = enter(&table).unwrap();
    let answers: Vec<_> = (0..2 * SLICE + 10).map(|_| entry.begin(None)).collect();
    let unread = [0, 1, SLICE - 1, SLICE, 2 * SLICE, 2 * SLICE + 9];
    unread.iter().for_each(|at| answers[*at].progress.waits());
    table.expire(now + Duration::from_secs(1));
    assert_eq!(table.counts().unread, unread.len());
}

#[test]
fn who_has_read_in_the_meantime_stays() {
    let table = table(BOUNDS);
    let mut entered: Vec<_> = (0..4).map(|_| enter(&table).unwrap()).collect();
    let busy: Vec<_> = entered.iter().map(|(entry, _)| entry.begin(None)).collect();
    busy[2].progress.waits();
    let later = Instant::now() + GRACE;
    table.expire(later);
    // It reads, and has the next piece.
    std::thread::sleep(Duration::from_millis(2));
    busy[2].progress.waits();
    assert!(enter_from(&table, "192.0.2.1", later).is_none());
    assert_eq!(told(&mut entered[2].1), None);
}

#[test]
fn those_who_read_nothing_do_not_lock_the_others_out() {
    let (table, now) = (table(BOUNDS), Instant::now());
    let mut entered: Vec<_> = (0..4).map(|_| enter(&table).unwrap()).collect();
    let busy: Vec<_> = entered.iter().map(|(entry, _)| entry.begin(None)).collect();
    busy[2].progress.waits();
    assert!(enter_from(&table, "192.0.2.1", now).is_none(), "it may still read");
    let later = Instant::now() + GRACE;
    table.expire(later);
    assert!(enter_from(&table, "192.0.2.1", later).is_some());
    assert_eq!(told(&mut entered[2].1), Some(Some(RefusalReason::Connections)));
}

#[test]
fn no_busy_connection_is_made_to_leave() {
    let table = table(BOUNDS);
    let mut entered: Vec<_> = (0..4).map(|_| enter(&table).unwrap()).collect();
    let busy: Vec<_> = entered.iter().map(|(entry, _)| entry.begin(None)).collect();
    assert!(enter(&table).is_none());
    table.expire(Instant::now() + BOUNDS.idle_timeout);
    assert!(entered[2..].iter_mut().all(|(_, leave)| told(leave).is_none()));
    drop(busy);
}

#[test]
fn the_right_idle_connection_leaves() {
    let table = table(BOUNDS);
    let (first, mut first_told) = enter(&table).unwrap();
    let (second, mut second_told) = enter(&table).unwrap();
    let (one, another) = (first.begin(None), first.begin(None));
    drop(second.begin(None));
    drop(one);
    assert_eq!(
        table.counts(),
        ConnectionCounts { connections: 2, half_open: 0, idle: 1, unread: 0 }
    );
    drop(another);
    assert_eq!(told(&mut second_told), Some(Some(RefusalReason::Idle)));
    assert_eq!(told(&mut first_told), None);
    assert_eq!(
        table.counts(),
        ConnectionCounts { connections: 2, half_open: 0, idle: 1, unread: 0 }
    );
}

#[test]
fn whoever_outstays_its_time_leaves() {
    let table = table(BOUNDS);
    let (idle, mut idle_told) = enter(&table).unwrap();
    drop(idle.begin(None));
    let (_half_open, mut half_open_told) = enter(&table).unwrap();
    let now = Instant::now();
    table.expire(now + Duration::from_secs(5));
    assert_eq!((told(&mut half_open_told), told(&mut idle_told)), (None, None));
    table.expire(now + BOUNDS.head_timeout);
    assert_eq!(told(&mut half_open_told), Some(Some(RefusalReason::HeadTimeout)));
    table.expire(now + BOUNDS.idle_timeout);
    assert_eq!(told(&mut idle_told), Some(None));
}

#[test]
fn nobody_who_left_is_still_counted() {
    let table = table(BOUNDS);
    let (entry, _leave) = enter(&table).unwrap();
    drop(entry.begin(None));
    drop(entry);
    assert_eq!(
        table.counts(),
        ConnectionCounts { connections: 0, half_open: 0, idle: 0, unread: 0 }
    );
}
