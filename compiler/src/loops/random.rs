//! Random kernels with data to run them on: every statement, expression, type and kind of loop.
//!
//! A kernel verifies, never stops with a bug and is a function of its seed and [`Options`]; a smaller `size` gives a
//! smaller kernel, which is how a failure is shrunk. A stored buffer has one store, at a position of its own for each
//! iteration of the loops around it, so that no order of the iterations can be told from another. Updates meet in elements,
//! but for those of iterations whose order is free.

mod expr;

use super::*;
use crate::base::{Bindings, Rng, Symbol};

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Roughly the number of statements.
    pub size: usize,
    /// Nothing whose bits a backend may choose: no elementary functions, no float multiply-adds, no sums or products of
    /// floats accumulated by vector loops, no bits of a NaN. Results are then equal but for which NaN they are.
    pub exact: bool,
}

/// A kernel and what it is run on.
#[derive(Clone, Debug)]
pub struct Case {
    pub kernel: Kernel,
    pub bind: Bindings,
    /// Little-endian elements of each buffer; zeros where the kernel writes.
    pub buffers: Vec<Vec<u8>>,
}

/// The element types that kernels compute with.
pub const DTYPES: [DType; 13] = *DType::ALL.first_chunk().unwrap();

/// Iterations of a whole kernel, roughly.
const MAX_ITERATIONS: i64 = 2000;

/// The case of a seed.
pub fn case(seed: u64, options: Options) -> Case {
    let mut rng = Rng::new(seed);
    let bind: Bindings = ["N", "M"].map(|s| (Symbol::new(s), rng.pick(&[0, 1, 2, 3, 5, 8, 13]))).into();
    let mut g = Generator {
        w: Writer::new(format!("random_{seed}")),
        fault: rng.pick(&[Fault::IndexOutOfRange, Fault::DivisionByZero, Fault::AssertionFailed]),
        rng,
        options,
        bind,
        budget: options.size,
        loops: vec![],
        free: vec![],
        indices: vec![],
        pool: vec![],
    };
    if g.rng.chance(30) {
        let extent = g.extent();
        g.each(extent, LoopKind::Parallel, |g, _| g.block(1));
        g.w.kernel.turn = g.rng.chance(50).then(|| g.extent());
    } else {
        g.block(0);
    }
    let Generator { w, mut rng, bind, .. } = g;
    let kernel = w.finish();
    let fill = |(_, b): (_, &Buffer)| data(&mut rng, b, &bind);
    let buffers = kernel.buffers.iter().map(fill).collect();
    Case { kernel, bind, buffers }
}

fn data(rng: &mut Rng, buffer: &Buffer, bind: &Bindings) -> Vec<u8> {
    let len = buffer.len.eval(bind).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let mut bytes = vec![];
    for _ in 0..len {
        let value = if buffer.written { Scalar::zero(buffer.dtype) } else { expr::scalar(rng, buffer.dtype) };
        value.write_le(buffer.dtype, &mut bytes);
    }
    bytes
}

struct Generator {
    w: Writer,
    rng: Rng,
    options: Options,
    bind: Bindings,
    /// Statements still to write.
    budget: usize,
    fault: Fault,
    /// The loops around the cursor: index, bound of the extent, which no variable is in.
    loops: Vec<(Dim, Dim)>,
    /// What may index buffers: those loops, and index variables.
    indices: Vec<(Dim, Dim)>,
    /// Expressions that may be used again until their block closes.
    pool: Vec<ExprId>,
    /// The vector and parallel ones among the loops around the cursor.
    free: Vec<(Dim, Dim)>,
}

