//! What goes to the terminal: diagnostics and progress on the error stream, answers on the output stream.

use std::{
    fmt::Display,
    io::{ErrorKind, IsTerminal, Write},
    time::Duration,
};

use anstream::eprintln;
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use smc::{
    base::{Diagnostic, Problems, Severity},
    driver::News,
};

use super::args::Color;

/// How this run talks.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    pub quiet: bool,
}

impl Term {
    pub fn new(color: Color, quiet: bool) -> Term {
        let choice = match color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        Term { quiet }
    }
    /// Prints each diagnostic; with `quiet`, errors only.
    pub fn report(&self, problems: &Problems) {
        problems.0.iter().filter(|d| !self.quiet || d.severity == Severity::Error).for_each(diagnostic);
    }
    /// Prints one diagnostic, whatever was asked for.
    pub fn warn(d: &Diagnostic) {
        diagnostic(d);
    }
    /// Prints one line of comfort.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }
    /// Shows what takes long, once it has taken a second, on a terminal only.
    pub fn progress(&self) -> Progress {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if !self.quiet && std::io::stderr().is_terminal() {
            bar.set_style(ProgressStyle::with_template("{spinner} {elapsed} {msg}").expect("a fixed template"));
            let late = bar.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(1));
                if !late.is_finished() {
                    late.set_draw_target(ProgressDrawTarget::stderr());
                    late.enable_steady_tick(Duration::from_millis(100));
                }
            });
        }
        Progress(bar)
    }
}

/// A line that says what is being done; it vanishes with this value.
pub struct Progress(ProgressBar);

impl Progress {
    pub fn stage(&self, what: &str) {
        self.0.set_message(what.to_string());
    }
    /// Shows what a compilation does, and prints the forms of the program that were asked for.
    pub fn heard(&self, news: News) {
        match news {
            News::Stage(what) => self.stage(what),
            News::Form { title, text } => self.0.suspend(|| answer(format!("// {title}\n{text}"))),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Prints an answer. A reader that has gone away (`smc ops | head`) is no error; an answer that is lost for another reason
/// ends the program with status 1.
pub fn answer(text: impl Display) {
    let text = text.to_string();
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    let mut out = anstream::stdout();
    match write!(out, "{text}{newline}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            diagnostic(&Diagnostic::error(format!("cannot write to the standard output: {e}")));
            std::process::exit(1);
        }
        _ => {}
    }
}

fn diagnostic(d: &Diagnostic) {
    let (word, color) = match d.severity {
        Severity::Note => ("note", AnsiColor::Cyan),
        Severity::Warning => ("warning", AnsiColor::Yellow),
        Severity::Error => ("error", AnsiColor::Red),
    };
    let (style, faint) = (Style::new().bold().fg_color(Some(color.into())), Style::new().dimmed());
    let text = d.to_string();
    let rest = text.strip_prefix(word).unwrap_or(&text);
    let (first, places) = rest.split_once('\n').unwrap_or((rest, ""));
    eprintln!("{style}{word}{style:#}{first}");
    if !places.is_empty() {
        eprintln!("{faint}{places}{faint:#}");
    }
}
