//! Training in this process: epochs of steps over examples, as Keras's `fit` makes them.
//!
//! An epoch goes once through the examples, in their order or shuffled (Fisher and Yates, with numbers of SplitMix64 that
//! follow from the seed and the epoch alone). Its loss is the mean over the examples of what the steps gave, and the validation
//! comes behind it, as Keras reports both. All is a function of the examples, the [`Course`] and the state at first: whoever
//! stops behind any step and goes on later with what [`Learned`] holds gets the same bits.

use std::{collections::BTreeMap, ops::ControlFlow};

use serde::{Deserialize, Serialize};
use smc_runtime::Parallel;

use super::{EVALUATE, STEP, examples::Examples};
use crate::{
    base::{Diagnostic, Problems, Rng},
    driver::{Block, Call, Executable, Values},
};

/// How long and in which order examples are learned.
#[derive(Clone, Debug)]
pub struct Course {
    /// How often all examples are learned, counted from the first epoch of [`Progress`].
    pub epochs: usize,
    /// The examples of a step; the last step of an epoch has what is left.
    pub batch: usize,
    /// By which the examples of an epoch are shuffled, if they are.
    pub seed: Option<u64>,
    /// After so many epochs without a smaller loss training ends; 0 counts as 1. The loss is that of the validation where
    /// there is one. What the best epoch left is kept then.
    pub patience: Option<usize>,
}

/// Means over examples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    pub loss: f64,
    /// The part of examples that are right, where the loss knows such a thing.
    pub accuracy: Option<f64>,
}

/// What an epoch gave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Of the steps while variables changed.
    pub training: Score,
    /// Behind the last step.
    pub validation: Option<Score>,
}

/// How far training has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Those that are finished.
    pub epochs: Vec<Epoch>,
    /// The steps made in the epoch at hand.
    pub steps: usize,
    /// Over their examples.
    sums: Sums,
}

/// What training has made of a model so far.
#[derive(Clone)]
pub struct Learned {
    pub state: Block,
    /// What the best epoch left, where training may end for want of a better one.
    pub best: Option<Block>,
    pub progress: Progress,
}

/// What happens in training.
pub enum Event {
    /// The step with this number of `of` in an epoch was made, from 1 on, with so many rows; means over the epoch up to here.
    Step { epoch: usize, step: usize, of: usize, rows: usize, score: Score },
    /// As many steps of the validation behind an epoch were made.
    Validation { epoch: usize, step: usize, of: usize },
    /// The last epoch of the progress is finished.
    Epoch,
}

/// What two trainings have in common if one goes on with what the other left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    examples: usize,
    validation: usize,
    /// Of all arrays.
    checksum: u32,
    batch: usize,
    seed: Option<u64>,
    /// Whether the state of the best epoch is part of what is left.
    pub keeps_best: bool,
}

/// Whoever hears what happens, sees what is learned, and says whether to go on.
pub type Heard<'h> = dyn FnMut(Event, &Learned) -> Result<ControlFlow<()>, Problems> + 'h;

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All epochs are finished.
    Finished,
    /// No epoch was better for too long.
    NoBetter,
    /// Whoever heard of an event asked for it.
    Stopped,
}

/// A model with entries to be trained by, and what it is trained with.
pub struct Fit<'a> {
    pub executable: &'a Executable,
    pub examples: &'a Examples,
    pub validation: Option<&'a Examples>,
    pub course: &'a Course,
    pub threads: Option<&'a dyn Parallel>,
}

impl Epoch {
    /// The loss by which epochs are compared.
    pub fn watched(&self) -> f64 {
        self.validation.unwrap_or(self.training).loss
    }
}

impl Progress {
    /// The first of the epochs with the smallest loss.
    pub fn best(&self) -> Option<usize> {
        (0..self.epochs.len()).reduce(|best, n| match self.epochs[n].watched() < self.epochs[best].watched() {
            true => n,
            false => best,
        })
    }
    /// Whether there were so many epochs without a smaller loss.
    fn is_without_hope(&self, patience: Option<usize>) -> bool {
        let waited = self.best().map_or(0, |best| self.epochs.len() - 1 - best);
        patience.is_some_and(|patience| waited >= patience.max(1))
    }
}

