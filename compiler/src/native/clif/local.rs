//! Locals: each element in a variable of its own, from which Cranelift makes registers.
//!
//! A register array that some vector loop indexes by its variable keeps the elements of its last axis in vectors, as
//! far as they fill them; an element in a vector can still be read and written alone.

use cranelift_codegen::ir::{InstBuilder, Type, Value};
use cranelift_frontend::Variable;

use super::{
    expr::{Val, register},
    kernel::Lower,
    wide::Part,
};
use crate::{
    base::Dim,
    loops::{BinaryFn, Expr, ExprId, Local, LocalId},
    native::intrinsic::Intrinsic,
    tensor::DType,
};

/// The variables of a local.
#[derive(Clone, Debug)]
pub(super) struct Registers {
    /// Row-major: for each row its vectors, then its single elements.
    variables: Vec<Variable>,
    /// Elements of the last axis.
    columns: usize,
    /// Lanes of a vector; 1 when there are no vectors.
    width: usize,
    /// Vectors of a row; where there are masks, the last one may have lanes that nothing uses.
    vectors: usize,
}

impl Registers {
    /// The single elements of a row.
    fn singles(&self) -> usize {
        self.columns.saturating_sub(self.vectors * self.width)
    }
    /// The variable that holds an element, and its lane when that is a vector.
    fn at(&self, row: usize, column: usize) -> (Variable, Option<u8>) {
        let per_row = self.vectors + self.singles();
        let vector = column / self.width;
        if vector < self.vectors {
            (self.variables[row * per_row + vector], Some((column % self.width) as u8))
        } else {
            let single = column - self.vectors * self.width;
            (self.variables[row * per_row + self.vectors + single], None)
        }
    }
}

impl Lower<'_, '_> {
    pub fn declare_locals(&mut self) {
        let k = self.k;
        self.locals = k
            .locals
            .iter()
            .map(|(id, local)| {
                let width = self.analysis.packed.get(&id).copied().unwrap_or(1);
                let columns = local.shape.last().copied().unwrap_or(1);
                let rows: usize = local.shape.iter().rev().skip(1).product();
                let element = register(local.dtype);
                let vectors = match width {
                    1 => 0,
                    _ if self.info.is_wide() => columns.div_ceil(width),
                    _ => columns / width,
                };
                let mut registers = Registers { variables: vec![], columns, width, vectors };
                for _ in 0..rows {
                    for _ in 0..vectors {
                        let ty = element.by(width as u32).expect("a vector type");
                        registers.variables.push(self.b.declare_var(ty));
                    }
                    for _ in 0..registers.singles() {
                        registers.variables.push(self.b.declare_var(element));
                    }
                }
                registers
            })
            .collect();
    }

    /// Fresh variables of one type for every element of a local.
    pub fn fresh_registers(&mut self, local: &Local, ty: Type) -> Registers {
        let count: usize = local.shape.iter().product();
        let variables = (0..count).map(|_| self.b.declare_var(ty)).collect();
        Registers { variables, columns: local.shape.last().copied().unwrap_or(1), width: 1, vectors: 0 }
    }

    /// The row and column that an index names; every variable in it is constant here.
    fn position(&self, local: LocalId, index: &[Dim]) -> (usize, usize) {
        let at = |d: &Dim| {
            let n = self.resolve(d).as_int().and_then(|n| usize::try_from(n).ok());
            n.unwrap_or_else(|| panic!("{}: the register index {d} is not known", self.k.name))
        };
        let shape = &self.k.locals[local].shape;
        let Some((last, rows)) = index.split_last() else { return (0, 0) };
        (rows.iter().zip(shape).fold(0, |row, (d, n)| row * n + at(d)), at(last))
    }

    pub fn read_local(&mut self, local: LocalId, index: &[Dim]) -> Val {
        let (row, column) = self.position(local, index);
        let (variable, lane) = self.locals[local.index()].at(row, column);
        let value = self.b.use_var(variable);
        if self.indexes_by_lane(index) || self.is_private(local) {
            return Val::Lanes(value);
        }
        match lane {
            Some(lane) => Val::One(self.b.ins().extractlane(value, lane)),
            None => Val::One(value),
        }
    }

    pub fn write_local(&mut self, local: LocalId, index: &[Dim], value: Val) {
        let dtype = self.k.locals[local].dtype;
        let (row, column) = self.position(local, index);
        let (variable, lane) = self.locals[local.index()].at(row, column);
        let value = if self.is_private(local) {
            self.widen(value, dtype)
        } else if self.indexes_by_lane(index) {
            let all = self.widen(value, dtype);
            // What lies behind a row's last element may become anything.
            match self.wide.as_ref().map(|w| w.part) {
                Some(Part::First(n)) if column + n as usize >= self.locals[local.index()].columns => all,
                Some(Part::All) | None => all,
                _ => {
                    let before = self.b.use_var(variable);
                    self.keep_rest(all, before)
                }
            }
        } else {
            let one = self.narrow(value, dtype);
            match lane {
                Some(lane) => {
                    let all = self.b.use_var(variable);
                    self.b.ins().insertlane(all, one, lane)
                }
                None => one,
            }
        };
        self.b.def_var(variable, value);
    }

