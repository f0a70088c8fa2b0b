//! A kernel as text; `parse.rs` describes the syntax and reads it back. Prints any kernel, whether or not it verifies.

use std::fmt::{self, Display, Formatter, Write};

use super::*;

/// The name of a function or fault, as it is serialised.
fn name(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        other => unreachable!("functions and faults serialise to names, not {other:?}"),
    }
}

fn list(dims: &[Dim]) -> String {
    dims.iter().map(Dim::to_string).collect::<Vec<_>>().join(",")
}

pub(super) fn kind_name(kind: LoopKind) -> &'static str {
    match kind {
        LoopKind::Seq => "seq",
        LoopKind::Unroll => "unroll",
        LoopKind::Vector => "vector",
        LoopKind::Parallel => "parallel",
    }
}

/// Every bit of the value can be read back.
fn scalar(value: Scalar) -> String {
    match value {
        Scalar::Bool(b) => b.to_string(),
        Scalar::Int(n) => n.to_string(),
        Scalar::Uint(n) => n.to_string(),
        Scalar::F32(x) if x.is_nan() => format!("nan:{:08x}", x.to_bits()),
        Scalar::F64(x) if x.is_nan() => format!("nan:{:016x}", x.to_bits()),
        Scalar::F32(x) => format!("{x:?}"),
        Scalar::F64(x) => format!("{x:?}"),
        Scalar::C64(..) | Scalar::C128(..) | Scalar::Span(..) => format!("{value:?}"),
    }
}

impl Kernel {
    /// The loops alone, one a line, indented by how deep they lie; what lies under a condition says so.
    pub fn outline(&self) -> Vec<String> {
        let mut lines = vec![];
        self.outline_of(&self.body, 0, &mut lines);
        lines
    }

    fn outline_of(&self, block: &[Stmt], depth: usize, lines: &mut Vec<String>) {
        for stmt in block {
            match stmt {
                Stmt::For { var, kind, body } => {
                    let (indent, extent) = (2 * depth, self.loop_extent(*var));
                    lines.push(format!("{:indent$}for i{} in {extent} {}", "", var.index(), kind_name(*kind)));
                    self.outline_of(body, depth + 1, lines);
                }
                Stmt::If { bounds, then, otherwise } => {
                    let mark = lines.len();
                    let bounds: Vec<_> = bounds.iter().map(|b| format!("{} in {}", b.index, b.extent)).collect();
                    lines.push(format!("{:1$}if {2}", "", 2 * depth, bounds.join(", ")));
                    self.outline_of(then, depth + 1, lines);
                    let other = lines.len();
                    lines.push(format!("{:1$}else", "", 2 * depth));
                    self.outline_of(otherwise, depth + 1, lines);
                    // A condition without loops is no part of the outline.
                    if lines.len() == other + 1 {
                        lines.truncate(if other == mark + 1 { mark } else { other });
                    }
                }
                _ => {}
            }
        }
    }
}

impl Display for Kernel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut printer = Printer { kernel: self, printed: vec![false; self.exprs.len()], depth: 1, out: f };
        printer.kernel()
    }
}

struct Printer<'a, 'b> {
    kernel: &'a Kernel,
    /// The expressions that have a line already.
    printed: Vec<bool>,
    depth: usize,
    out: &'a mut Formatter<'b>,
}

