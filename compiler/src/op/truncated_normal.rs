//! Normal numbers less than 2 in size.

use serde::{Deserialize, Serialize};

use super::{
    deviates,
    philox::{self, Blocks},
    *,
};
use crate::{
    loops::{BinaryFn, Bound, CompareFn, UnaryFn},
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
impl TruncatedNormal {
    fn columns(&self) -> i64 {
        if self.to == DType::F64 { 2 } else { 4 }
    }
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
            let fit =
                blocks.flat_map(|words| deviates::normals(self.to, words)).filter(|x| x.abs() < LIMIT).take(columns);
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
        let place = |index: Dim| Bound { index, extent: columns.into() };
        at.each(&shape[0], LoopKind::Seq, |at, row| {
            let blocks = Blocks::new(at);
            let [zero, one, all] = [0, 1, columns].map(|n| at.w.int(DType::I64, n));
            at.w.assign(found, &[], zero);
            at.each(&ROUNDS.into(), LoopKind::Seq, |at, round| {
                let so_far = at.w.read(found, &[]);
                let so_far = at.w.set_index(so_far, None);
                at.only_within(vec![place(so_far)], |at| {
                    let behind = at.w.index(row * (BLOCKS_PER_NUMBER * columns) + round);
                    let words = blocks.words(at.w, behind);
                    for number in deviates::code::normals(at.w, self.to, words) {
                        let size = at.w.unary(UnaryFn::Abs, number);
                        let limit = at.w.float(self.to, LIMIT);
                        let fits = at.w.compare(CompareFn::Lt, size, limit);
                        let so_far = at.w.read(found, &[]);
                        let so_far = at.w.set(so_far);
                        let column = at.w.select(fits, so_far, all);
                        let column = at.w.set_index(column, None);
                        at.only_within(vec![place(column.clone())], |at| {
                            at.w.store(out, shape, &[row.clone(), column], number);
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
