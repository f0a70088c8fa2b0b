//! The command line: what the program reads, prints and writes. All else is the library's.

pub mod args;
mod bar;
mod bench;
mod check;
mod checkpoint;
mod compile;
mod curve;
mod custom;
mod draw;
mod examples;
mod files;
mod given;
mod inspect;
mod interrupt;
mod judge;
mod literal;
mod man;
mod npz;
mod ops;
mod output;
mod profile;
mod run;
mod shown;
mod state;
mod targets;
mod term;
mod train;

use clap::CommandFactory;
use smc::{base::Problems, driver::machine::Machine, saved};

use self::{
    args::{Cli, Command, Model, Plugins},
    term::{Term, answer},
};

/// Carries out one command. Returns the exit status: 0, or 1 when something that the user gave is at fault.
pub fn run(cli: &Cli) -> u8 {
    let term = Term::new(cli.color, cli.quiet);
    match command(&cli.command, &term) {
        Ok(()) => 0,
        Err(problems) => {
            term.report(&problems);
            1
        }
    }
}

fn command(command: &Command, term: &Term) -> Result<(), Problems> {
    match command {
        Command::Compile(args) => compile::run(args, term),
        Command::Inspect(args) => inspect::run(args, term),
        Command::Run(args) => run::run(args, term),
        Command::State(args) => state::run(args, term),
        Command::Train(args) => train::run(args, term),
        Command::Check(args) => check::run(args, term),
        Command::Bench(args) => bench::run(args, term),
        Command::Machine(args) => {
            let machine = Machine::measure(args.seconds);
            match args.json {
                true => answer(serde_json::to_string_pretty(&machine).expect("plain data")),
                false => answer(machine),
            }
            Ok(())
        }
        Command::Ops(args) => {
            ops::run(args);
            Ok(())
        }
        Command::Completions { shell } => {
            let mut script = vec![];
            clap_complete::generate(*shell, &mut Cli::command(), "smc", &mut script);
            answer(String::from_utf8_lossy(&script));
            Ok(())
        }
        Command::Targets(args) => {
            targets::run(args);
            Ok(())
        }
        Command::Man { command } => man::run(command.as_deref()),
    }
}

/// The CPU level to compile for when the code runs here: the one given, that of the environment, or the best.
fn cpu(given: Option<&str>) -> String {
    let or_native = || std::env::var("SMC_CPU").unwrap_or_else(|_| "native".into());
    given.map_or_else(or_native, String::from)
}

/// Opens the model that the arguments name.
fn load(args: &Model) -> Result<saved::Model, Problems> {
    load_with(args, &Plugins::default())
}

/// The same, whose custom operators are in these shared libraries.
fn load_with(args: &Model, plugins: &Plugins) -> Result<saved::Model, Problems> {
    let operators = custom::operators(&args.custom, &plugins.plugins)?;
    let options = saved::Options { version: args.version, tags: args.tags.clone(), operators: operators.into() };
    saved::Model::open(&args.path, &options)
}
