//! Seats: a bounded number of anything that is held for a while. Most are of subscribers; their patterns, connections
//! and requests are counted in the same way.
//!
//! What must hold: a seat is given back exactly once, when it is dropped, wherever that is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of seats, some of them taken. Cloning refers to the same seats.
#[derive(Debug, Clone)]
pub struct Seats {
    counts: Arc<SeatCounts>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct SeatCounts {
    taken: AtomicUsize,
    /// How many of them are of subscribers with a socket of their own.
    sockets: AtomicUsize,
    /// Only of a seat [with a release hook](Seat::with_release_hook).
    freed: Option<OnRelease>,
    name: Option<u128>,
}

/// What is called when a seat is given back.
struct OnRelease(Box<dyn Fn() + Send + Sync>);

/// One seat, or as many as were taken together: given back when dropped.
#[derive(Debug)]
pub struct Seat {
    counts: Arc<SeatCounts>,
    places: u32,
    has_socket: bool,
}

impl Seats {
    /// `capacity` seats, all free.
    pub fn new(capacity: usize) -> Self {
        Self { counts: Arc::default(), capacity }
    }

    /// Takes a seat, if one is free.
    pub fn take(&self) -> Option<Seat> {
        self.take_together(1)
    }

    /// Takes so many, if they are free.
    pub fn take_together(&self, places: u32) -> Option<Seat> {
        let free = |taken: usize| {
            let taken = taken.checked_add(places as usize)?;
            (taken <= self.capacity).then_some(taken)
        };
        self.counts.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).ok()?;
        Some(Seat { counts: Arc::clone(&self.counts), places, has_socket: false })
    }

    /// Takes so many though they may not be free: what comes from another process had its seats there, and
    /// keeps them. No other seat is given out until there is room again.
    pub fn take_beyond_capacity(&self, places: u32) -> Seat {
        self.counts.taken.fetch_add(places as usize, Ordering::Relaxed);
        Seat { counts: Arc::clone(&self.counts), places, has_socket: false }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.counts.taken.load(Ordering::Relaxed)
    }

    /// How many are held by subscribers with a socket of their own.
    pub fn sockets(&self) -> usize {
        self.counts.sockets.load(Ordering::Relaxed)
    }

    /// How many there are.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

impl Seat {
    /// A seat that counts nowhere, and calls `freed` when it is given back: on the thread of a shard, so it must be
    /// quick. The name is by which another process makes such a seat for the same stream.
    pub fn with_release_hook(name: u128, freed: impl Fn() + Send + Sync + 'static) -> Self {
        let counts = SeatCounts {
            taken: AtomicUsize::new(1),
            sockets: AtomicUsize::new(0),
            freed: Some(OnRelease(Box::new(freed))),
            name: Some(name),
        };
        Self { counts: Arc::new(counts), places: 1, has_socket: false }
    }

    /// The name it was given with its release hook; `None` if it has none.
    pub fn name(&self) -> Option<u128> {
        self.counts.name
    }

    /// The same seat, whose subscriber now has a socket of its own.
    pub(crate) fn with_socket(mut self) -> Self {
        if !self.has_socket {
            self.counts.sockets.fetch_add(1, Ordering::Relaxed);
            self.has_socket = true;
        }
        self
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.counts.taken.fetch_sub(self.places as usize, Ordering::Relaxed);
        if self.has_socket {
            self.counts.sockets.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(OnRelease(freed)) = &self.counts.freed {
            freed();
        }
    }
}

impl fmt::Debug for OnRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnRelease")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_given_back_can_be_taken_again() {
        let seats = Seats::new(1);
        let seat = seats.take().unwrap().with_socket();
        assert!(seats.take().is_none());
        assert_eq!((seats.taken(), seats.sockets()), (1, 1));
        drop(seat);
        assert_eq!((seats.taken(), seats.sockets()), (0, 0));
        assert!(seats.take().is_some());
    }

    #[test]
    fn a_seat_tells_once_that_it_was_given_back() {
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        let seat = Seat::with_release_hook(7, move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(seat.name(), Some(7));
        assert_eq!(told.load(Ordering::Relaxed), 0);
        drop(seat.with_socket());
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn whoever_moves_in_is_seated() {
        let seats = Seats::new(1);
        let moved = [(); 3].map(|()| seats.take_beyond_capacity(1));
        assert_eq!(seats.taken(), 3);
        assert!(seats.take().is_none());
        drop(moved);
        assert!(seats.take().is_some());
    }

    #[test]
    fn seats_taken_together_return_together() {
        let seats = Seats::new(5);
        let three = seats.take_together(3).unwrap();
        assert!(seats.take_together(3).is_none());
        assert!(seats.take_together(2).is_some());
        drop(three);
        assert_eq!(seats.taken(), 0);
    }
}
