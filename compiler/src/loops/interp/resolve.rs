//! A kernel made ready to run: symbols replaced by their values, ids by positions, expressions put in order.

use super::*;
use crate::base::dim::{Atom, Value as Known};

pub type Block = Vec<Code>;

/// A dim without symbols.
pub struct Poly {
    constant: i64,
    /// Coefficients of single variables.
    linear: Vec<(i64, usize)>,
    products: Vec<(i64, Vec<Factor>)>,
}

enum Factor {
    Var(usize),
    Div(Poly, Poly),
    Max(Poly, Poly),
}

impl Poly {
    fn new(dim: &Dim, bind: &Bindings) -> Result<Poly, String> {
        let mut poly = Poly { constant: 0, linear: vec![], products: vec![] };
        for term in dim.terms() {
            let (mut k, mut factors) = (term.k, vec![]);
            for atom in &term.atoms {
                match atom {
                    Atom::Sym(symbol) => {
                        let value = bind.get(symbol).ok_or_else(|| format!("`{symbol}` has no value"))?;
                        k = k.checked_mul(*value).ok_or_else(|| format!("`{dim}` overflows"))?;
                    }
                    Atom::Var(v) => factors.push(Factor::Var(*v as usize)),
                    Atom::Div(a, b) => factors.push(Factor::Div(Poly::new(a, bind)?, Poly::new(b, bind)?)),
                    Atom::Of(formula) => {
                        let value = formula.eval_with(&|atom| match atom {
                            Atom::Sym(s) => bind.get(s).copied(),
                            _ => None,
                        });
                        let Some(Known::Int(n)) = value else { return Err(format!("`{formula}` has no value")) };
                        k = k.checked_mul(n).ok_or_else(|| format!("`{dim}` overflows"))?;
                    }
                    Atom::Max(a, b) => factors.push(Factor::Max(Poly::new(a, bind)?, Poly::new(b, bind)?)),
                }
            }
            match factors[..] {
                [] => poly.constant = poly.constant.checked_add(k).ok_or_else(|| format!("`{dim}` overflows"))?,
                [Factor::Var(v)] => poly.linear.push((k, v)),
                _ => poly.products.push((k, factors)),
            }
        }
        Ok(poly)
    }
    /// `None` on overflow and division by less than 1.
    pub fn eval(&self, indices: &[i64]) -> Option<i64> {
        let mut sum = self.constant;
        for &(k, v) in &self.linear {
            sum = sum.checked_add(k.checked_mul(indices[v])?)?;
        }
        for (k, factors) in &self.products {
            let product = factors.iter().try_fold(*k, |p, factor| {
                p.checked_mul(match factor {
                    Factor::Var(v) => indices[*v],
                    Factor::Div(a, b) => {
                        let by = b.eval(indices).filter(|&by| by > 0)?;
                        a.eval(indices)?.div_euclid(by)
                    }
                    Factor::Max(a, b) => a.eval(indices)?.max(b.eval(indices)?),
                })
            })?;
            sum = sum.checked_add(product)?;
        }
        Some(sum)
    }
}

/// An element of a local.
pub struct Register {
    base: usize,
    index: Vec<(usize, Poly)>,
}

impl Register {
    /// Its position; the verifier proved that it lies in the local.
    pub fn at(&self, indices: &[i64]) -> Option<usize> {
        let flat = self.index.iter().try_fold(0, |flat, (extent, dim)| {
            let index = usize::try_from(dim.eval(indices)?).ok()?;
            Some(flat * extent + index)
        })?;
        Some(self.base + flat)
    }
}

/// An expression in the order of its evaluation.
pub struct Value {
    pub order: Vec<usize>,
    pub root: usize,
}

/// What an expression does with the values of others, which are their positions.
pub enum Op {
    Const(Scalar),
    Var(usize),
    Index(Poly),
    Load(usize, Poly),
    Local(Register),
    Unary(UnaryFn, usize),
    Binary(BinaryFn, usize, usize),
    MulAdd(usize, usize, usize),
    Scale(usize, usize),
    Exponent(usize),
    Mantissa(usize),
    Table([f32; TABLE], usize),
    Compare(CompareFn, usize, usize),
    Select(usize, usize, usize),
    Cast(usize),
    /// From a type.
    Bits(DType, usize),
    Start(usize),
    Length(usize),
    Span(usize, usize),
    Byte(usize, usize),
    Word(usize, usize),
}

pub enum Code {
    For { var: usize, extent: Poly, body: Block },
    Set { var: usize, value: Value },
    SetIndex { var: usize, extent: Option<Poly>, value: Value },
    Assign { local: Register, value: Value },
    Accumulate { local: Register, dtype: DType, f: BinaryFn, value: Value },
    Store { buffer: usize, dtype: DType, index: Poly, value: Value },
    Update { buffer: usize, dtype: DType, index: Poly, f: Combine, value: Value },
    If { bounds: Vec<(Poly, Poly)>, then: Block, otherwise: Block },
    Check { cond: Value, fault: Fault },
    Append { value: Value },
    Take { var: usize },
    Nothing,
}

pub struct Resolved {
    pub ops: Vec<Op>,
    pub body: Block,
    /// The elements of all locals together.
    pub registers: usize,
}

pub fn resolve(kernel: &Kernel, bind: &Bindings) -> Result<Resolved, String> {
    let (mut bases, mut registers) = (vec![], 0);
    for (_, local) in kernel.locals.iter() {
        bases.push(registers);
        registers += local.shape.iter().product::<usize>();
    }
    let mut resolver = Resolver { kernel, bind, bases, seen: vec![0; kernel.exprs.len()], statement: 0 };
    let ops = kernel.exprs.iter().map(|(_, typed)| resolver.op(&typed.expr)).collect::<Result<_, _>>()?;
    Ok(Resolved { ops, body: resolver.block(&kernel.body)?, registers })
}

