//! Walks over a kernel: the statements of a block, the values of a statement, the operands of an expression.
//!
//! An analysis that only collects uses these; one that follows scopes or rebuilds blocks matches statements itself.

use std::collections::BTreeSet;

use super::{Block, BufferId, Expr, ExprId, Kernel, Stmt, VarId};
use crate::base::Dim;

impl Expr {
    /// The operands, in order.
    pub fn operands(&self) -> impl Iterator<Item = ExprId> + use<> {
        let operands = match self {
            Expr::Const(_) | Expr::Var(_) | Expr::Index(_) | Expr::Load(..) | Expr::Local(..) => [None; 3],
            Expr::Unary(_, x)
            | Expr::Exponent(x)
            | Expr::Mantissa(x)
            | Expr::Table(_, x)
            | Expr::Cast(x)
            | Expr::Bits(x)
            | Expr::Start(x)
            | Expr::Length(x) => [Some(*x), None, None],
            Expr::Binary(_, x, y)
            | Expr::Scale(x, y)
            | Expr::Compare(_, x, y)
            | Expr::Span(x, y)
            | Expr::Byte(x, y)
            | Expr::Word(x, y) => [Some(*x), Some(*y), None],
            Expr::MulAdd(x, y, z) | Expr::Select(x, y, z) => [Some(*x), Some(*y), Some(*z)],
        };
        operands.into_iter().flatten()
    }
}

impl Stmt {
    /// The blocks inside the statement, in order; those that it does not have are empty.
    pub fn blocks(&self) -> [&[Stmt]; 2] {
        match self {
            Stmt::For { body, .. } => [body, &[]],
            Stmt::If { then, otherwise, .. } => [then, otherwise],
            Stmt::Set { .. } | Stmt::Assign { .. } | Stmt::Accumulate { .. } => [&[]; 2],
            Stmt::Store { .. } | Stmt::Update { .. } | Stmt::Prefetch { .. } | Stmt::Check { .. } => [&[]; 2],
            Stmt::Append { .. } | Stmt::Take { .. } => [&[]; 2],
        }
    }
    /// The value that the statement itself reads.
    pub fn value(&self) -> Option<ExprId> {
        match self {
            Stmt::Set { value, .. }
            | Stmt::Assign { value, .. }
            | Stmt::Accumulate { value, .. }
            | Stmt::Store { value, .. }
            | Stmt::Update { value, .. }
            | Stmt::Append { value }
            | Stmt::Check { cond: value, .. } => Some(*value),
            Stmt::For { .. } | Stmt::If { .. } | Stmt::Prefetch { .. } | Stmt::Take { .. } => None,
        }
    }
    /// The element that the statement itself writes.
    pub fn writes(&self) -> Option<(BufferId, &Dim)> {
        match self {
            Stmt::Store { buffer, index, .. } | Stmt::Update { buffer, index, .. } => Some((*buffer, index)),
            _ => None,
        }
    }
    /// The variable that gets its value from the statement.
    pub fn declares(&self) -> Option<VarId> {
        match self {
            Stmt::For { var, .. } | Stmt::Set { var, .. } | Stmt::Take { var } => Some(*var),
            _ => None,
        }
    }
}

impl Kernel {
    /// Whether it reads elements that it writes.
    pub fn updates(&self) -> bool {
        statements(&self.body).any(|stmt| matches!(stmt, Stmt::Update { .. }))
    }
    /// An expression and all that it needs, each once, operands first.
    pub fn reach(&self, root: ExprId) -> impl DoubleEndedIterator<Item = ExprId> + use<> {
        let (mut found, mut open) = (BTreeSet::from([root]), vec![root]);
        while let Some(e) = open.pop() {
            open.extend(self.exprs[e].expr.operands().filter(|&operand| found.insert(operand)));
        }
        // An operand is older than what uses it.
        found.into_iter()
    }
}

/// Every statement of a block in the order of the text: a statement before those inside it.
pub fn statements(block: &[Stmt]) -> impl Iterator<Item = &Stmt> {
    let mut open = vec![block.iter()];
    std::iter::from_fn(move || {
        loop {
            match open.last_mut()?.next() {
                Some(stmt) => {
                    open.extend(stmt.blocks().into_iter().rev().filter(|b| !b.is_empty()).map(<[Stmt]>::iter));
                    return Some(stmt);
                }
                None => drop(open.pop()),
            }
        }
    })
}

/// Calls `f` with every statement of a block, in the same order.
pub fn change_statements(block: &mut Block, f: &mut impl FnMut(&mut Stmt)) {
    for stmt in block {
        f(stmt);
        match stmt {
            Stmt::For { body, .. } => change_statements(body, f),
            Stmt::If { then, otherwise, .. } => {
                change_statements(then, f);
                change_statements(otherwise, f);
            }
            _ => {}
        }
    }
}

#[test]
fn statements_come_in_the_order_of_the_text() {
    let text = r#"kernel "k" {
  buffer b0 out f32[8]
  for i0 in 4 seq {
    %0: f32 = const 1
    %1: f32 = const 2
    %2: f32 = const 3
    if i0 in 2 {
      b0[i0] = %0
    } else {
      b0[i0] = %1
    }
    b0[i0+4] = %2
  }
}"#;
    let mut kernel = super::parse(text).unwrap_or_else(|e| panic!("{e}"));
    let value = |stmt: &Stmt| match stmt {
        Stmt::For { .. } => "for".to_owned(),
        Stmt::If { .. } => "if".to_owned(),
        _ => stmt.value().map_or(String::new(), |e| format!("{:?}", kernel.exprs[e].expr)),
    };
    let found: Vec<String> = statements(&kernel.body).map(value).collect();
    let stores = ["1.0", "2.0", "3.0"].map(|x| format!("Const(F32({x}))"));
    assert_eq!(found, [&["for".to_owned(), "if".to_owned()], &stores[..]].concat());
    let mut count = 0;
    change_statements(&mut kernel.body, &mut |_| count += 1);
    assert_eq!(count, found.len());
}