impl Printer<'_, '_> {
    fn line(&mut self, text: impl Display) -> fmt::Result {
        writeln!(self.out, "{:1$}{text}", "", 2 * self.depth)
    }
    fn kernel(&mut self) -> fmt::Result {
        let kernel = self.kernel;
        writeln!(self.out, "kernel {:?} {{", kernel.name)?;
        for (id, b) in kernel.buffers.iter() {
            let way = if b.written { "out" } else { "in" };
            self.line(format_args!("buffer b{} {way} {}[{}]", id.index(), b.dtype, b.len))?;
        }
        for (id, l) in kernel.locals.iter() {
            let shape = l.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
            self.line(format_args!("local l{} {}[{shape}]", id.index(), l.dtype))?;
        }
        if let Some(turn) = &kernel.turn {
            self.line(format_args!("turn {turn}"))?;
        }
        let mut set = vec![false; kernel.vars.len()];
        declared(&kernel.body, &mut set);
        for (id, var) in kernel.vars.iter().filter(|(id, _)| !set[id.index()]) {
            let n = id.index();
            match var {
                Var::Loop { extent } => self.line(format_args!("var i{n} loop {extent}"))?,
                Var::Index { extent: Some(extent) } => self.line(format_args!("var i{n} index {extent}"))?,
                Var::Index { extent: None } => self.line(format_args!("var i{n} index"))?,
                Var::Value { dtype } => self.line(format_args!("var v{n} {dtype}"))?,
            }
        }
        self.block(&kernel.body)?;
        for id in kernel.exprs.ids() {
            self.exprs(id)?;
        }
        writeln!(self.out, "}}")
    }
    /// Lines for an expression and all it is made of that have none yet.
    fn exprs(&mut self, root: ExprId) -> fmt::Result {
        let (mut todo, mut fresh) = (vec![root], vec![]);
        while let Some(x) = todo.pop() {
            if self.printed.get(x.index()) == Some(&false) {
                self.printed[x.index()] = true;
                fresh.push(x);
                todo.extend(self.kernel.exprs[x].expr.operands());
            }
        }
        fresh.sort();
        fresh.into_iter().try_for_each(|x| self.expr(x))
    }
    fn expr(&mut self, id: ExprId) -> fmt::Result {
        let Typed { expr, dtype } = &self.kernel.exprs[id];
        let text = match expr {
            Expr::Const(value) => format!("const {}", scalar(*value)),
            Expr::Var(var) => format!("v{}", var.index()),
            Expr::Index(dim) => format!("index {dim}"),
            Expr::Load(buffer, index) => format!("b{}[{index}]", buffer.index()),
            Expr::Local(local, index) => format!("l{}[{}]", local.index(), list(index)),
            Expr::Table(entries, index) => {
                let entries: Vec<_> = entries.iter().map(|x| scalar(Scalar::F32(*x))).collect();
                format!("table %{} of {}", index.index(), entries.join(" "))
            }
            expr => {
                let mut text = match expr {
                    Expr::Unary(f, _) => name(f),
                    Expr::Binary(f, ..) => name(f),
                    Expr::Compare(f, ..) => name(f),
                    Expr::MulAdd(..) => "mul_add".into(),
                    Expr::Scale(..) => "scale".into(),
                    Expr::Exponent(_) => "exponent".into(),
                    Expr::Mantissa(_) => "mantissa".into(),
                    Expr::Select(..) => "select".into(),
                    Expr::Cast(_) => "cast".into(),
                    Expr::Start(_) => "start".into(),
                    Expr::Length(_) => "length".into(),
                    Expr::Span(..) => "span".into(),
                    Expr::Byte(..) => "byte".into(),
                    Expr::Word(..) => "word".into(),
                    _ => "bits".into(),
                };
                for x in expr.operands() {
                    write!(text, " %{}", x.index())?;
                }
                text
            }
        };
        self.line(format_args!("%{}: {dtype} = {text}", id.index()))
    }
    fn block(&mut self, block: &[Stmt]) -> fmt::Result {
        block.iter().try_for_each(|stmt| self.stmt(stmt))
    }
    fn inside(&mut self, block: &[Stmt]) -> fmt::Result {
        self.depth += 1;
        let result = self.block(block);
        self.depth -= 1;
        result
    }
    fn stmt(&mut self, stmt: &Stmt) -> fmt::Result {
        match stmt {
            Stmt::Set { value, .. }
            | Stmt::Assign { value, .. }
            | Stmt::Accumulate { value, .. }
            | Stmt::Store { value, .. }
            | Stmt::Update { value, .. }
            | Stmt::Append { value }
            | Stmt::Check { cond: value, .. } => self.exprs(*value)?,
            Stmt::For { .. } | Stmt::If { .. } | Stmt::Prefetch { .. } | Stmt::Take { .. } => (),
        }
        match stmt {
            Stmt::For { var, kind, body } => {
                let extent = match self.kernel.vars.get(*var) {
                    Some(Var::Loop { extent }) => extent.to_string(),
                    _ => "?".into(),
                };
                self.line(format_args!("for i{} in {extent} {} {{", var.index(), kind_name(*kind)))?;
                self.inside(body)?;
                self.line("}")
            }
            Stmt::If { bounds, then, otherwise } => {
                let bounds: Vec<_> = bounds.iter().map(|b| format!("{} in {}", b.index, b.extent)).collect();
                self.line(format_args!("if {} {{", bounds.join(", ")))?;
                self.inside(then)?;
                if !otherwise.is_empty() {
                    self.line("} else {")?;
                    self.inside(otherwise)?;
                }
                self.line("}")
            }
            Stmt::Set { var, value } => {
                let (n, value) = (var.index(), value.index());
                match self.kernel.vars.get(*var) {
                    Some(Var::Index { extent: Some(extent) }) => {
                        self.line(format_args!("set i{n} in {extent} = %{value}"))
                    }
                    Some(Var::Value { dtype }) => self.line(format_args!("set v{n}: {dtype} = %{value}")),
                    _ => self.line(format_args!("set i{n} = %{value}")),
                }
            }
            Stmt::Assign { local, index, value } => {
                self.line(format_args!("l{}[{}] = %{}", local.index(), list(index), value.index()))
            }
            Stmt::Accumulate { local, index, f, value } => {
                self.line(format_args!("l{}[{}] {}= %{}", local.index(), list(index), name(f), value.index()))
            }
            Stmt::Store { buffer, index, value } => {
                self.line(format_args!("b{}[{index}] = %{}", buffer.index(), value.index()))
            }
            Stmt::Update { buffer, index, f, value } => {
                self.line(format_args!("b{}[{index}] {}= %{}", buffer.index(), name(f), value.index()))
            }
            Stmt::Prefetch { buffer, index, near } => {
                let when = if *near { "soon" } else { "later" };
                self.line(format_args!("prefetch {when} b{}[{index}]", buffer.index()))
            }
            Stmt::Check { cond, fault } => self.line(format_args!("check %{} else {}", cond.index(), name(fault))),
            Stmt::Append { value } => self.line(format_args!("append %{}", value.index())),
            Stmt::Take { var } => self.line(format_args!("take v{}", var.index())),
        }
    }
}

/// Marks the variables that a statement declares.
fn declared(block: &[Stmt], set: &mut [bool]) {
    for stmt in block {
        match stmt {
            Stmt::For { var, body, .. } => {
                set.get_mut(var.index()).into_iter().for_each(|s| *s = true);
                declared(body, set);
            }
            Stmt::Set { var, .. } | Stmt::Take { var } => {
                set.get_mut(var.index()).into_iter().for_each(|s| *s = true);
            }
            Stmt::If { then, otherwise, .. } => {
                declared(then, set);
                declared(otherwise, set);
            }
            _ => (),
        }
    }
}
