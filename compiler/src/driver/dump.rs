//! The stages of a compilation as text, for people.

use std::fmt::Write;

use crate::{
    driver::{Dump, Entry},
    graph::{draw, text::print},
    native::{Compiled, Listing},
    plan::{Place, Program},
};

/// What was asked for, as (title, text): entry by entry, and the code of all entries together.
pub fn dumps(wanted: &[Dump], entries: &[Entry], programs: &[Program], code: &Compiled) -> Vec<(String, String)> {
    let mut dumps = vec![];
    for &dump in wanted {
        let name = dump.name();
        if let Some(pick) = listing(dump) {
            dumps.push((name.to_string(), listings(code, pick)));
            continue;
        }
        for (entry, program) in entries.iter().zip(programs) {
            let text = match dump {
                Dump::Graph => print(&entry.imported).0,
                Dump::Opt => print(&entry.optimised).0,
                Dump::Dot => draw(&entry.optimised),
                Dump::Plan => plan(program),
                _ => program.launches.iter().map(|l| l.kernel.to_string()).collect::<Vec<_>>().join("\n"),
            };
            dumps.push((format!("{name} of signature `{}`", entry.key), text));
        }
    }
    dumps
}

/// The part of a function's listing that shows this stage.
fn listing(dump: Dump) -> Option<fn(&Listing) -> &str> {
    match dump {
        Dump::Clif => Some(|l| &l.clif),
        Dump::Asm => Some(|l| &l.asm),
        _ => None,
    }
}

fn listings(code: &Compiled, pick: fn(&Listing) -> &str) -> String {
    let shown = |f: &crate::native::Function| f.code.listing.as_ref().map(|l| format!("{}:\n{}\n", f.name, pick(l)));
    code.functions.iter().filter_map(shown).collect()
}

/// Buffers with their places, then the kernels with what they read and write.
fn plan(program: &Program) -> String {
    let mut out = String::new();
    for (id, s) in program.storage.iter() {
        let place = match &s.place {
            Place::Input(n) => format!("input `{}`", program.inputs[*n].name),
            Place::Output(n) => format!("output `{}`", program.outputs[*n].name),
            Place::Weights(id) => format!("weights {}", id.index()),
            Place::Workspace(offset) => format!("workspace at {offset}"),
        };
        let _ = writeln!(out, "b{} = {}[{}] in {place}", id.index(), s.dtype, s.len);
    }
    let _ = writeln!(out, "workspace {} bytes, at least {}", program.workspace, program.workspace_bound);
    for launch in &program.launches {
        let args: Vec<_> = launch.args.iter().map(|a| format!("b{}", a.index())).collect();
        let origin = launch.origin.as_ref().map_or(String::new(), |o| format!(" // {o}"));
        let _ = writeln!(out, "{}({}) {} flops{origin}", launch.kernel.name, args.join(", "), launch.flops);
    }
    out
}
