//! What a plan knows of a machine.

use crate::base::Dim;

/// Work that is worth handing to threads, in picoseconds. Those who look for it take from a quarter of a microsecond to
/// more than one to meet, as near as their cores are, and who reads the result later finds half of it in another cache.
/// Whether it is worth waking somebody is the pool's affair, which is told how much it is.
pub const WORTH_SHARING: i64 = 3_000_000;

/// An instruction set with its vector extension, as far as tiles depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isa {
    /// x86-64 with SSE2 only.
    X64,
    /// x86-64-v3: AVX2 and FMA.
    X64V3,
    /// x86-64-v4: AVX-512 F, BW, CD, DQ and VL.
    X64V4,
    Aarch64,
    /// riscv64gc without vectors.
    Riscv64,
    /// With V and 128-bit registers.
    Riscv64V,
    S390x,
}

/// A machine, as far as kernels depend on it.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetInfo {
    pub isa: Isa,
    /// Bytes of a vector register; 0 when there are none.
    pub vector_bytes: usize,
    /// Vector registers (scalar float registers when there are no vectors).
    pub registers: usize,
    /// Accumulators that a tile may keep in registers, in vectors (in scalars when there are none).
    pub accumulators: usize,
    /// Whether a multiply-add is one instruction.
    pub has_fma: bool,
    pub big_endian: bool,
    /// Columns of a panel of packed weights; all variants of one object share it.
    pub panel: usize,
    /// Bytes of the first-level data cache.
    pub l1: usize,
    /// Bytes of the second-level cache of one core.
    pub l2: usize,
    /// Bytes that a program may hope to have of the last cache, which cores share.
    pub l3: usize,
    /// Cycles before its use at which an element that is not in the second-level cache is best asked for; 0 where no
    /// instruction asks. Memory itself takes longer, but what comes too early is evicted again.
    pub ahead: usize,
}

impl TargetInfo {
    pub fn new(isa: Isa) -> TargetInfo {
        let base = TargetInfo {
            isa,
            vector_bytes: 16,
            registers: 32,
            accumulators: 24,
            has_fma: true,
            big_endian: false,
            panel: 64,
            l1: 32 << 10,
            l2: 512 << 10,
            l3: 8 << 20,
            ahead: 0,
        };
        match isa {
            Isa::X64 => TargetInfo { registers: 16, accumulators: 8, has_fma: false, ..base },
            Isa::X64V3 => TargetInfo { vector_bytes: 32, registers: 16, accumulators: 12, ahead: 192, ..base },
            Isa::X64V4 => {
                let caches = TargetInfo { l1: 48 << 10, l2: 1 << 20, l3: 16 << 20, ..base };
                TargetInfo { vector_bytes: 64, accumulators: 28, ahead: 192, ..caches }
            }
            Isa::Aarch64 | Isa::Riscv64V => base,
            Isa::Riscv64 => TargetInfo { vector_bytes: 0, accumulators: 16, ..base },
            Isa::S390x => TargetInfo { big_endian: true, ..base },
        }
    }
    /// What Cranelift makes of the machine: vectors of at most 128 bits, on x86-64 without the registers of AVX-512, and
    /// multiply-adds there that never accumulate in place.
    pub fn narrow(&self) -> TargetInfo {
        match self.isa {
            Isa::X64V3 | Isa::X64V4 => {
                TargetInfo { vector_bytes: 16, registers: 16, accumulators: 8, ahead: 0, ..self.clone() }
            }
            _ => self.clone(),
        }
    }
    /// Picoseconds that so many floating-point operations on so many bytes take one core, roughly: two vector operations
    /// a cycle of a third of a nanosecond, and what the second-level cache gives beside other work.
    pub fn work(&self, flops: &Dim, bytes: &Dim) -> Dim {
        flops * (160 / self.lanes(4) as i64) + bytes * 8
    }
    /// Whether a multiply-add of vectors takes three instructions and more, so that loops around them show.
    pub fn counts_instructions(&self) -> bool {
        self.vector_bytes == 16 && !self.has_fma
    }
    /// The same of numbers that are guesses themselves.
    pub fn expected(&self, flops: f64, bytes: f64) -> f64 {
        flops * (160 / self.lanes(4)) as f64 + bytes * 8.0
    }
    /// Picoseconds to read or write a byte again after so many others: what each cache gives, and the memory, of which a
    /// core has 20 GB/s. What is somewhat more than a cache is there in part.
    pub fn again(&self, others: f64) -> f64 {
        let missed = |cache: usize| (others / cache as f64 - 1.0).clamp(0.0, 1.0);
        8.0 + 4.0 * missed(self.l2) + 38.0 * missed(self.l3)
    }
    /// The same for a kernel that does little with each byte, to which the first-level cache gives twice as many.
    pub fn again_at_once(&self, others: f64) -> f64 {
        let missed = (others / self.l1 as f64 - 1.0).clamp(0.0, 1.0);
        self.again(others) - 4.0 * (1.0 - missed)
    }
    /// Whether vectors are longer than Cranelift's on x86-64.
    pub fn is_wide(&self) -> bool {
        self.vector_bytes > 16
    }
    /// Elements of `bytes` each that a vector holds; 1 when there are no vectors.
    pub fn lanes(&self, bytes: usize) -> usize {
        (self.vector_bytes / bytes).max(1)
    }
    /// Lanes for rows of `n` elements of `bytes` each: of a shorter vector where that holds them all, since a machine may
    /// take its longest in halves.
    pub fn lanes_for(&self, n: usize, bytes: usize) -> usize {
        let lanes = self.lanes(bytes);
        if self.is_wide() && bytes == 4 { lanes.min(n.next_power_of_two().max(4)) } else { lanes }
    }
}
