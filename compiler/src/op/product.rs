//! Sums of products for the evaluator: the plain loops of the definition, over blocks of rows.
//!
//! Each result is one sum, from its first term to its last, so blocks and threads change no bit of it. The generated code
//! shares nothing with this.

use super::evaluation::{Evaluation, Pace, Stop, Sums};
use crate::tensor::{DType, Scalar, Tensor};

/// A type to multiply and add in.
pub(super) trait Number: Copy + Send + Sync {
    const ZERO: Self;
    fn add_product(self, a: Self, b: Self) -> Self;
}

impl Number for f64 {
    const ZERO: f64 = 0.0;
    fn add_product(self, a: f64, b: f64) -> f64 {
        self + a * b
    }
}

impl Number for f32 {
    const ZERO: f32 = 0.0;
    fn add_product(self, a: f32, b: f32) -> f32 {
        self + a * b
    }
}

/// Every narrower type wraps to the same result.
impl Number for i64 {
    const ZERO: i64 = 0;
    fn add_product(self, a: i64, b: i64) -> i64 {
        self.wrapping_add(a.wrapping_mul(b))
    }
}

/// What a contraction does with the elements of its operands, whatever they are.
pub(super) trait Contraction {
    /// The elements of the result, row by row.
    fn contract<T: Number>(&self, a: &[T], b: &[T], how: Evaluation<'_>) -> Result<Vec<T>, Stop>;
}

/// The result of a contraction of two tensors of one type.
pub(super) fn contract(
    by: &impl Contraction,
    a: &Tensor,
    b: &Tensor,
    out: &[usize],
    how: Evaluation<'_>,
) -> Result<Tensor, Stop> {
    let dtype = a.dtype;
    Ok(match dtype {
        DType::F32 if how.sums == Sums::Rounded => {
            let sums = by.contract(&singles(a), &singles(b), how)?;
            let bytes = sums.iter().flat_map(|x| x.to_le_bytes()).collect();
            Tensor::from_bytes(dtype, out, bytes)
        }
        DType::F32 => {
            let sums = by.contract(&wide(a), &wide(b), how)?;
            let bytes = sums.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect();
            Tensor::from_bytes(dtype, out, bytes)
        }
        d if d.is_float() => {
            let sums = by.contract(&wide(a), &wide(b), how)?;
            Tensor::from_scalars(dtype, out, sums.into_iter().map(|x| Scalar::from_f64(dtype, x)))
        }
        _ => {
            let sums = by.contract(&integers(a), &integers(b), how)?;
            Tensor::from_scalars(dtype, out, sums.into_iter().map(|x| Scalar::from_i64(dtype, x)))
        }
    })
}

fn singles(x: &Tensor) -> Vec<f32> {
    x.bytes().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn wide(x: &Tensor) -> Vec<f64> {
    match x.dtype {
        DType::F32 => singles(x).into_iter().map(f64::from).collect(),
        _ => x.scalars().map(|s| s.as_f64().expect("a real number")).collect(),
    }
}

fn integers(x: &Tensor) -> Vec<i64> {
    let int = |s: Scalar| match s {
        Scalar::Uint(n) => n as i64,
        s => s.as_i64().expect("an integer"),
    };
    x.scalars().map(int).collect()
}

/// Rows that share each look at the right operand.
pub(super) const ROWS: usize = 8;

/// Fills a result of rows of `width`, in blocks of at most [`ROWS`] of the same `group` of rows: `fill` gets the first
/// row's number and the block, and leaves it when its pace says so. Large results are filled by all processors.
pub(super) fn by_rows<T: Number>(
    rows: usize,
    group: usize,
    width: usize,
    depth: usize,
    how: Evaluation<'_>,
    fill: impl Fn(usize, &mut [T], &Pace<'_>) + Sync,
) -> Result<Vec<T>, Stop> {
    /// Products that are not worth a second thread.
    const FEW: usize = 1 << 22;
    let mut out = vec![T::ZERO; rows * width];
    if out.is_empty() {
        return Ok(out);
    }
    let mut blocks = vec![];
    for (g, rows) in out.chunks_mut(group * width).enumerate() {
        blocks.extend(rows.chunks_mut(ROWS * width).enumerate().map(|(n, block)| (g * group + n * ROWS, block)));
    }
    let few = rows.saturating_mul(width).saturating_mul(depth) < FEW;
    let threads = if few { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    let queue = std::sync::Mutex::new(blocks);
    let work = || {
        let pace = how.pace();
        loop {
            let next = queue.lock().expect("no thread panics with the queue").pop();
            let Some((row, block)) = next else { return pace.or(()) };
            if !pace.goes_on(0) {
                return pace.or(());
            }
            fill(row, block, &pace);
        }
    };
    if threads == 1 {
        work()?;
    } else {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
        })?;
    }
    Ok(out)
}

/// Adds `a` times each of `b` to the sums.
pub(super) fn add_products<T: Number>(sums: &mut [T], a: T, b: &[T]) {
    sums.iter_mut().zip(b).for_each(|(sum, &b)| *sum = sum.add_product(a, b));
}

#[test]
fn blocks_and_threads_change_nothing() {
    // 21 rows in groups of 7, wide and deep enough for threads: each row knows its number.
    let fill = |row: usize, block: &mut [f64], _: &Pace<'_>| {
        block.chunks_mut(3).enumerate().for_each(|(r, x)| x.fill((row + r) as f64))
    };
    for depth in [1, 1 << 20] {
        let out = by_rows(21, 7, 3, depth, Evaluation::WHOLE, fill).unwrap();
        assert!(out.chunks(3).enumerate().all(|(n, row)| row == [n as f64; 3]), "{out:?}");
    }
    assert_eq!(by_rows(0, 7, 3, 1, Evaluation::WHOLE, fill).unwrap(), [0.0; 0]);
    assert_eq!(i64::MAX.add_product(1, 1), i64::MIN);
}

#[test]
fn contractions_are_interrupted() {
    let steps = std::sync::atomic::AtomicUsize::new(0);
    let endless = |_: usize, _: &mut [f64], pace: &Pace<'_>| {
        while pace.goes_on(1) {
            steps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    };
    for depth in [1, 1 << 24] {
        let how = Evaluation { sums: Sums::Wide, go_on: &|| false };
        assert_eq!(by_rows(16, 16, 1, depth, how, endless), Err(Stop::Interrupted));
    }
    assert!(steps.into_inner() > 0);
}
