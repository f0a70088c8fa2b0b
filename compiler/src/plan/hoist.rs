//! Moves what does not change in a loop out of it.
//!
//! Pull lowering writes a value where it is first used, often in the innermost loop. Afterwards every `Set` and `Check`
//! that depends on nothing within its loop stands before the loop, provided that the loop runs at least once: then it
//! would have been executed anyway. Nothing leaves an `If`.

use crate::{
    base::{Dim, dim::Atom},
    loops::{Block, Expr, ExprId, Kernel, Stmt, Var, VarId, statements},
};

/// Rewrites the kernel's body.
pub fn hoist(kernel: &mut Kernel) {
    let body = std::mem::take(&mut kernel.body);
    kernel.body = Hoist { kernel, inside: vec![false; kernel.vars.len()] }.block(body);
}

struct Hoist<'k> {
    kernel: &'k Kernel,
    /// The variables that get their value within the loop at hand.
    inside: Vec<bool>,
}

impl Hoist<'_> {
    /// The block with every loop in it relieved.
    fn block(&mut self, block: Block) -> Block {
        let mut result = vec![];
        for stmt in block {
            match stmt {
                Stmt::For { var, kind, body } => {
                    let body = self.block(body);
                    let (before, body) = match self.runs(var) {
                        true => self.split(var, body),
                        false => (vec![], body),
                    };
                    result.extend(before);
                    result.push(Stmt::For { var, kind, body });
                }
                Stmt::If { bounds, then, otherwise } => {
                    let (then, otherwise) = (self.block(then), self.block(otherwise));
                    result.push(Stmt::If { bounds, then, otherwise });
                }
                other => result.push(other),
            }
        }
        result
    }
    /// Whether a loop has an iteration for all values of the symbols.
    fn runs(&self, var: VarId) -> bool {
        (self.kernel.loop_extent(var) - 1).is_nonneg(&self.kernel.vars)
    }
    /// What may stand before the loop, and what stays in it.
    fn split(&mut self, var: VarId, body: Block) -> (Block, Block) {
        self.inside.fill(false);
        self.inside[var.index()] = true;
        mark(&body, &mut self.inside);
        let (mut before, mut stays) = (vec![], vec![]);
        for stmt in body {
            let fixed = match &stmt {
                Stmt::Set { value, .. } | Stmt::Check { cond: value, .. } => self.is_fixed(*value),
                _ => false,
            };
            if let (true, Stmt::Set { var, .. }) = (fixed, &stmt) {
                // An index in a range that depends on the loop stays.
                let extent = match &self.kernel.vars[*var] {
                    Var::Index { extent: Some(extent) } => self.is_fixed_dim(extent),
                    _ => true,
                };
                if extent {
                    self.inside[var.index()] = false;
                    before.push(stmt);
                    continue;
                }
            } else if fixed {
                before.push(stmt);
                continue;
            }
            stays.push(stmt);
        }
        (before, stays)
    }
    /// Whether a value depends on nothing that changes in the loop.
    fn is_fixed(&self, e: ExprId) -> bool {
        match &self.kernel.exprs[e].expr {
            Expr::Const(_) => true,
            Expr::Var(v) => !self.inside[v.index()],
            Expr::Index(dim) | Expr::Load(_, dim) => self.is_fixed_dim(dim),
            Expr::Local(..) => false,
            operation => operation.operands().all(|x| self.is_fixed(x)),
        }
    }
    fn is_fixed_dim(&self, dim: &Dim) -> bool {
        let mut fixed = true;
        dim.for_each_atom(&mut |atom| {
            if let Atom::Var(v) = atom {
                fixed &= !self.inside[*v as usize];
            }
        });
        fixed
    }
}

/// Marks all variables that get a value in a block.
fn mark(block: &Block, inside: &mut [bool]) {
    for stmt in statements(block) {
        if let Some(var) = stmt.declares() {
            inside[var.index()] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loops::parse;

    #[test]
    fn what_is_fixed_leaves_loops_that_run() {
        let mut kernel = parse(
            r#"kernel "k" {
  buffer b0 out f32[4*N]
  buffer b1 in f32[N]
  buffer b2 in f32[4]
  for i0 in N seq {
    for i1 in 4 vector {
      %0: f32 = b1[i0]
      set v2: f32 = %0
      %1: f32 = b2[0]
      set v3: f32 = %1
      %2: f32 = v2
      %3: f32 = v3
      %4: f32 = add %2 %3
      b0[4*i0+i1] = %4
    }
  }
}
"#,
        )
        .unwrap();
        hoist(&mut kernel);
        crate::loops::verify(&kernel).unwrap();
        let Stmt::For { body, .. } = &kernel.body[0] else { panic!("{kernel}") };
        // Both leave the inner loop, none the outer one, which may not run.
        assert!(matches!(body[..], [Stmt::Set { .. }, Stmt::Set { .. }, Stmt::For { .. }]), "{kernel}");
        let Stmt::For { body, .. } = &body[2] else { panic!("{kernel}") };
        assert!(matches!(body[..], [Stmt::Store { .. }]), "{kernel}");
    }
}