impl Learned {
    /// A model that has learned nothing yet.
    pub fn nothing(executable: &Executable) -> Result<Learned, Diagnostic> {
        let state = executable.state()?.ok_or_else(|| Diagnostic::error("nothing learns: the model has no state"))?;
        Ok(Learned { state, best: None, progress: Progress::default() })
    }
    /// What is to be used: the state behind the best epoch where it was kept, else the last one.
    pub fn chosen(&self) -> &Block {
        self.best.as_ref().unwrap_or(&self.state)
    }
}

impl Fit<'_> {
    pub fn mark(&self) -> Mark {
        let Course { batch, seed, patience, .. } = *self.course;
        let checksum = self.examples.checksum();
        Mark {
            examples: self.examples.rows(),
            validation: self.validation.map_or(0, Examples::rows),
            checksum: self.validation.map_or(checksum, |examples| checksum.rotate_left(1) ^ examples.checksum()),
            batch,
            seed,
            keeps_best: patience.is_some(),
        }
    }
    /// The steps of an epoch.
    pub fn steps(&self) -> usize {
        self.examples.batches(self.course.batch)
    }

    /// Trains until the last epoch is finished, none was better for too long, or `heard` says to stop.
    ///
    /// A loss that is no number, and a variable that becomes one, is an error: what `learned` holds then is of no use.
    pub fn run(&self, learned: &mut Learned, heard: &mut Heard<'_>) -> Result<End, Problems> {
        let of = self.steps();
        let finite = self.finite(&learned.state);
        let mut steps = Calls::of(self, STEP, self.examples);
        while learned.progress.epochs.len() < self.course.epochs {
            if learned.progress.is_without_hope(self.course.patience) {
                return Ok(End::NoBetter);
            }
            let epoch = learned.progress.epochs.len() + 1;
            let order = self.order(learned.progress.epochs.len());
            for (n, rows) in order.chunks(self.course.batch).enumerate().take(of).skip(learned.progress.steps) {
                let step = n + 1;
                let score = steps.run(rows, &mut learned.state).map_err(|problem| Diagnostic {
                    message: format!("epoch {epoch}, step {step} of {of}: {}", problem.message),
                    ..problem
                })?;
                if !score.loss.is_finite() {
                    let at = format!("epoch {epoch}, step {step} of {of}");
                    return Err(self.examples.diverged(at, score.loss, rows).into());
                }
                learned.progress.steps = step;
                learned.progress.sums.add(score, rows.len());
                let score = learned.progress.sums.mean();
                let rows = rows.len();
                if heard(Event::Step { epoch, step, of, rows, score }, learned)?.is_break() {
                    return Ok(End::Stopped);
                }
            }
            self.check_finite(&finite, &learned.state, epoch)?;
            let validation = match self.validation {
                None => None,
                Some(examples) => match self.validate(examples, epoch, learned, heard)? {
                    ControlFlow::Continue(score) => Some(score),
                    ControlFlow::Break(()) => return Ok(End::Stopped),
                },
            };
            let progress = &mut learned.progress;
            progress.epochs.push(Epoch { training: progress.sums.mean(), validation });
            (progress.steps, progress.sums) = (0, Sums::default());
            if self.course.patience.is_some() && progress.best() == Some(epoch - 1) {
                learned.best = Some(learned.state.clone());
            }
            // Behind the last one there is nothing left to stop.
            if heard(Event::Epoch, learned)?.is_break() && epoch < self.course.epochs {
                return Ok(End::Stopped);
            }
        }
        Ok(End::Finished)
    }

    /// The score of the state on examples that it is not trained with.
    fn validate(
        &self,
        examples: &Examples,
        epoch: usize,
        learned: &mut Learned,
        heard: &mut Heard<'_>,
    ) -> Result<ControlFlow<(), Score>, Problems> {
        let of = examples.batches(self.course.batch);
        let rows: Vec<usize> = (0..examples.rows()).collect();
        let mut calls = Calls::of(self, EVALUATE, examples);
        let mut sums = Sums::default();
        for (n, rows) in rows.chunks(self.course.batch).enumerate().take(of) {
            let step = n + 1;
            let at = format!("epoch {epoch}, step {step} of {of} of the validation");
            let score = calls
                .run(rows, &mut learned.state)
                .map_err(|problem| Diagnostic { message: format!("{at}: {}", problem.message), ..problem })?;
            if !score.loss.is_finite() {
                return Err(examples.diverged(at, score.loss, rows).into());
            }
            sums.add(score, rows.len());
            if heard(Event::Validation { epoch, step, of }, learned)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(sums.mean()))
    }

    /// The rows in the order in which an epoch takes them; epochs count from 0.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.examples.rows()).collect();
        if let Some(seed) = self.course.seed {
            let mut rng = Rng::new(Rng::new(seed).bits().wrapping_add(epoch as u64));
            (1..rows.len()).rev().for_each(|last| rows.swap(last, rng.below(last + 1)));
        }
        rows
    }

    /// The names of the variables that are numbers in all elements.
    fn finite(&self, state: &Block) -> Vec<String> {
        let interface = self.executable.interface();
        let values = Values::of(interface, Some(state));
        let named = values.named(interface).into_iter().filter(|(_, value)| value.is_finite());
        named.map(|(name, _)| name.to_string()).collect()
    }

    /// The last step's loss does not show what the step made of the variables.
    fn check_finite(&self, before: &[String], state: &Block, epoch: usize) -> Result<(), Diagnostic> {
        let now = self.finite(state);
        match before.iter().find(|name| !now.contains(name)) {
            Some(name) => Err(Diagnostic::error(format!(
                "variable `{name}` is not finite any more behind the last step of epoch {epoch}: training diverges"
            ))
            .help(SMALLER)),
            None => Ok(()),
        }
    }
}