struct Resolver<'a> {
    kernel: &'a Kernel,
    bind: &'a Bindings,
    bases: Vec<usize>,
    /// The statement that ordered an expression last.
    seen: Vec<usize>,
    statement: usize,
}

impl Resolver<'_> {
    fn poly(&self, dim: &Dim) -> Result<Poly, String> {
        Poly::new(dim, self.bind)
    }
    fn register(&self, local: LocalId, index: &[Dim]) -> Result<Register, String> {
        let shape = &self.kernel.locals[local].shape;
        let index = shape.iter().zip(index).map(|(&extent, dim)| Ok((extent, self.poly(dim)?)));
        Ok(Register { base: self.bases[local.index()], index: index.collect::<Result<_, String>>()? })
    }
    fn op(&self, expr: &Expr) -> Result<Op, String> {
        Ok(match expr {
            Expr::Const(value) => Op::Const(*value),
            Expr::Var(var) => Op::Var(var.index()),
            Expr::Index(dim) => Op::Index(self.poly(dim)?),
            Expr::Load(buffer, index) => Op::Load(buffer.index(), self.poly(index)?),
            Expr::Local(local, index) => Op::Local(self.register(*local, index)?),
            Expr::Unary(f, x) => Op::Unary(*f, x.index()),
            Expr::Binary(f, x, y) => Op::Binary(*f, x.index(), y.index()),
            Expr::MulAdd(x, y, z) => Op::MulAdd(x.index(), y.index(), z.index()),
            Expr::Scale(x, n) => Op::Scale(x.index(), n.index()),
            Expr::Exponent(x) => Op::Exponent(x.index()),
            Expr::Mantissa(x) => Op::Mantissa(x.index()),
            Expr::Table(entries, x) => Op::Table(**entries, x.index()),
            Expr::Compare(f, x, y) => Op::Compare(*f, x.index(), y.index()),
            Expr::Select(c, x, y) => Op::Select(c.index(), x.index(), y.index()),
            Expr::Cast(x) => Op::Cast(x.index()),
            Expr::Bits(x) => Op::Bits(self.kernel.dtype(*x), x.index()),
            Expr::Start(x) => Op::Start(x.index()),
            Expr::Length(x) => Op::Length(x.index()),
            Expr::Span(x, n) => Op::Span(x.index(), n.index()),
            Expr::Byte(x, n) => Op::Byte(x.index(), n.index()),
            Expr::Word(x, n) => Op::Word(x.index(), n.index()),
        })
    }
    /// Operands precede their users, so the order of the ids is an order of evaluation.
    fn value(&mut self, root: ExprId) -> Value {
        self.statement += 1;
        let (mut todo, mut order) = (vec![root], vec![]);
        while let Some(x) = todo.pop() {
            let seen = &mut self.seen[x.index()];
            if *seen != self.statement {
                *seen = self.statement;
                order.push(x.index());
                todo.extend(self.kernel.exprs[x].expr.operands());
            }
        }
        order.sort_unstable();
        Value { order, root: root.index() }
    }
    fn block(&mut self, block: &[Stmt]) -> Result<Block, String> {
        block.iter().map(|stmt| self.stmt(stmt)).collect()
    }
    fn stmt(&mut self, stmt: &Stmt) -> Result<Code, String> {
        Ok(match stmt {
            Stmt::For { var, body, .. } => {
                let extent = self.poly(self.kernel.loop_extent(*var))?;
                Code::For { var: var.index(), extent, body: self.block(body)? }
            }
            Stmt::Set { var, value } => {
                let value = self.value(*value);
                match &self.kernel.vars[*var] {
                    Var::Index { extent } => {
                        let extent = extent.as_ref().map(|e| self.poly(e)).transpose()?;
                        Code::SetIndex { var: var.index(), extent, value }
                    }
                    _ => Code::Set { var: var.index(), value },
                }
            }
            Stmt::Assign { local, index, value } => {
                Code::Assign { local: self.register(*local, index)?, value: self.value(*value) }
            }
            Stmt::Accumulate { local, index, f, value } => Code::Accumulate {
                local: self.register(*local, index)?,
                dtype: self.kernel.locals[*local].dtype,
                f: *f,
                value: self.value(*value),
            },
            Stmt::Store { buffer, index, value } => Code::Store {
                buffer: buffer.index(),
                dtype: self.kernel.buffers[*buffer].dtype,
                index: self.poly(index)?,
                value: self.value(*value),
            },
            Stmt::Update { buffer, index, f, value } => Code::Update {
                buffer: buffer.index(),
                dtype: self.kernel.buffers[*buffer].dtype,
                index: self.poly(index)?,
                f: *f,
                value: self.value(*value),
            },
            Stmt::If { bounds, then, otherwise } => Code::If {
                bounds: bounds
                    .iter()
                    .map(|b| Ok((self.poly(&b.index)?, self.poly(&b.extent)?)))
                    .collect::<Result<_, String>>()?,
                then: self.block(then)?,
                otherwise: self.block(otherwise)?,
            },
            Stmt::Prefetch { .. } => Code::Nothing,
            Stmt::Check { cond, fault } => Code::Check { cond: self.value(*cond), fault: *fault },
            Stmt::Append { value } => Code::Append { value: self.value(*value) },
            Stmt::Take { var } => Code::Take { var: var.index() },
        })
    }
}
