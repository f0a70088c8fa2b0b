//! The part of a job that a thread has to itself, until others who are done help it.
//!
//! The owner takes from the front and helpers from the end, so that from job to job, and from call to call, a thread
//! meets the same part of a kernel's weights and the same part of what an earlier kernel wrote: they are in its caches.
//! Both take half of what is left, so what one thread does last is little, and late threads delay nobody.

use std::{
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

/// A place at the table. It has cache lines of its own, since it is its owner who writes to it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Seat {
    /// What is left of the part: its begin in the upper half, its end in the lower.
    left: AtomicU64,
    /// Whether the owner is parked, or about to be, and nobody has called it since.
    pub asleep: AtomicBool,
}

impl Seat {
    /// Gives the owner a part.
    ///
    /// Relaxed, like all that concerns parts: only who has entered a job looks at them, and entering orders that behind
    /// the dealing. A part says who computes what, and shows nobody what was computed.
    pub fn deal(&self, part: Range<u32>) {
        self.left.store(pack(part), Ordering::Relaxed);
    }

    /// The next pieces for the owner: half of what is left, at least `least`, nothing when nothing is left.
    pub fn take(&self, least: u32) -> Range<u32> {
        self.split(least, |left, many| (left.start..left.start + many, left.start + many..left.end))
    }

    /// The same for a helper.
    pub fn help(&self, least: u32) -> Range<u32> {
        self.split(least, |left, many| (left.end - many..left.end, left.start..left.end - many))
    }

    fn split(&self, least: u32, cut: impl Fn(Range<u32>, u32) -> (Range<u32>, Range<u32>)) -> Range<u32> {
        let mut seen = self.left.load(Ordering::Relaxed);
        loop {
            let left = (seen >> 32) as u32..seen as u32;
            let many = (left.end - left.start).div_ceil(2).max(least).min(left.end - left.start);
            if many == 0 {
                return 0..0;
            }
            let (taken, rest) = cut(left, many);
            match self.left.compare_exchange_weak(seen, pack(rest), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return taken,
                Err(now) => seen = now,
            }
        }
    }
}

fn pack(part: Range<u32>) -> u64 {
    u64::from(part.start) << 32 | u64::from(part.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_and_helper_meet_in_the_middle() {
        let seat = Seat::default();
        assert!(seat.take(1).is_empty());
        seat.deal(10..20);
        assert_eq!(seat.take(1), 10..15);
        assert_eq!(seat.help(1), 17..20);
        assert_eq!(seat.take(5), 15..17);
        assert!(seat.take(1).is_empty() && seat.help(1).is_empty());
        seat.deal(u32::MAX - 1..u32::MAX);
        assert_eq!(seat.help(7), u32::MAX - 1..u32::MAX);
    }
}
