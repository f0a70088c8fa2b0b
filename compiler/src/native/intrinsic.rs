//! What Cranelift's IR cannot say, as calls that the wide x86 backend expands where they stand.
//!
//! They are written for machines with vectors of more than 128 bits only, and Cranelift's own backends never see them.

/// The space of their numbers among the names of a function.
pub(super) const INTRINSICS: u32 = 2;

/// A function that is no function. A mask is a vector of integers as wide as the lanes that it selects, of ones or
/// zeros each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Intrinsic {
    /// `(n: i64) -> mask`: ones in the first `n` lanes.
    First,
    /// `(mask, pointer) -> lanes`: zeros where the mask is zero; memory is touched nowhere else.
    LoadMasked,
    /// `(mask, pointer, lanes)`.
    StoreMasked,
    /// `(lanes) -> the first half of them`.
    LowHalf,
    /// `(lanes) -> the second half of them`.
    HighHalf,
    // Elements of one and two bytes in lanes of four. `([mask,] pointer) -> lanes`, by zeros or signs.
    LoadU8,
    LoadI8,
    LoadU16,
    LoadI16,
    /// Of f32.
    LoadF16,
    // `([mask,] pointer, lanes)`; integers are in the range of the element, signed or unsigned.
    Store8,
    Store16,
    /// Of f32, rounded to nearest, halves to even.
    StoreF16,
    /// `(lanes of f32) -> the nearest that f16 has`.
    RoundF16,
    /// `(x, n) -> x * 2^floor(n)`, of floats in lanes or of one; with AVX-512.
    Scale,
    /// `(x) -> floor(log2 |x|)`, of floats in lanes or of one; with AVX-512.
    Exponent,
    /// `(x) -> m` with `x = m 2^k` and `m` from 3/4 up to 3/2, NaN below 0; likewise.
    Mantissa,
    /// `(indices, table) -> the table's entries`: lanes of f32 at those of i32, or one at an i32; the table is a constant
    /// vector of 16.
    Table,
    /// `(pointer)`: what lies there is read soon. Nothing need lie there.
    PrefetchNear,
    /// The same, later.
    PrefetchFar,
}

impl Intrinsic {
    const ALL: [Intrinsic; 20] = [
        Intrinsic::First,
        Intrinsic::LoadMasked,
        Intrinsic::StoreMasked,
        Intrinsic::LowHalf,
        Intrinsic::HighHalf,
        Intrinsic::LoadU8,
        Intrinsic::LoadI8,
        Intrinsic::LoadU16,
        Intrinsic::LoadI16,
        Intrinsic::LoadF16,
        Intrinsic::Store8,
        Intrinsic::Store16,
        Intrinsic::StoreF16,
        Intrinsic::RoundF16,
        Intrinsic::Scale,
        Intrinsic::Exponent,
        Intrinsic::Mantissa,
        Intrinsic::Table,
        Intrinsic::PrefetchNear,
        Intrinsic::PrefetchFar,
    ];

    /// The number that stands for it.
    pub fn index(self) -> u32 {
        self as u32
    }
    /// Whether it does nothing but give a value.
    pub fn is_pure(self) -> bool {
        !self.stores() && !matches!(self, Intrinsic::PrefetchNear | Intrinsic::PrefetchFar)
    }
    pub fn stores(self) -> bool {
        matches!(self, Intrinsic::StoreMasked | Intrinsic::Store8 | Intrinsic::Store16 | Intrinsic::StoreF16)
    }
    /// Which operand of so many is a pointer, if one is.
    pub fn pointer(self, operands: usize) -> Option<usize> {
        match self {
            Intrinsic::First
            | Intrinsic::LowHalf
            | Intrinsic::HighHalf
            | Intrinsic::RoundF16
            | Intrinsic::Scale
            | Intrinsic::Exponent
            | Intrinsic::Mantissa
            | Intrinsic::Table => None,
            Intrinsic::StoreMasked => Some(1),
            _ if self.stores() => Some(operands - 2),
            _ => Some(operands - 1),
        }
    }
    /// What a number stands for.
    pub fn of(index: u32) -> Option<Intrinsic> {
        Intrinsic::ALL.get(index as usize).copied()
    }
}
