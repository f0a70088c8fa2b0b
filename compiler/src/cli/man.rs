//! `smc man`: the manual pages, made from the arguments' help.

use clap::CommandFactory;
use smc::base::{Diagnostic, Problems, names::advice};

use super::{args::Cli, term::answer};

/// Prints the page of the program and one for each command, or that of one command.
pub fn run(command: Option<&str>) -> Result<(), Problems> {
    let mut program = Cli::command();
    program.build();
    let named = |c: &&clap::Command| c.get_name() != "help";
    let Some(name) = command else {
        let pages = program.get_subcommands().filter(named).map(|c| page(c.clone(), &format!("smc-{}", c.get_name())));
        let pages: Vec<_> = pages.collect();
        answer([page(program.clone(), "smc"), pages.concat()].concat());
        return Ok(());
    };
    match program.get_subcommands().find(|c| c.get_name() == name) {
        Some(command) => answer(page(command.clone(), &format!("smc-{name}"))),
        None => {
            let known: Vec<_> = program.get_subcommands().filter(named).map(|c| c.get_name()).collect();
            let problem = Diagnostic::error(format!("there is no command `{name}`"));
            return Err(problem.help(advice(name, "commands", &known)).into());
        }
    }
    Ok(())
}

/// A page in roff.
fn page(command: clap::Command, title: &str) -> String {
    let mut page = vec![];
    // Writing to memory does not fail.
    let _ = clap_mangen::Man::new(command).title(title).render(&mut page);
    String::from_utf8_lossy(&page).into_owned()
}
