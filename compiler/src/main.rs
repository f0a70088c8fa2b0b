//! The `smc` program.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        eprintln!(
            "\nThis is a bug in smc, not in your model. Please report it with the command line; `--emit graph` or \
             `--emit loops` shows how far the compiler comes."
        );
    }));
    ExitCode::from(cli::run(&cli::args::Cli::parse()))
}
