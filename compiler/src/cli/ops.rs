//! `smc ops`: what is supported, from the tables themselves.

use std::fmt::Write;

use smc::tf;

use super::{args::Ops, term::answer};

pub fn run(args: &Ops) {
    let mut names: Vec<&str> = tf::ops().map(|op| op.name).collect();
    names.sort();
    if args.json {
        answer(serde_json::to_string_pretty(&names).expect("plain data"));
    } else if args.markdown {
        answer(markdown(&names));
    } else {
        answer(names.join("\n"));
    }
}

/// One line for each initial.
fn markdown(names: &[&str]) -> String {
    let mut out = format!("{} operators:\n", names.len());
    let mut initial = None;
    for name in names {
        let first = name.chars().next();
        let lead = if first == initial { ", " } else { "\n\n" };
        let _ = write!(out, "{lead}{name}");
        initial = first;
    }
    out.push('\n');
    out
}
