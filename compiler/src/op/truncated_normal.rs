//! Normal numbers less than 2 in size.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::{
    philox::{self, Blocks},
    *,
};
use crate::{
    loops::{BinaryFn, Block, Bound, CompareFn, Stmt, UnaryFn, Writer},
    tensor::{DType, Scalar},
};

/// Operand 0 is a key, operand 1 a counter, as those of [`Philox`]. A row has 4 numbers of f32 or 2 of f64, `[rows, 4]` or
/// `[rows, 2]`: the first ones less than 2 in size of those that Box and Muller make of the words from a block on, which lies
/// 64 blocks for each number behind that of the row before. [`Fault::AssertionFailed`] where 32 blocks have too few such
/// numbers, which is as good as impossible: each number is less than 2 in 95 of 100 cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TruncatedNormal {
    pub rows: Dim,
    pub to: DType,
}

/// Blocks for each number of a row.
const BLOCKS_PER_NUMBER: i64 = 64;
/// Blocks that are looked at.
const ROUNDS: i64 = 32;
const LIMIT: f64 = 2.0;
/// What a logarithm is taken of is at least this.
const LEAST: f64 = 1e-7;

impl TruncatedNormal {
    fn columns(&self) -> i64 {
        if self.to == DType::F64 { 2 } else { 4 }
    }
    /// What a block makes, by the definition.
    fn normals(&self, words: [u32; 4]) -> Vec<f64> {
        let [a, b, c, d] = words;
        if self.to == DType::F64 {
            let fraction = |high: u32, low: u32| {
                f64::from_bits(1023 << 52 | u64::from(high & 0xfffff) << 32 | u64::from(low)) - 1.0
            };
            let (radius, angle) = ((-2.0 * fraction(a, b).max(LEAST).ln()).sqrt(), 2.0 * PI * fraction(c, d));
            return vec![angle.sin() * radius, angle.cos() * radius];
        }
        let fraction = |word: u32| f32::from_bits(127 << 23 | word & 0x7fffff) - 1.0;
        let pair = |a: u32, b: u32| {
            let log = f64::from(fraction(a).max(LEAST as f32)).ln() as f32;
            let (radius, angle) = ((-2.0 * log).sqrt(), f64::from((2.0 * PI * f64::from(fraction(b))) as f32));
            [angle.sin(), angle.cos()].map(|part| f64::from(part as f32 * radius))
        };
        [pair(a, b), pair(c, d)].concat()
    }
}

/// Code for the float from 0 up to 1 that words make, given as a u64 below 2^32 or of 64 bits with the high word below.
fn fraction(w: &mut Writer, to: DType, word: ExprId) -> ExprId {
    let (bits, mantissa, exponent) = if to == DType::F64 { (DType::U64, 52, 1023) } else { (DType::U32, 23, 127) };
    let word = w.cast(bits, word);
    let constant = |w: &mut Writer, n: u64| w.constant(bits, Scalar::Uint(n));
    let (mask, unit) = (constant(w, (1 << mantissa) - 1), constant(w, exponent << mantissa));
    let kept = w.binary(BinaryFn::And, word, mask);
    let number = w.binary(BinaryFn::Or, kept, unit);
    let number = w.bits(to, number);
    let one = w.float(to, 1.0);
    let fraction = w.binary(BinaryFn::Sub, number, one);
    w.set(fraction)
}

/// Code for the two normal numbers of two fractions.
fn box_muller(w: &mut Writer, first: ExprId, second: ExprId) -> [ExprId; 2] {
    let to = w.dtype(first);
    let least = w.float(to, LEAST);
    let first = w.binary(BinaryFn::Max, first, least);
    let log = w.unary(UnaryFn::Log, first);
    let minus_two = w.float(to, -2.0);
    let square = w.binary(BinaryFn::Mul, minus_two, log);
    let radius = w.unary(UnaryFn::Sqrt, square);
    let radius = w.set(radius);
    let (turn, second) = (w.float(DType::F64, 2.0 * PI), w.cast(DType::F64, second));
    let angle = w.binary(BinaryFn::Mul, turn, second);
    let angle = w.cast(to, angle);
    let angle = w.set(angle);
    [UnaryFn::Sin, UnaryFn::Cos].map(|f| {
        let part = w.unary(f, angle);
        let number = w.binary(BinaryFn::Mul, part, radius);
        w.set(number)
    })
}