    /// `local = f(local, value)`; a sum of products uses the multiply-add of the target.
    pub fn accumulate(&mut self, local: LocalId, index: &[Dim], f: BinaryFn, value: ExprId) {
        let k = self.k;
        let dtype = k.locals[local].dtype;
        let fused = f == BinaryFn::Add && dtype.is_float() && self.info.has_fma;
        let factors = match &k.exprs[value].expr {
            Expr::Binary(BinaryFn::Mul, a, b) if fused => Some((*a, *b)),
            _ => None,
        };
        let partial = self.partial(local, index);
        let inputs: Vec<Val> = match factors {
            Some((a, b)) => vec![self.eval(a), self.eval(b)],
            None => vec![self.eval(value)],
        };
        let before = match partial {
            Some(variable) => Val::Lanes(self.b.use_var(variable)),
            None => self.read_local(local, index),
        };
        let wide = matches!(before, Val::Lanes(_));
        let registers: Vec<Value> = inputs
            .iter()
            .chain([&before])
            .map(|&v| if wide { self.widen(v, dtype) } else { self.narrow(v, dtype) })
            .collect();
        let after = match registers[..] {
            [a, b, sum] => self.mul_add(dtype, a, b, sum),
            [value, sum] => self.binary(f, dtype, sum, value),
            _ => unreachable!("one or two inputs"),
        };
        let after = if wide { Val::Lanes(after) } else { Val::One(after) };
        match partial {
            Some(variable) => {
                let (after, before) = (self.widen(after, dtype), self.widen(before, dtype));
                let after = self.keep_rest(after, before);
                self.b.def_var(variable, after);
            }
            None => self.write_local(local, index, after),
        }
    }

    /// The variable of the lanes' partial result, when the current vector loop accumulates into an outer local.
    fn partial(&self, local: LocalId, index: &[Dim]) -> Option<Variable> {
        let wide = self.wide.as_ref()?;
        let registers = &wide.partials.get(&local)?[wide.copy];
        let (row, column) = self.position(local, index);
        Some(registers.at(row, column).0)
    }

    fn indexes_by_lane(&self, index: &[Dim]) -> bool {
        self.wide.as_ref().is_some_and(|w| index.iter().any(|d| d.mentions_var(w.var.index() as u32)))
    }
    fn is_private(&self, local: LocalId) -> bool {
        self.wide.as_ref().is_some_and(|w| w.private.contains(&local))
    }

    /// Starts the lanes' partial results of an outer local with what changes nothing.
    pub fn start_partials(&mut self, local: LocalId, f: BinaryFn, width: usize) -> Registers {
        let k = self.k;
        let dtype = k.locals[local].dtype;
        let ty = register(dtype).by(width as u32).expect("a vector type");
        let registers = self.fresh_registers(&k.locals[local], ty);
        let start = self.neutral(f, dtype, ty);
        for variable in registers.variables.clone() {
            self.b.def_var(variable, start);
        }
        registers
    }

    /// Folds the lanes' partial results into the local.
    pub fn end_partials(&mut self, local: LocalId, f: BinaryFn, width: usize, partials: &[Registers]) {
        let dtype = self.k.locals[local].dtype;
        let columns = partials[0].columns.max(1);
        for n in 0..partials[0].variables.len() {
            let mut all: Vec<Value> = partials.iter().map(|one| self.b.use_var(one.variables[n])).collect();
            while all.len() > 1 {
                let rest = all.split_off(all.len().div_ceil(2));
                for (x, y) in all.iter_mut().zip(rest) {
                    *x = self.binary(f, dtype, *x, y);
                }
            }
            let lanes = all[0];
            let (target, lane) = self.locals[local.index()].at(n / columns, n % columns);
            let before = self.b.use_var(target);
            let mut sum = match lane {
                Some(lane) => self.b.ins().extractlane(before, lane),
                None => before,
            };
            let (lanes, width) = self.fold_halves(f, dtype, lanes, width);
            for lane in 0..width {
                let one = self.b.ins().extractlane(lanes, lane as u8);
                sum = self.binary(f, dtype, sum, one);
            }
            let after = match lane {
                Some(lane) => self.b.ins().insertlane(before, sum, lane),
                None => sum,
            };
            self.b.def_var(target, after);
        }
    }

    /// Folds the second half of the lanes into the first until two are left, where the machine has halves.
    fn fold_halves(&mut self, f: BinaryFn, dtype: DType, lanes: Value, width: usize) -> (Value, usize) {
        if !self.info.is_wide() || width <= 2 {
            return (lanes, width);
        }
        let half = register(dtype).by(width as u32 / 2);
        let [low, high] = [Intrinsic::LowHalf, Intrinsic::HighHalf].map(|half_of| {
            let lanes = self.intrinsic(half_of, &[lanes], half);
            lanes.unwrap_or_else(|| unreachable!("it returns lanes"))
        });
        let folded = self.binary(f, dtype, low, high);
        self.fold_halves(f, dtype, folded, width / 2)
    }

    /// The value that `f` leaves every other unchanged by.
    fn neutral(&mut self, f: BinaryFn, dtype: DType, ty: Type) -> Value {
        let extreme = |greatest: bool| {
            let (low, high) = dtype.int_range().unwrap_or((0, 0));
            (if greatest { high } else { low }) as i64
        };
        match f {
            BinaryFn::Add if dtype.is_float() => self.float(ty, -0.0),
            BinaryFn::Mul if dtype.is_float() => self.float(ty, 1.0),
            BinaryFn::Max if dtype.is_float() => self.float(ty, f64::NEG_INFINITY),
            BinaryFn::Min if dtype.is_float() => self.float(ty, f64::INFINITY),
            BinaryFn::Mul => self.int(ty, 1),
            BinaryFn::And => self.int(ty, -1),
            BinaryFn::Max => self.int(ty, extreme(false)),
            BinaryFn::Min => self.int(ty, extreme(true)),
            _ => self.int(ty, 0),
        }
    }
}
