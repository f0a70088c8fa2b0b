//! The floats that a block of random words makes: fractions from 0 up to 1, and normal numbers. A block makes two of f64, each
//! of two words whose first one is the high half, or four of f32.

use std::f64::consts::PI;

use crate::tensor::DType;

/// What a logarithm is taken of for a normal number is at least this.
const LEAST: f64 = 1e-7;

/// The fractions of a block, by the definition.
pub fn fractions(to: DType, [a, b, c, d]: [u32; 4]) -> Vec<f64> {
    if to == DType::F64 {
        let fraction =
            |high: u32, low: u32| f64::from_bits(1023 << 52 | u64::from(high & 0xfffff) << 32 | u64::from(low)) - 1.0;
        return vec![fraction(a, b), fraction(c, d)];
    }
    [a, b, c, d].map(|word| f64::from(f32::from_bits(127 << 23 | word & 0x7fffff) - 1.0)).to_vec()
}

/// The normal numbers of a block, by the definition: Box and Muller make two of two fractions.
pub fn normals(to: DType, words: [u32; 4]) -> Vec<f64> {
    let pairs = fractions(to, words);
    let pairs = pairs.chunks_exact(2);
    if to == DType::F64 {
        let pair = |pair: &[f64]| {
            let (radius, angle) = ((-2.0 * pair[0].max(LEAST).ln()).sqrt(), 2.0 * PI * pair[1]);
            [angle.sin() * radius, angle.cos() * radius]
        };
        return pairs.flat_map(pair).collect();
    }
    let pair = |pair: &[f64]| {
        let log = f64::from((pair[0] as f32).max(LEAST as f32)).ln() as f32;
        let (radius, angle) = ((-2.0 * log).sqrt(), f64::from((2.0 * PI * pair[1]) as f32));
        [angle.sin(), angle.cos()].map(|part| f64::from(part as f32 * radius))
    };
    pairs.flat_map(pair).collect()
}

/// The same as code.
pub mod code {
    use super::{LEAST, PI};
    use crate::{
        loops::{BinaryFn, ExprId, UnaryFn, Writer},
        op::philox,
        tensor::{DType, Scalar},
    };

    /// The fractions of a block, whose words are u64 below 2^32.
    pub fn fractions(w: &mut Writer, to: DType, words: [ExprId; 4]) -> Vec<ExprId> {
        if to != DType::F64 {
            return words.map(|word| fraction(w, to, word)).to_vec();
        }
        let [a, b, c, d] = words;
        let two = [(a, b), (c, d)].map(|(high, low)| {
            let word = philox::joined(w, low, high);
            fraction(w, to, word)
        });
        two.to_vec()
    }

    /// The normal numbers of a block.
    pub fn normals(w: &mut Writer, to: DType, words: [ExprId; 4]) -> Vec<ExprId> {
        let fractions = fractions(w, to, words);
        fractions.chunks_exact(2).flat_map(|pair| box_muller(w, pair[0], pair[1])).collect()
    }

    /// The float from 0 up to 1 that words make, given as a u64 below 2^32 or of 64 bits with the high word below.
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

    /// The two normal numbers of two fractions.
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
}
