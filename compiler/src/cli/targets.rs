//! `smc targets`: the machines that code can be made for.

use smc::native;

use super::{args::Targets, term::answer};

pub fn run(args: &Targets) {
    let known = native::known();
    if args.json {
        answer(serde_json::to_string_pretty(&known).expect("plain data"));
        return;
    }
    let line = |t: &native::Known| {
        let here = if t.host { " (this machine)" } else { "" };
        format!("{:30}{}; by default {}{here}", t.triple, t.cpus.join(" "), t.default)
    };
    answer(known.iter().map(line).collect::<Vec<_>>().join("\n"));
}
