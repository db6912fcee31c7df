//! Seats: how many subscribers there may be at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of seats, some of them taken. Cloning refers to the same seats.
#[derive(Debug, Clone)]
pub struct Seats {
    taken: Arc<AtomicUsize>,
    capacity: usize,
}

/// One subscriber's seat: given back when dropped. Without one there is no subscribing.
#[derive(Debug)]
pub struct Seat(Arc<AtomicUsize>);

impl Seats {
    /// `capacity` seats, all free.
    pub fn new(capacity: usize) -> Self {
        Self { taken: Arc::default(), capacity }
    }

    /// Takes a seat, if one is free.
    pub fn take(&self) -> Option<Seat> {
        let free = |taken| (taken < self.capacity).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).ok()?;
        Some(Seat(Arc::clone(&self.taken)))
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many there are.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_given_back_can_be_taken_again() {
        let seats = Seats::new(1);
        let seat = seats.take().unwrap();
        assert!(seats.take().is_none());
        drop(seat);
        assert!(seats.take().is_some());
    }
}
