//! The `smc` program.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    give_back_weights();
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        eprintln!(
            "\nThis is a bug in smc, not in your model. Please report it with the command line; `--emit graph` or \
             `--emit loops` shows how far the compiler comes."
        );
    }));
    ExitCode::from(cli::run(&cli::args::Cli::parse()))
}

/// Lets large blocks of memory go back to the system when they are freed. The C library of GNU keeps them, once one of
/// their size was freed: weights that are packed and dropped would lie in gaps, and a compilation take a third more.
fn give_back_weights() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call only sets a number. It can fail only by being ignored.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
    }
}
