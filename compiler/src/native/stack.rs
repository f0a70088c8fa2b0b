//! How much stack a call uses.

use super::Function;
use crate::entry::{Callee, Member, Model, Op, Stmt, What};

/// By entry: no call of it through `invoke` uses more on the calling thread, but for what a thread pool and custom
/// operators use.
pub fn bytes(model: &Model, functions: &[Function]) -> Vec<u64> {
    let mut deepest: Vec<Option<u64>> = vec![None; functions.len()];
    let invoke = functions[model.invoke].code.stack_bytes;
    model.entries.iter().map(|&entry| invoke + depth(entry, model, functions, &mut deepest)).collect()
}

/// What a function uses, with all that it calls or has called.
fn depth(n: usize, model: &Model, functions: &[Function], known: &mut [Option<u64>]) -> u64 {
    // What a custom operator uses, nobody knows here.
    if n >= functions.len() {
        return 0;
    }
    if let Some(depth) = known[n] {
        return depth;
    }
    let mut used = Used::default();
    if let Member { what: What::Routine(routine), .. } = &model.members[n] {
        used.block(&routine.body);
    }
    let mut most =
        |numbers: Vec<usize>| numbers.into_iter().map(|n| depth(n, model, functions, known)).max().unwrap_or(0);
    // Who is called by address is called by one of those that are called by number.
    let depth = functions[n].code.stack_bytes + most(used.called) + most(used.handed);
    known[n] = Some(depth);
    depth
}

/// The functions that a routine calls, and those whose addresses it hands over or keeps.
#[derive(Default)]
struct Used {
    called: Vec<usize>,
    handed: Vec<usize>,
}

impl Used {
    fn block(&mut self, block: &[Stmt]) {
        for stmt in block {
            match stmt {
                Stmt::Set(_, Op::Function(n)) => self.handed.push(*n),
                Stmt::Call { callee: Callee::Member(n), .. } => self.called.push(*n),
                Stmt::If { then, otherwise, .. } => {
                    self.block(then);
                    self.block(otherwise);
                }
                Stmt::Each { body, .. } => self.block(body),
                Stmt::Set(..) | Stmt::Store { .. } | Stmt::Call { .. } | Stmt::Break | Stmt::Return(_) => {}
            }
        }
    }
}
