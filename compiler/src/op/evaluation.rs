//! How a reference evaluation goes: what sums are kept in, and whether it still goes on.

use std::cell::Cell;

use crate::loops::Fault;

/// Why an evaluation has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The model stops on these values.
    Fault(Fault),
    /// The caller asked for it.
    Interrupted,
}

impl Stop {
    /// The fault of an evaluation that nobody interrupts.
    pub fn fault(self) -> Fault {
        match self {
            Stop::Fault(fault) => fault,
            Stop::Interrupted => unreachable!("nobody interrupts"),
        }
    }
}

/// What sums are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sums {
    /// Floats in f64, rounded once at the end.
    Wide,
    /// f32 in f32, rounded at each step.
    Rounded,
}

/// How an evaluation goes.
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    pub sums: Sums,
    /// Asked before each operator, and now and then within one that takes long: false interrupts the evaluation.
    pub go_on: &'a (dyn Fn() -> bool + Sync),
}

impl Evaluation<'static> {
    /// The definition, to its end.
    pub const WHOLE: Evaluation<'static> = Evaluation { sums: Sums::Wide, go_on: &|| true };
}

impl<'a> Evaluation<'a> {
    /// A look at the clock now and then, for one thread.
    pub fn pace(&self) -> Pace<'a> {
        Pace { go_on: self.go_on, done: Cell::new(0), stopped: Cell::new(false) }
    }
}

/// Counts steps, and asks after many of them whether to go on.
pub struct Pace<'a> {
    go_on: &'a (dyn Fn() -> bool + Sync),
    done: Cell<usize>,
    stopped: Cell<bool>,
}

impl Pace<'_> {
    /// So many steps take about a millisecond, and much longer than the question.
    const STEPS: usize = 1 << 18;

    /// Whether to go on after so many steps more. Once it is not, it stays so.
    pub fn goes_on(&self, steps: usize) -> bool {
        self.done.set(self.done.get() + steps);
        if self.done.get() >= Pace::STEPS && !self.stopped.get() {
            self.done.set(0);
            self.stopped.set(!(self.go_on)());
        }
        !self.stopped.get()
    }
    /// A result, unless it was not finished.
    pub fn or<T>(&self, result: T) -> Result<T, Stop> {
        if self.stopped.get() { Err(Stop::Interrupted) } else { Ok(result) }
    }
}

#[test]
fn pace_asks_now_and_then() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let go_on = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2;
    let pace = Evaluation { sums: Sums::Wide, go_on: &go_on }.pace();
    assert!((0..3 * Pace::STEPS - 1).all(|_| pace.goes_on(1)) && pace.or(()).is_ok());
    assert!(!pace.goes_on(1) && !pace.goes_on(Pace::STEPS) && pace.or(()).is_err());
    assert_eq!(asked.into_inner(), 3);
}
