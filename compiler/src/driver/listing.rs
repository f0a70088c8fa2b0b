//! Functions as text with what they are for: before a kernel stand the nodes that it computes, its buffers and where
//! they lie, its loops as the plan has them and its size; in it, every loop that the code itself has is marked.
//!
//! The loops of the code are found in its text: a block that is jumped to from below begins one. That holds for every
//! code generator whose text has a line `NAME:` for each block and names blocks by their numbers in jumps.

use std::{collections::HashMap, fmt::Write};

use crate::{
    driver::{dump::buffer, profile},
    emit::interface::Interface,
    native::{Compiled, Function, Listing, Target},
    plan::{Bodies, Launch, Program},
};

/// All functions that have a listing, in the object's order.
pub fn functions(
    target: &Target,
    interface: &Interface,
    bodies: &[Bodies],
    code: &Compiled,
    pick: fn(&Listing) -> &str,
) -> String {
    // By function, who runs it: a signature, a program, and one of its launches or chains.
    let mut users: HashMap<usize, Vec<(usize, usize, usize)>> = HashMap::new();
    for (entry, programs) in code.kernels.iter().enumerate() {
        for (program, numbers) in programs.iter().enumerate() {
            numbers.iter().enumerate().for_each(|(k, &n)| users.entry(n).or_default().push((entry, program, k)));
        }
    }
    let mut out = String::new();
    for (n, function) in code.functions.iter().enumerate() {
        let Some(listing) = &function.code.listing else { continue };
        let level = function.level.map_or(String::new(), |l| format!(", {}", target.levels[l].cpu));
        let _ = writeln!(out, "// {}: {} bytes{level}", function.name, function.code.bytes.len());
        if let Some(what) = &function.code.declined {
            let _ = writeln!(out, "// narrow vectors: the wide backend has not {what}");
        }
        for (user, &(entry, number, k)) in users.get(&n).into_iter().flatten().enumerate() {
            let (program, level) = bodies[entry].all()[number];
            let Some(launch) = program.launches.get(k) else {
                let Some(chain) = program.chains.get(k - program.launches.len()) else {
                    let flow = &program.flows[k - program.launches.len() - program.chains.len()];
                    let _ = writeln!(out, "// runs {}", flow.name);
                    continue;
                };
                let kernels = program.launches[chain.launches.clone()].iter().map(|l| &l.kernel.name[..]);
                let _ = writeln!(out, "// runs {} slice by slice", kernels.collect::<Vec<_>>().join(", "));
                continue;
            };
            if user == 0 {
                describe(&mut out, program, launch);
            } else {
                let (key, cpu) = (&interface.signatures[entry].key, target.levels[level].cpu);
                let _ = writeln!(out, "// also {} of signature `{key}` for {cpu}", launch.kernel.name);
            }
        }
        let _ = writeln!(out, "{}", marked(function, pick(listing)));
    }
    out
}

fn describe(out: &mut String, program: &Program, launch: &Launch) {
    if let Some(origin) = &launch.origin {
        let _ = writeln!(out, "// computes {origin}");
    }
    let _ = writeln!(out, "// {} flops, {} bytes of buffers", launch.flops, profile::bytes(program, launch));
    for ((id, b), &storage) in launch.kernel.buffers.iter().zip(&launch.args) {
        let access = match (b.written, &launch.part) {
            (true, Some(part)) => format!("written, {part}"),
            (true, None) => "written".into(),
            (false, _) => "read".into(),
        };
        let _ = writeln!(out, "// b{} = {}, {access}", id.index(), buffer(program, storage));
    }
    for line in launch.kernel.outline() {
        let _ = writeln!(out, "//   {line}");
    }
}

/// The text under the function's name, with a word at the head of each loop.
fn marked(function: &Function, text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let loops = loops(&lines);
    let mut out = format!("{}:\n", function.name);
    for (n, line) in lines.iter().enumerate() {
        let _ = match loops.iter().find(|l| l.head == n) {
            Some(found) => {
                let depth = loops.iter().filter(|l| l.head <= n && n <= l.end).count();
                let instructions = lines[n..=found.end].iter().filter(|l| block(l).is_none()).count();
                let innermost = !loops.iter().any(|l| l.head > n && l.end <= found.end);
                let kind = if innermost { "innermost loop" } else { "loop" };
                writeln!(out, "{line} // {kind}, {depth} deep, {instructions} instructions")
            }
            None => writeln!(out, "{line}"),
        };
    }
    out
}

/// Lines from a loop's head to the last jump back to it.
#[derive(Debug, PartialEq)]
struct Loop {
    head: usize,
    end: usize,
}

fn loops(lines: &[&str]) -> Vec<Loop> {
    let heads: HashMap<u32, usize> = lines.iter().enumerate().filter_map(|(n, l)| Some((block(l)?, n))).collect();
    let mut ends: HashMap<usize, usize> = HashMap::new();
    for (n, line) in lines.iter().enumerate() {
        for target in jumps(line) {
            if let Some(&head) = heads.get(&target).filter(|&&head| head <= n) {
                ends.insert(head, n);
            }
        }
    }
    let mut loops: Vec<Loop> = ends.into_iter().map(|(head, end)| Loop { head, end }).collect();
    loops.sort_by_key(|l| l.head);
    loops
}

/// The number of the block that begins with this line: `block3:`, or `2f  b3:` behind an offset.
fn block(line: &str) -> Option<u32> {
    number(line.split_whitespace().last()?.strip_suffix(':')?)
}

/// The blocks that a line jumps to.
fn jumps(line: &str) -> impl Iterator<Item = u32> {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let is_jump = line.contains("label") || line.split_whitespace().any(|word| word.starts_with('j'));
    words.filter(move |_| is_jump).filter_map(number)
}

/// `block3`, `label3` or `b3`.
fn number(name: &str) -> Option<u32> {
    let digits = ["block", "label", "b"].iter().find_map(|prefix| name.strip_prefix(prefix))?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_found_in_any_text() {
        let labelled = [
            "block0:",
            "  jmp label1",
            "block1:",
            "  x",
            "block2:",
            "  jl label2; j label3",
            "block3:",
            "  jl label1; j label4",
        ];
        assert_eq!(loops(&labelled), [Loop { head: 2, end: 7 }, Loop { head: 4, end: 5 }]);
        let placed =
            ["     0  b0:", "     0  mov rax, rbx", "     4  b1:", "     4  vaddps zmm1, zmm2, zmm3", "     a  jb b1"];
        assert_eq!(loops(&placed), [Loop { head: 2, end: 4 }]);
        assert_eq!(loops(&["block0:", "  ret"]), []);
    }
}