impl TruncatedNormal {
    /// Code for what a block makes.
    fn made(&self, w: &mut Writer, [a, b, c, d]: [ExprId; 4]) -> Vec<ExprId> {
        if self.to == DType::F64 {
            let [first, second] = [(a, b), (c, d)].map(|(high, low)| {
                let word = philox::joined(w, low, high);
                fraction(w, self.to, word)
            });
            return box_muller(w, first, second).to_vec();
        }
        let [a, b, c, d] = [a, b, c, d].map(|word| fraction(w, self.to, word));
        [box_muller(w, a, b), box_muller(w, c, d)].concat()
    }
}

/// `body` where an index is in a range.
fn only_where(at: &mut Emit<'_>, index: Dim, extent: i64, body: impl FnOnce(&mut Emit<'_>)) {
    at.w.open_block();
    body(at);
    at.operands.leave(at.w.depth());
    let then = at.w.close_block();
    let bounds = vec![Bound { index, extent: extent.into() }];
    at.w.emit(Stmt::If { bounds, then, otherwise: Block::new() });
}

impl Primitive for TruncatedNormal {
    const NAME: &'static str = "truncated_normal";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [key, counter] = operands(inputs)?;
        philox::check_operands(key, counter)?;
        if !matches!(self.to, DType::F32 | DType::F64) || is_negative(&self.rows) {
            return Err(format!("there are no {} rows of normal numbers of {}", self.rows, self.to));
        }
        Ok(TensorType::new(self.to, [self.rows.clone(), self.columns().into()]))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let (key, counter) = philox::start(inputs);
        let (rows, columns) = (out[0] as u128, out[1]);
        let mut numbers = vec![];
        for row in 0..rows {
            let first = counter.wrapping_add(row * (BLOCKS_PER_NUMBER as u128) * columns as u128);
            let blocks = (0..ROUNDS as u128).map(|n| philox::block(key, first.wrapping_add(n)));
            let fit = blocks.flat_map(|words| self.normals(words)).filter(|x| x.abs() < LIMIT).take(columns);
            numbers.extend(fit.map(|x| Scalar::from_f64(self.to, x)));
        }
        if numbers.len() < out[0] * columns {
            return Err(Fault::AssertionFailed);
        }
        Ok(Tensor::from_scalars(self.to, out, numbers))
    }
    /// Panics: a whole result is written at once.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("numbers that fit are written as a whole")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let columns = self.columns();
        let found = at.w.local(DType::I64, []);
        at.each(&shape[0], LoopKind::Seq, |at, row| {
            let blocks = Blocks::new(at);
            let [zero, one, all] = [0, 1, columns].map(|n| at.w.int(DType::I64, n));
            at.w.assign(found, &[], zero);
            at.each(&ROUNDS.into(), LoopKind::Seq, |at, round| {
                let so_far = at.w.read(found, &[]);
                let so_far = at.w.set_index(so_far, None);
                only_where(at, so_far, columns, |at| {
                    let behind = at.w.index(row * (BLOCKS_PER_NUMBER * columns) + round);
                    let words = blocks.words(at.w, behind);
                    for number in self.made(at.w, words) {
                        let size = at.w.unary(UnaryFn::Abs, number);
                        let limit = at.w.float(self.to, LIMIT);
                        let fits = at.w.compare(CompareFn::Lt, size, limit);
                        let so_far = at.w.read(found, &[]);
                        let so_far = at.w.set(so_far);
                        let place = at.w.select(fits, so_far, all);
                        let place = at.w.set_index(place, None);
                        only_where(at, place.clone(), columns, |at| {
                            at.w.store(out, shape, &[row.clone(), place], number);
                            let next = at.w.binary(BinaryFn::Add, so_far, one);
                            at.w.assign(found, &[], next);
                        });
                    }
                });
            });
            let found = at.w.read(found, &[]);
            let complete = at.w.compare(CompareFn::Eq, found, all);
            at.w.check(complete, Fault::AssertionFailed);
        });
    }
}
