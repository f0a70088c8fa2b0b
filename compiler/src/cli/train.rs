//! `smc train`: what the user sees and keeps of a training; `driver::train` trains.

use std::{fs, io::Write, ops::ControlFlow, path::PathBuf};

use smc::{
    base::{Diagnostic, Problems},
    driver::{
        self, Compiled, Executable, Exported, Options, Values,
        train::{Course, End, Event, Examples, Fit, Learned, Mark, Progress, STEP, fixed_batch},
    },
    emit::interface::Signature,
    saved::{
        Model,
        revise::{Revised, with_values},
    },
};
use smc_runtime::Parallel;

use super::{
    args::Train,
    bar::Bar,
    checkpoint::{Checkpoint, Found, behind},
    cpu,
    curve::svg,
    examples::examples,
    files::{self, Destination, Folder},
    interrupt::Interrupt,
    load_with, npz,
    run::{pick, pool},
    term::Term,
};

/// As many as Keras takes.
const BATCH: usize = 32;

/// Where results go, each looked at.
struct Places {
    out: Option<Folder>,
    curve: Option<Destination>,
    state: Option<Checkpoint>,
}

pub fn run(args: &Train, term: &Term) -> Result<(), Problems> {
    let places = Places {
        out: args.output.as_deref().map(Folder::find).transpose()?,
        curve: args.curve.as_deref().map(Destination::find).transpose()?,
        state: args.state.as_deref().map(Checkpoint::find).transpose()?,
    };
    let model = edited(args, load_with(&args.model, &args.plugins)?)?;
    places.out.as_ref().map_or(Ok(()), |out| out.is_apart(&model))?;
    let data = npz::read_npz(&args.data)?;
    let held_back = args.validation.as_deref().map(npz::read_npz).transpose()?;
    let compiled = compile(args, &model, term)?;
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface.clone())?;
    let step = executable.interface().signatures.iter().find(|s| s.key == STEP).expect("training was asked for");
    let weighted = args.learning.sample_weights;
    let mut given = examples(&args.data, data, step, weighted, false, term)?;
    let mut validation = match (&args.validation, held_back) {
        (Some(path), Some(arrays)) => Some(examples(path, arrays, step, weighted, true, term)?),
        _ => None,
    };
    if let Some(share) = args.split {
        let (stay, rest) = given.split(share)?;
        (given, validation) = (stay, Some(rest));
    }
    let course = course(args, step)?;
    for (examples, what) in [(Some(&given), "in each epoch"), (validation.as_ref(), "in each validation")] {
        left_over(examples, &course, what, term);
    }
    let pool = pool(args.threads)?;
    let fit = Fit {
        executable: &executable,
        examples: &given,
        validation: validation.as_ref(),
        course: &course,
        threads: pool.as_ref().map(|pool| pool as &dyn Parallel),
    };
    let learned = Learned::nothing(&executable)?;
    let mark = fit.mark();
    Training { args, term, model: &model, fit, mark, places }.run(learned)
}

/// With the layers that it is to have.
fn edited(args: &Train, model: Model) -> Result<Model, Problems> {
    if !args.edit.is_some() {
        return Ok(model);
    }
    let (signatures, shapes) = (vec![pick(&model, args.signature.as_deref())?.name], args.inputs.clone());
    args.edit.applied(model, &Options { signatures, shapes, ..args.code.options(&args.outputs) }, args.seed)
}

/// With entries to train the signature, for this machine.
fn compile(args: &Train, model: &Model, term: &Term) -> Result<Compiled, Problems> {
    let options = Options {
        signatures: vec![pick(model, args.signature.as_deref())?.name],
        shapes: args.inputs.clone(),
        cpu: Some(cpu(args.cpu.as_deref())),
        training: args.learning.training().map(|training| training.in_steps_of(args.batch.unwrap_or(BATCH) as u64)),
        ..args.code.options(&args.outputs)
    };
    let progress = term.progress();
    let compiled = driver::compile(model, &options, &mut |news| progress.heard(news))?;
    drop(progress);
    term.report(&compiled.notes);
    Ok(compiled)
}