/// What helps against losses without bounds.
pub(super) const SMALLER: &str =
    "try a smaller learning rate, such as --optimizer adam:lr=0.0001, or bounds for gradients: clipnorm=1";

/// Sums over examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    loss: f64,
    accuracy: Option<f64>,
    examples: usize,
}

impl Sums {
    /// The means over a batch.
    fn add(&mut self, score: Score, rows: usize) {
        let part = |mean: f64| mean * rows as f64;
        self.loss += part(score.loss);
        self.accuracy = score.accuracy.map(|mean| self.accuracy.unwrap_or(0.0) + part(mean));
        self.examples += rows;
    }
    fn mean(&self) -> Score {
        let count = self.examples.max(1) as f64;
        Score { loss: self.loss / count, accuracy: self.accuracy.map(|sum| sum / count) }
    }
}

/// The calls of an entry, one for each number of rows: its buffers stay where they are.
struct Calls<'a> {
    fit: &'a Fit<'a>,
    signature: usize,
    examples: &'a Examples,
    calls: BTreeMap<usize, Call<'a>>,
}

impl<'a> Calls<'a> {
    fn of(fit: &'a Fit<'a>, key: &str, examples: &'a Examples) -> Calls<'a> {
        let signatures = &fit.executable.interface().signatures;
        let signature = signatures.iter().position(|s| s.key == key).expect("the model was compiled for training");
        Calls { fit, signature, examples, calls: BTreeMap::new() }
    }
    /// What a call with these examples gives.
    fn run(&mut self, rows: &[usize], state: &mut Block) -> Result<Score, Diagnostic> {
        let Calls { fit, examples, .. } = *self;
        if !self.calls.contains_key(&rows.len()) {
            let inputs = examples.take(rows);
            let call = fit.executable.prepare(self.signature, &inputs).map_err(first)?;
            self.calls.insert(rows.len(), call);
        }
        let call = self.calls.get_mut(&rows.len()).expect("it was just made");
        examples.fill(rows, call);
        call.run_on(state, fit.threads).map_err(|problem| examples.explain(problem))?;
        let number = |n: usize| call.result(n).and_then(|value| value.get(0).as_f64());
        Ok(Score { loss: number(0).unwrap_or(f64::NAN), accuracy: number(1) })
    }
}

/// The inputs were checked before: what is wrong now is one thing, such as memory.
fn first(problems: Problems) -> Diagnostic {
    problems.0.into_iter().next().unwrap_or_else(|| Diagnostic::error("the call cannot be made"))
}
