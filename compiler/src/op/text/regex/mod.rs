//! Regular expressions in the syntax and with the meaning of RE2, on bytes.
//!
//! A pattern is known when a model is compiled. What runs are tables, which look at each byte of a text once or twice.

mod ahead;
mod automaton;
mod points;
mod replace;
mod syntax;
mod whole;

pub use replace::{Plan, TextReplace, TextTrail};
pub use whole::TextMatches;