fn course(args: &Train, step: &Signature) -> Result<Course, Diagnostic> {
    let batch = match (args.batch, fixed_batch(step)) {
        (Some(asked), Some(fixed)) if asked != fixed => {
            let what = format!("the model takes {fixed} examples at a time, not {asked}");
            return Err(Diagnostic::error(what).help("leave --batch out, or export the model with an open batch size"));
        }
        (_, Some(fixed)) => fixed,
        (asked, None) => asked.unwrap_or(BATCH),
    };
    let seed = (!args.no_shuffle).then_some(args.seed);
    Ok(Course { epochs: args.epochs, batch, seed, patience: args.patience })
}

/// Says what is in no step, where the model fixes their size.
fn left_over(examples: Option<&Examples>, course: &Course, when: &str, term: &Term) {
    let Some(examples) = examples else { return };
    let rest = examples.left_over(course.batch);
    if rest > 0 {
        let (rows, batch) = (examples.rows(), course.batch);
        let what = format!("{rest} of {rows} examples are left out {when}: the model takes {batch} at a time");
        term.report(&Diagnostic::note(what).into());
    }
}

struct Training<'a> {
    args: &'a Train,
    term: &'a Term,
    model: &'a Model,
    fit: Fit<'a>,
    /// Of the fit.
    mark: Mark,
    places: Places,
}

