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
}

impl Intrinsic {
    const ALL: [Intrinsic; 5] =
        [Intrinsic::First, Intrinsic::LoadMasked, Intrinsic::StoreMasked, Intrinsic::LowHalf, Intrinsic::HighHalf];

    /// The number that stands for it.
    pub fn index(self) -> u32 {
        self as u32
    }
    /// What a number stands for.
    pub fn of(index: u32) -> Option<Intrinsic> {
        Intrinsic::ALL.get(index as usize).copied()
    }
}
