//! The closing report of a compilation: what was made, how large it is, how long it took.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use crate::{
    base::{Bindings, Dim},
    driver::conditions::words,
    emit::interface::Interface,
    native::{Compiled, Level, Target},
    plan::{Bodies, Program},
};

/// What `smc compile` says at the end.
#[derive(Debug, Serialize)]
pub struct Report {
    pub name: String,
    pub target: String,
    pub cpu: String,
    pub object_bytes: u64,
    /// Read-only data of all entries.
    pub weight_bytes: u64,
    /// Code of all levels and what they share.
    pub code_bytes: usize,
    /// Ascending.
    pub levels: Vec<LevelReport>,
    pub entries: Vec<EntryReport>,
    /// Milliseconds by stage, in order.
    pub stages_ms: Vec<(&'static str, f64)>,
}

/// One CPU level.
#[derive(Debug, Serialize)]
pub struct LevelReport {
    pub cpu: String,
    /// Bytes of code that the object would not have without this level; where two levels have the same function, the
    /// lower one counts it.
    pub code_bytes: usize,
    pub functions: usize,
}

/// One signature, as its best level runs it.
#[derive(Debug, Serialize)]
pub struct EntryReport {
    pub signature: String,
    pub function: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub kernels: usize,
    /// Bytes of workspace, as an expression of the open extents.
    pub workspace: Dim,
    /// What any plan of these kernels needs at least.
    pub workspace_bound: Dim,
    /// Floating-point operations of a call.
    pub flops: Dim,
    /// An upper bound of the calling thread's stack.
    pub stack_bytes: u64,
    /// Where the entry runs other kernels for some calls.
    pub equal: Option<EqualReport>,
}

/// The calls whose open extents are equal, where the model broadcasts them.
#[derive(Debug, Serialize)]
pub struct EqualReport {
    pub when: String,
    pub kernels: usize,
    /// Bytes of code, of all levels, that no other call needs.
    pub code_bytes: usize,
}

impl EntryReport {
    /// Floating-point operations of a call with these extents; `None` where they are not known or not positive.
    pub fn flops(&self, bind: &Bindings) -> Option<i64> {
        self.flops.eval(bind).filter(|&n| n > 0)
    }
}

pub fn report(
    target: &Target,
    interface: &Interface,
    bodies: &[Bodies],
    weight_bytes: u64,
    code: &Compiled,
    object_bytes: u64,
    stages_ms: Vec<(&'static str, f64)>,
) -> Report {
    let ports = |list: &[crate::emit::interface::Tensor]| list.iter().map(|t| format!("{}: {}", t.key, t.ty)).collect();
    let entry = |(n, s): (usize, &crate::emit::interface::Signature)| {
        let program = bodies[n].open.last().expect("a target has a level");
        EntryReport {
            signature: s.key.clone(),
            function: format!("{}_{}", interface.name, s.c_name),
            inputs: ports(&s.inputs),
            outputs: ports(&s.outputs),
            kernels: program.all().iter().map(|p| p.launches.len()).sum(),
            workspace: s.workspace.clone(),
            workspace_bound: program.workspace_bound.clone(),
            flops: program.launches.iter().fold(Dim::zero(), |sum, l| sum + &l.flops),
            stack_bytes: s.stack_bytes,
            equal: bodies[n].equal.as_ref().map(|(when, programs)| EqualReport {
                when: words(when),
                kernels: programs.last().map_or(0, |p| p.all().iter().map(|p| p.launches.len()).sum()),
                code_bytes: added(&code.kernels[n], &bodies[n], code),
            }),
        }
    };
    let level = |(n, level): (usize, &Level)| {
        let own = || code.functions.iter().filter(|f| f.level == Some(n)).map(|f| f.code.bytes.len());
        LevelReport { cpu: level.cpu.to_string(), code_bytes: own().sum(), functions: own().count() }
    };
    Report {
        name: interface.name.clone(),
        target: target.triple.to_string(),
        cpu: target.cpu(),
        object_bytes,
        weight_bytes,
        code_bytes: code.functions.iter().map(|f| f.code.bytes.len()).sum(),
        levels: target.levels.iter().enumerate().map(level).collect(),
        entries: interface.originals().enumerate().map(entry).collect(),
        stages_ms,
    }
}

/// The bytes of the kernels of an entry's programs for some calls that the others do not have.
fn added(kernels: &[Vec<usize>], bodies: &Bodies, code: &Compiled) -> usize {
    let all = bodies.all();
    let equal: Vec<&Program> = bodies.equal.iter().flat_map(|(_, programs)| programs).flat_map(Program::all).collect();
    let is_equal = |n: usize| equal.iter().any(|program| std::ptr::eq(*program, all[n].0));
    let numbers = |wanted: bool| -> BTreeSet<usize> {
        kernels
            .iter()
            .enumerate()
            .filter(|(n, _)| is_equal(*n) == wanted)
            .flat_map(|(_, numbers)| numbers)
            .copied()
            .collect()
    };
    numbers(true).difference(&numbers(false)).map(|&n| code.functions[n].code.bytes.len()).sum()
}

/// So many kernels, of this kind.
fn kernels(count: usize, kind: &str) -> String {
    format!("{count} {kind}kernel{}", if count == 1 { "" } else { "s" })
}

/// A few lines for people.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for e in &self.entries {
            writeln!(
                f,
                "  {}: {}, {} bytes of workspace, at most {} bytes of stack",
                e.function,
                kernels(e.kernels, ""),
                e.workspace,
                e.stack_bytes
            )?;
            if let Some(equal) = &e.equal {
                let EqualReport { when, kernels, code_bytes } = equal;
                let kernels = self::kernels(*kernels, "other ");
                writeln!(f, "    {kernels} where {when}: {code_bytes} bytes of code")?;
            }
        }
        let level = |l: &LevelReport| match &self.levels[..] {
            [_] => l.cpu.clone(),
            _ => format!("{}: {}", l.cpu, l.code_bytes),
        };
        let levels: Vec<_> = self.levels.iter().map(level).collect();
        let total: f64 = self.stages_ms.iter().map(|(_, ms)| ms).sum();
        write!(
            f,
            "  {} ({}): {} bytes of code, {} bytes of weights, {} bytes in all; {total:.0} ms",
            self.target,
            levels.join(", "),
            self.code_bytes,
            self.weight_bytes,
            self.object_bytes
        )
    }
}
