//! The stages of a compilation as text, for people.

use std::fmt::Write;

use crate::{
    base::Dim,
    driver::{Dump, Entry, News, conditions::words, listing},
    emit::interface::Interface,
    graph::{draw, text::print},
    native::{Compiled, Listing, Target},
    plan::{Bodies, FlowKind, Place, Program, StorageId},
};

/// Tells the graphs that were asked for.
pub fn graphs(wanted: &[Dump], entries: &[Entry], heard: &mut dyn FnMut(News)) {
    for &dump in wanted {
        for entry in entries {
            let text = match dump {
                Dump::Graph => print(&entry.imported).0,
                Dump::Opt => match &entry.equal {
                    None => print(&entry.optimised).0,
                    Some((when, graph)) => {
                        format!("{}\n// where {}\n{}", print(&entry.optimised).0, words(when), print(graph).0)
                    }
                },
                Dump::Dot => draw(&entry.optimised),
                _ => continue,
            };
            heard(News::Form { title: &format!("{} of signature `{}`", dump.name(), entry.key), text: &text });
        }
    }
}

/// Tells the programs that were asked for, entry by entry and level by level.
pub fn programs(
    wanted: &[Dump],
    target: &Target,
    interface: &Interface,
    bodies: &[Bodies],
    heard: &mut dyn FnMut(News),
) {
    for &dump in wanted.iter().filter(|dump| matches!(dump, Dump::Plan | Dump::Loops)) {
        for (signature, bodies) in interface.originals().zip(bodies) {
            let top = bodies.programs().count();
            for (n, (program, level)) in bodies.all().into_iter().enumerate() {
                let level = &target.levels[level];
                let calls = match &bodies.equal {
                    _ if n >= top => ", within the others".to_string(),
                    Some((when, _)) if n >= target.levels.len() => format!(", where {}", words(when)),
                    _ => String::new(),
                };
                let text = match dump {
                    Dump::Plan => plan(program),
                    _ => program.launches.iter().map(|l| l.kernel.to_string()).collect::<Vec<_>>().join("\n"),
                };
                let title = format!("{} of signature `{}` for {}{calls}", dump.name(), signature.key, level.cpu);
                heard(News::Form { title: &title, text: &text });
            }
        }
    }
}

/// Tells the forms of the code that were asked for, of all entries together.
pub fn code(
    wanted: &[Dump],
    target: &Target,
    interface: &Interface,
    bodies: &[Bodies],
    code: &Compiled,
    heard: &mut dyn FnMut(News),
) {
    for dump in wanted {
        let functions = |pick: fn(&Listing) -> &str| listing::functions(target, interface, bodies, code, pick);
        let text = match dump {
            Dump::Entry => code.model.to_string(),
            Dump::Clif => functions(|l| &l.clif),
            Dump::Asm => functions(|l| &l.asm),
            _ => continue,
        };
        heard(News::Form { title: dump.name(), text: &text });
    }
}

/// A buffer's type and place.
pub(super) fn buffer(program: &Program, id: StorageId) -> String {
    let s = &program.storage[id];
    let place = match &s.place {
        Place::Input(n) => format!("input `{}`", program.inputs[*n].name),
        Place::Output(n) => format!("output `{}`", program.outputs[*n].name),
        Place::State(at) => format!("state at {at}"),
        Place::Weights(id) => format!("weights {}", id.index()),
        Place::Workspace(offset) => format!("workspace at {offset}"),
        Place::Slice(offset) => format!("slice at {offset}"),
    };
    format!("{}[{}] in {place}", s.dtype, s.len)
}

/// Buffers with their places, then the kernels with what they read and write.
fn plan(program: &Program) -> String {
    let mut out = String::new();
    for id in program.storage.ids() {
        let _ = writeln!(out, "b{} = {}", id.index(), buffer(program, id));
    }
    let _ = writeln!(out, "workspace {} bytes, at least {}", program.workspace, program.workspace_bound);
    for (n, launch) in program.launches.iter().enumerate() {
        flows(&mut out, program, |at| at == n);
        if let Some(chain) = program.chains.iter().find(|chain| chain.launches.start == n) {
            let (kernels, scratch) = (chain.launches.len(), chain.scratch.index());
            let _ =
                writeln!(out, "chain of {kernels} in {} slices, {} tasks in b{scratch}:", chain.slices, chain.tasks);
        }
        let args: Vec<_> = launch.args.iter().map(|a| format!("b{}", a.index())).collect();
        let origin = launch.origin.as_ref().map_or(String::new(), |o| format!(" // {o}"));
        let part = launch.part.as_ref().map_or(String::new(), |part| format!(" writes {part}"));
        let _ = writeln!(out, "{}({}){part} {} flops{origin}", launch.kernel.name, args.join(", "), launch.flops);
    }
    flows(&mut out, program, |at| at >= program.launches.len());
    out
}

/// The branches and loops that run before these launches.
fn flows(out: &mut String, program: &Program, at: impl Fn(usize) -> bool) {
    for flow in program.flows.iter().filter(|flow| at(flow.at)) {
        let show = |ids: &[StorageId]| ids.iter().map(|id| format!("b{}", id.index())).collect::<Vec<_>>().join(", ");
        let what = match &flow.kind {
            FlowKind::If { which, branches } => format!("{} branches by b{}", branches.len(), which.index()),
            FlowKind::Loop(plan) => {
                let count = plan.count.as_ref().map_or("any number of".to_string(), Dim::to_string);
                let condition = if plan.condition.is_some() { " at most" } else { "" };
                format!("{count} iterations{condition}")
            }
            FlowKind::Call(call, _) => format!("a call of `{}`", call.symbol),
        };
        let _ = writeln!(out, "{}({}) -> {}: {what}", flow.name, show(&flow.operands), show(&flow.results));
    }
}