impl Training<'_> {
    fn run(&self, mut learned: Learned) -> Result<(), Problems> {
        let executable = self.fit.executable;
        let seeded = executable.interface().state.as_ref().is_some_and(|state| state.layout.is_seeded_by_caller());
        if seeded {
            executable.seed(&mut learned.state, self.args.seed)?;
        }
        self.go_on(&mut learned)?;
        // What cannot be written is better known before.
        if self.places.out.is_some() {
            self.revised(&learned)?;
        }
        let interrupt =
            Interrupt::listen().map_err(|e| Diagnostic::error(format!("the system does not tell of signals: {e}")))?;
        let end = {
            let mut shown = Bar::new(self.term, self.args.json, self.args.epochs);
            self.fit.run(&mut learned, &mut |event, learned| {
                self.heard(event, learned, &mut shown)?;
                Ok(if interrupt.asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?
        };
        self.draw(&learned.progress)?;
        if end == End::Stopped {
            self.term.report(&self.stopped(&learned)?.into());
            interrupt.end();
        }
        if end == End::NoBetter {
            let last = self.args.patience.filter(|&n| n > 1).map_or("epoch".into(), |n| format!("{n} epochs"));
            self.term.note(format_args!("training ends: the last {last} had no smaller loss than one before"));
        }
        self.finish(&learned)
    }

    /// Takes over what a file of state holds, and says so.
    fn go_on(&self, learned: &mut Learned) -> Result<(), Problems> {
        let Some(checkpoint) = &self.places.state else {
            let kept = self.places.out.as_ref().map(|out| behind(out.shown(), ".state")).filter(|path| path.exists());
            if let Some(path) = kept {
                let what = format!("{} has what a training that was stopped has learned", path.display());
                let help = format!("--state {} goes on from there", path.display());
                self.term.report(&Diagnostic::note(what).help(help).into());
            }
            return Ok(());
        };
        let (path, epochs) = (checkpoint.path().display(), self.args.epochs);
        match checkpoint.read(self.fit.executable, &self.mark, learned)? {
            Found::Nothing => {}
            Found::Variables => self.term.note(format_args!(
                "training goes on with the variables in {path}; epochs count from 1, since it had other examples or options"
            )),
            Found::Course => {
                let Progress { epochs: done, steps, .. } = &learned.progress;
                let steps = if *steps > 0 { format!(" and {steps} steps") } else { String::new() };
                let epoch = if done.len() == 1 { "epoch" } else { "epochs" };
                let done = done.len();
                self.term.note(format_args!("training goes on behind the {done} {epoch}{steps} of {path}"));
                if done >= epochs {
                    let what = format!("there is nothing left to learn: --epochs {epochs} counts those of {path} too");
                    self.term.report(&Diagnostic::note(what).into());
                }
            }
        }
        Ok(())
    }

    fn heard(&self, event: Event, learned: &Learned, shown: &mut Bar<'_>) -> Result<(), Problems> {
        match event {
            Event::Step { epoch, step, of, rows, score } => shown.step(epoch, step, of, rows, score),
            Event::Validation { step, of, .. } => shown.validation(step, of),
            Event::Epoch => {
                let epochs = &learned.progress.epochs;
                if let Some(last) = epochs.last() {
                    shown.epoch(epochs.len(), last);
                }
                if let Some(checkpoint) = &self.places.state {
                    checkpoint.write(self.fit.executable, &self.mark, learned)?;
                }
            }
        }
        Ok(())
    }

    /// The model with what was learned in place of its stored variables.
    fn revised(&self, learned: &Learned) -> Result<Revised, Problems> {
        let interface = self.fit.executable.interface();
        let values = Values::of(interface, Some(learned.chosen()));
        let named = values.named(interface).into_iter().map(|(name, value)| (name.to_string(), value.clone()));
        let Exported { values, .. } = driver::exported(self.model, &named.collect::<Vec<_>>())?;
        with_values(self.model, &values)
    }

    fn draw(&self, progress: &Progress) -> Result<(), Problems> {
        let Some(place) = &self.places.curve else { return Ok(()) };
        let kept = progress.best().filter(|_| self.args.patience.is_some());
        let title = format!("Training of {}", self.args.model.name());
        let picture = svg(&title, &progress.epochs, kept);
        files::write_all(&[(place, &|out: &mut dyn Write| out.write_all(picture.as_bytes()))])
    }

    /// Keeps what was learned where the user says, or beside the output: what is said of it.
    fn stopped(&self, learned: &Learned) -> Result<Diagnostic, Problems> {
        let path = self.keep(learned)?;
        let Progress { epochs, steps, .. } = &learned.progress;
        let (epoch, of, all) = (epochs.len() + 1, self.fit.steps(), self.args.epochs);
        let what = format!("training was stopped in epoch {epoch} of {all}, behind step {steps} of {of}");
        Ok(Diagnostic::warning(what).help(format!("the same command with --state {} goes on", path.display())))
    }

    /// Where a file of state now holds what was learned.
    fn keep(&self, learned: &Learned) -> Result<PathBuf, Problems> {
        let write = |checkpoint: &Checkpoint| {
            checkpoint.write(self.fit.executable, &self.mark, learned).map(|()| checkpoint.path().to_path_buf())
        };
        if let Some(checkpoint) = &self.places.state {
            return write(checkpoint);
        }
        let out = self.places.out.as_ref().expect("an output or a file of state is required");
        let path = behind(out.shown(), ".state");
        // A failure to make the folder shows when the file is looked at.
        let _ = path.parent().map_or(Ok(()), fs::create_dir_all);
        write(&Checkpoint::find(&path)?)
    }

    fn finish(&self, learned: &Learned) -> Result<(), Problems> {
        let progress = &learned.progress;
        let best = progress.best().filter(|_| learned.best.is_some());
        let of = best.map_or(String::new(), |n| format!(", as epoch {} left it, which had the smallest loss", n + 1));
        let Some(out) = &self.places.out else { return Ok(()) };
        let revised = self.revised(learned)?;
        out.write_model(self.model, &revised).map_err(|problems| self.rescued(problems, learned))?;
        self.term.note(format_args!("wrote {}{of}", out.shown().display()));
        Ok(())
    }

    /// What is said of an output that cannot be written any more: what was learned is kept somewhere else.
    fn rescued(&self, problems: Problems, learned: &Learned) -> Problems {
        let elsewhere = || {
            let name = format!("smc-train-{}.state", std::process::id());
            let checkpoint = Checkpoint::find(&std::env::temp_dir().join(name))?;
            checkpoint.write(self.fit.executable, &self.mark, learned)?;
            Ok::<_, Problems>(checkpoint.path().to_path_buf())
        };
        match self.keep(learned).or_else(|_| elsewhere()) {
            Ok(path) => {
                let path = path.display();
                let help = format!("what was learned is in {path}: the same command with --state {path} writes it");
                problems.map(|problem| problem.help(&help))
            }
            Err(more) => Problems([problems.0, more.0].concat()),
        }
    }
}
