//! `smc ops`: what is supported, from the tables themselves.

use smc::{driver::docs, tf};

use super::{args::Ops, term::answer};

pub fn run(args: &Ops) {
    let mut names: Vec<&str> = tf::ops().map(|op| op.name).collect();
    names.sort();
    if args.json {
        answer(serde_json::to_string_pretty(&names).expect("plain data"));
    } else if args.markdown {
        answer(docs::operators());
    } else {
        answer(names.join("\n"));
    }
}