impl Generator {
    fn dtype(&mut self) -> DType {
        self.rng.pick(&DTYPES)
    }
    fn extent(&mut self) -> Dim {
        match self.rng.below(4) {
            0 => Dim::sym("N"),
            1 => Dim::sym("M") + self.rng.below(3) as i64,
            _ => Dim::from(self.rng.pick(&[0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 19])),
        }
    }
    fn iterations(&self) -> i64 {
        self.loops.iter().map(|(_, n)| n.eval(&self.bind).unwrap_or(1).max(1)).product()
    }
    /// A block of its own, what was named in it forgotten after it.
    fn inside<T>(&mut self, body: impl FnOnce(&mut Generator) -> T) -> (Block, T) {
        let kept = (self.indices.len(), self.pool.len(), self.loops.len(), self.free.len());
        self.w.open_block();
        let result = body(self);
        self.indices.truncate(kept.0);
        self.pool.truncate(kept.1);
        self.loops.truncate(kept.2);
        self.free.truncate(kept.3);
        (self.w.close_block(), result)
    }
    /// A loop; smaller than asked for when there are many iterations already.
    fn each(&mut self, extent: Dim, kind: LoopKind, body: impl FnOnce(&mut Generator, Dim)) {
        let many = self.iterations() * extent.eval(&self.bind).unwrap_or(1).max(1) > MAX_ITERATIONS;
        let extent = if many { Dim::from(2) } else { extent };
        let bound = extent.clone();
        // A triangle, sometimes, as long as the loop is an ordinary one.
        let triangle = kind == LoopKind::Seq && self.rng.chance(15);
        let (extent, bound) = match self.loops.last().cloned().filter(|_| triangle) {
            Some((outer, n)) => (outer + 1, n),
            None => (extent, bound),
        };
        let free = matches!(kind, LoopKind::Vector | LoopKind::Parallel);
        let var = self.w.loop_var(extent);
        let (block, ()) = self.inside(|g| {
            g.loops.push((index_of(var), bound.clone()));
            g.free.extend(free.then(|| (index_of(var), bound.clone())));
            g.indices.push((index_of(var), bound));
            body(g, index_of(var));
        });
        self.w.emit(Stmt::For { var, kind, body: block });
    }
    fn kind(&mut self) -> LoopKind {
        self.rng.pick(&[LoopKind::Seq, LoopKind::Vector, LoopKind::Vector, LoopKind::Unroll])
    }
    fn block(&mut self, depth: usize) {
        for _ in 0..1 + self.rng.below(4) {
            if self.budget == 0 {
                break;
            }
            self.budget -= 1;
            match self.rng.below(13) {
                0..=3 if depth < 4 => {
                    let kind = self.kind();
                    let extent = if kind == LoopKind::Unroll { Dim::from(self.rng.below(5)) } else { self.extent() };
                    self.each(extent, kind, |g, _| g.block(depth + 1));
                }
                4 => self.set(),
                5 => self.set_index(),
                6 => self.fold(),
                7 if depth < 3 => self.tile(),
                8 if depth < 4 => self.condition(depth),
                9 => self.check(),
                10 => self.prefetch(),
                11 => self.update(),
                _ => self.store(),
            }
        }
        self.store();
    }
    fn set(&mut self) {
        let dtype = self.dtype();
        let value = self.value(dtype, 3);
        let named = self.w.set(value);
        self.pool.push(named);
    }
    /// An index from a value: a gather.
    fn set_index(&mut self) {
        let from = self.rng.pick(&[DType::I8, DType::I32, DType::I64]);
        let value = self.value(from, 2);
        let wide = self.w.cast(DType::I64, value);
        let n = 1 + self.rng.below(9) as i64;
        let (low, high) = (self.w.int(DType::I64, 0), self.w.int(DType::I64, n - 1));
        let value = self.w.binary(BinaryFn::Max, wide, low);
        let value = self.w.binary(BinaryFn::Min, value, high);
        let known = self.rng.chance(70).then(|| Dim::from(n));
        let index = self.w.set_index(value, known);
        self.indices.push((index, Dim::from(n)));
    }
    /// One store to a buffer of its own.
    fn store(&mut self) {
        let dtype = self.dtype();
        let value = self.value(dtype, 4);
        self.store_value(value);
    }
    fn store_value(&mut self, value: ExprId) {
        let (ix, shape): (Vec<Dim>, Vec<Dim>) = self.loops.iter().cloned().unzip();
        let len = shape.iter().fold(Dim::one(), |n, e| n * e);
        let buffer = self.w.buffer(self.w.dtype(value), len, true);
        self.w.store(buffer, &shape, &ix, value);
    }
    /// Updates of a buffer of its own: of elements that iterations share, but for those whose order is free. Each of these has
    /// a row, in which something is stored first, or a column.
    fn update(&mut self) {
        let dtype = self.dtype();
        let (ix, shape): (Vec<Dim>, Vec<Dim>) = self.free.iter().cloned().unzip();
        let (own, many) = (flat(&shape, &ix), shape.iter().fold(Dim::one(), |n, e| n * e));
        let places = self.indices.iter().filter(|(i, _)| !self.free.iter().any(|(free, _)| free == i));
        let (place, among) = match places.cloned().collect::<Vec<_>>() {
            known if known.is_empty() => (Dim::zero(), Dim::one()),
            known => self.rng.pick(&known),
        };
        let buffer = self.w.buffer(dtype, &many * &among, true);
        let divides = |f: &Combine| *f == Combine::Div && dtype.is_int();
        let fs: Vec<Combine> = Combine::ALL.into_iter().filter(|f| f.accepts(dtype) && !divides(f)).collect();
        // A place that is not known to lie within a row has columns only.
        let rows = self.rng.chance(40) && self.w.is_within(&place, &among);
        if rows && self.iterations() * among.eval(&self.bind).unwrap_or(1) <= MAX_ITERATIONS {
            let kind = self.kind();
            let kind = if kind == LoopKind::Unroll && among.as_int().is_none() { LoopKind::Seq } else { kind };
            let var = self.w.loop_var(among.clone());
            self.w.open_block();
            let start = self.value(dtype, 1);
            self.w.store_flat(buffer, &own * &among + index_of(var), start);
            self.w.close_for(var, kind);
        }
        for _ in 0..1 + self.rng.below(2) {
            let (f, value) = (self.rng.pick(&fs), self.value(dtype, 3));
            let index = if rows { &own * &among + &place } else { &place * &many + &own };
            self.w.emit(Stmt::Update { buffer, index, f, value });
        }
    }
    /// A hint about any buffer, within it or far outside.
    fn prefetch(&mut self) {
        let buffers: Vec<BufferId> = self.w.kernel.buffers.ids().collect();
        if buffers.is_empty() {
            return self.store();
        }
        let buffer = self.rng.pick(&buffers);
        let index = self.indices.last().map_or(Dim::zero(), |(index, _)| index.clone());
        let far = self.rng.pick(&[0, 1, 16, -5000, 1 << 20, 1 << 40]);
        let near = self.rng.chance(50);
        self.w.prefetch_flat(buffer, index + far, near);
    }
    fn accumulator(&mut self, dtype: DType, reordered: bool) -> BinaryFn {
        use BinaryFn::{Add, And, Max, Min, Mul, Or};
        let fixed = self.options.exact && reordered;
        match dtype {
            DType::Bool => self.rng.pick(&[And, Or]),
            d if d.is_int() => self.rng.pick(&[Add, Mul, Max, Min, And, Or]),
            _ if fixed => self.rng.pick(&[Max, Min]),
            _ => self.rng.pick(&[Add, Mul, Max, Min]),
        }
    }
    /// A scalar that one or two loops accumulate into.
    fn fold(&mut self) {
        let dtype = self.dtype();
        let (outer, inner) = (self.kind(), self.kind());
        let f = self.accumulator(dtype, outer == LoopKind::Vector || inner == LoopKind::Vector);
        let local = self.w.local(dtype, []);
        let start = self.value(dtype, 1);
        self.w.assign(local, &[], start);
        let extents = [outer, inner]
            .map(|kind| if kind == LoopKind::Unroll { Dim::from(1 + self.rng.below(3)) } else { self.extent() });
        let [first, second] = extents;
        let nested = self.rng.chance(50);
        self.each(first, outer, |g, _| {
            let add = |g: &mut Generator, _: Dim| {
                let value = g.value(dtype, 3);
                g.w.accumulate(local, &[], f, value);
            };
            if nested { g.each(second, inner, add) } else { add(g, Dim::zero()) }
        });
        let value = self.w.read(local, &[]);
        self.pool.push(value);
    }
    /// A register array: assigned, accumulated into, perhaps changed in place, stored.
    fn tile(&mut self) {
        let dtype = self.dtype();
        let f = self.accumulator(dtype, false);
        let (rows, columns) = (1 + self.rng.below(3), self.rng.pick(&[1, 3, 4, 5, 8, 11]));
        let local = self.w.local(dtype, [rows, columns]);
        let kinds = [self.rng.pick(&[LoopKind::Unroll, LoopKind::Vector]), LoopKind::Vector];
        let each = |g: &mut Generator, body: &dyn Fn(&mut Generator, &[Dim])| {
            g.each(Dim::from(rows), kinds[0], |g, i| {
                // A smaller loop than asked for leaves elements alone, so the budget of iterations does not count.
                let var = g.w.loop_var(Dim::from(columns));
                let (block, ()) = g.inside(|g| {
                    g.loops.push((index_of(var), Dim::from(columns)));
                    g.free.push((index_of(var), Dim::from(columns)));
                    g.indices.push((index_of(var), Dim::from(columns)));
                    body(g, &[i, index_of(var)]);
                });
                g.w.emit(Stmt::For { var, kind: kinds[1], body: block });
            })
        };
        let rows_fit = self.iterations() * rows as i64 <= MAX_ITERATIONS;
        if !rows_fit {
            return;
        }
        each(self, &|g, ix| {
            let start = g.value(dtype, 1);
            g.w.assign(local, ix, start);
        });
        let extent = self.extent();
        let few = self.iterations() * extent.eval(&self.bind).unwrap_or(1).max(1) * rows as i64 <= MAX_ITERATIONS;
        if few {
            self.each(extent, LoopKind::Seq, |g, _| {
                each(g, &|g, ix| {
                    let value = g.value(dtype, 2);
                    g.w.accumulate(local, ix, f, value);
                })
            });
        }
        if self.rng.chance(50) {
            each(self, &|g, ix| {
                let old = g.w.read(local, ix);
                let more = g.value(dtype, 1);
                let new = g.w.binary(f, old, more);
                g.w.assign(local, ix, new);
            });
        }
        each(self, &|g, ix| {
            let value = g.w.read(local, ix);
            g.store_value(value);
        });
    }
    /// A conditional read of a shifted element, assigned on both paths; or two blocks.
    fn condition(&mut self, depth: usize) {
        let Some((index, extent)) = self.indices.last().cloned() else { return self.set() };
        let shift = self.rng.below(4) as i64 - 1;
        let (shifted, len) = (&index - shift, Dim::from(1 + self.rng.below(6)).at_most(&extent));
        let mut bounds = vec![Bound { index: shifted.clone(), extent: len.clone() }];
        if self.rng.chance(40)
            && let Some((i, n)) = self.indices.first().cloned()
        {
            bounds.push(Bound { index: (&n - 2) - i, extent: n });
        }
        if self.rng.chance(30) {
            let (then, ()) = self.inside(|g| g.block(depth + 1));
            let (otherwise, ()) = self.inside(|g| {
                if g.rng.chance(50) {
                    g.block(depth + 1)
                }
            });
            return self.w.emit(Stmt::If { bounds, then, otherwise });
        }
        let dtype = self.dtype();
        let result = self.w.local(dtype, []);
        let buffer = self.w.buffer(dtype, len, false);
        let (then, ()) = self.inside(|g| {
            let value = g.w.load_flat(buffer, shifted);
            g.w.assign(result, &[], value);
        });
        let (otherwise, ()) = self.inside(|g| {
            let value = g.value(dtype, 2);
            g.w.assign(result, &[], value);
        });
        self.w.emit(Stmt::If { bounds, then, otherwise });
        let value = self.w.read(result, &[]);
        self.pool.push(value);
    }
    /// Holds, but for a few.
    fn check(&mut self) {
        let value = self.value(DType::I32, 2);
        let small = self.w.int(DType::I32, 1000);
        let rest = self.w.binary(BinaryFn::Rem, value, small);
        let limit = if self.rng.chance(10) { 3 } else { 1000 };
        let limit = self.w.int(DType::I32, limit);
        let cond = self.w.compare(CompareFn::Lt, rest, limit);
        self.w.check(cond, self.fault);
    }
}

#[cfg(test)]
mod tests;
