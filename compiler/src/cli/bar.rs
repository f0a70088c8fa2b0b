//! How training shows: a bar for the epoch at hand on a terminal, and a line or a JSON object for each finished one.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use smc::driver::train::{Epoch, Score};

use super::term::{Term, answer};

/// How often the bar's words change.
const EVERY: Duration = Duration::from_millis(50);

pub struct Bar<'t> {
    term: &'t Term,
    json: bool,
    epochs: usize,
    bar: ProgressBar,
    /// When the bar's words changed.
    told: Option<Instant>,
    /// When the epoch began, or went on, and with how many examples behind it.
    began: Instant,
    /// Of the epoch, in steps made here.
    examples: usize,
    /// What these took.
    took: Duration,
}

impl<'t> Bar<'t> {
    pub fn new(term: &'t Term, json: bool, epochs: usize) -> Bar<'t> {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if !term.quiet && std::io::stderr().is_terminal() {
            let template = "{prefix} {bar:24.blue/black} {pos}/{len} {msg}";
            bar.set_style(ProgressStyle::with_template(template).expect("a fixed template"));
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        Bar { term, json, epochs, bar, told: None, began: Instant::now(), examples: 0, took: Duration::ZERO }
    }
    /// A step with so many examples was made.
    pub fn step(&mut self, epoch: usize, step: usize, of: usize, rows: usize, score: Score) {
        self.examples += rows;
        self.took = self.began.elapsed();
        if self.bar.is_hidden() || step < of && self.told.is_some_and(|told| told.elapsed() < EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        self.bar.set_prefix(format!("epoch {epoch} of {}", self.epochs));
        self.bar.set_length(of as u64);
        self.bar.set_position(step as u64);
        self.bar.set_message(format!("{}, {}", words(score, ""), self.rate()));
    }
    /// A step of the validation was made.
    pub fn validation(&mut self, step: usize, of: usize) {
        if !self.bar.is_hidden() && self.told.is_none_or(|told| told.elapsed() >= EVERY) {
            self.told = Some(Instant::now());
            self.bar.set_message(format!("validating: {step} of {of}"));
        }
    }
    /// The epoch with this number is finished.
    pub fn epoch(&mut self, number: usize, epoch: &Epoch) {
        if self.json {
            self.bar.suspend(|| answer(self.object(number, epoch)));
        } else {
            let validation =
                epoch.validation.map_or(String::new(), |score| format!(", {}", words(score, "validation ")));
            let rate = self.rate();
            let line = format!("epoch {number} of {}: {}{validation}, {rate}", self.epochs, words(epoch.training, ""));
            self.bar.suspend(|| self.term.note(line));
        }
        // The bar's words are those of the next epoch's first step.
        self.told = None;
        self.bar.reset();
        (self.examples, self.took, self.began) = (0, Duration::ZERO, Instant::now());
    }
    fn object(&self, number: usize, epoch: &Epoch) -> String {
        let mut object = json!({ "epoch": number, "loss": epoch.training.loss });
        let mut put = |name: &str, value: Option<f64>| {
            if let Some(value) = value {
                object[name] = json!(value);
            }
        };
        put("accuracy", epoch.training.accuracy);
        put("validation_loss", epoch.validation.map(|score| score.loss));
        put("validation_accuracy", epoch.validation.and_then(|score| score.accuracy));
        put("seconds", Some(self.took.as_secs_f64()));
        put("examples_per_second", self.per_second());
        object.to_string()
    }
    fn per_second(&self) -> Option<f64> {
        Some(self.examples as f64 / self.took.as_secs_f64()).filter(|rate| rate.is_finite())
    }
    fn rate(&self) -> String {
        self.per_second().map_or(String::new(), |rate| format!("{rate:.0} examples/s"))
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// `loss 0.2311, accuracy 0.9312`.
fn words(score: Score, of: &str) -> String {
    let accuracy = score.accuracy.map_or(String::new(), |part| format!(", {of}accuracy {part:.4}"));
    format!("{of}loss {}{accuracy}", short(score.loss))
}

/// Four digits.
fn short(x: f64) -> String {
    match x.abs() {
        0.0 | 0.001..1000.0 => format!("{x:.4}"),
        _ => format!("{x:.3e}"),
    }
}

#[test]
fn scores_are_told_in_words() {
    let score = Score { loss: 0.23111, accuracy: Some(0.5) };
    assert_eq!(words(score, "validation "), "validation loss 0.2311, validation accuracy 0.5000");
    assert_eq!(words(Score { loss: -1e-7, accuracy: None }, ""), "loss -1.000e-7");
}
