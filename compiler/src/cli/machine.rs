//! What this machine can do: multiply-adds from registers, and reads from each level of memory, on one thread.
//!
//! Both are loops that do nothing else, written in assembler so that they are the same in every build: twelve
//! independent accumulators, and eight loads of whole registers that touch every byte. The best of several short runs
//! counts, for whatever else runs on the machine can only make one slower.

use std::{fmt, time::Instant};

use serde::Serialize;

/// The best seen of this machine, on one thread.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub threads: usize,
    /// Multiply-adds by vector width, widest first; none where they are not measured.
    pub multiply_adds: Vec<Peak>,
    /// Reads by level, nearest first; none where they are not measured.
    pub reads: Vec<Read>,
}

/// Multiply-adds of f32 from registers; one counts as two operations.
#[derive(Clone, Debug, Serialize)]
pub struct Peak {
    pub bits: u32,
    pub gflops: f64,
}

/// Reads of data that fit a level of memory.
#[derive(Clone, Debug, Serialize)]
pub struct Read {
    /// `L1`, `L2`, `L3` or `memory`.
    pub level: String,
    /// The level's size; none for memory.
    pub bytes: Option<u64>,
    pub gb_per_s: f64,
}

impl Machine {
    /// Measures for about `seconds`.
    pub fn measure(seconds: f64) -> Machine {
        let caches = caches();
        let widths = loops::widths();
        let each = seconds / (widths.len() + caches.len() + 1) as f64;
        let multiply_adds = widths.iter().map(|w| Peak { bits: w.bits, gflops: multiply_adds(w, each) }).collect();
        let mut reads = vec![];
        if let Some(widest) = widths.first() {
            for (n, &bytes) in caches.iter().enumerate() {
                let level = format!("L{}", n + 1);
                reads.push(Read { level, bytes: Some(bytes), gb_per_s: reading(widest, bytes / 2, each) });
            }
            let far = caches.last().map_or(64 << 20, |last| (4 * last).clamp(64 << 20, 256 << 20));
            reads.push(Read { level: "memory".into(), bytes: None, gb_per_s: reading(widest, far, each) });
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Machine { processor: processor(), threads, multiply_adds, reads }
    }

    /// The greatest number of operations per nanosecond.
    pub fn gflops(&self) -> Option<f64> {
        self.multiply_adds.iter().map(|p| p.gflops).max_by(f64::total_cmp)
    }

    /// Reads from the nearest level that holds this many bytes.
    pub fn read(&self, bytes: u64) -> Option<&Read> {
        let fits = self.reads.iter().find(|r| r.bytes.is_none_or(|size| bytes <= size));
        fits.or(self.reads.last())
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} threads; of one thread:", self.processor, self.threads)?;
        for p in &self.multiply_adds {
            write!(f, "\n  multiply-adds of f32, {} bits: {:.1} GFLOP/s", p.bits, p.gflops)?;
        }
        for r in &self.reads {
            let size = r.bytes.map_or(String::new(), |b| format!(" ({} KiB)", b >> 10));
            write!(f, "\n  reads from {}{size}: {:.1} GB/s", r.level, r.gb_per_s)?;
        }
        if self.multiply_adds.is_empty() {
            write!(f, "\n  nothing is measured on this architecture yet")?;
        }
        Ok(())
    }
}

/// Repeats `run`, which does `work` units, for so many seconds; the most units per nanosecond.
fn best(seconds: f64, work: f64, mut run: impl FnMut()) -> f64 {
    let (begin, mut most) = (Instant::now(), 0.0f64);
    while most == 0.0 || begin.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        run();
        most = most.max(work / start.elapsed().as_nanos().max(1) as f64);
    }
    most
}

fn multiply_adds(width: &loops::Width, seconds: f64) -> f64 {
    const ROUNDS: u64 = 20_000;
    let work = ROUNDS * loops::ACCUMULATORS * 2 * u64::from(width.bits / 32);
    // SAFETY: `widths` lists what this processor has.
    best(seconds, work as f64, || unsafe { (width.multiply_add)(ROUNDS) })
}

fn reading(width: &loops::Width, bytes: u64, seconds: f64) -> f64 {
    let blocks = (bytes as usize / loops::BLOCK).max(1);
    // Written once, so that every page is memory of its own.
    let memory = vec![1u8; blocks * loops::BLOCK + loops::BLOCK];
    let start = memory.as_ptr().wrapping_add(memory.as_ptr().align_offset(64));
    // A run is 100 us at least, so that the clock does not show in it.
    let passes = (4_000_000 / (blocks * loops::BLOCK)).max(1);
    let work = (passes * blocks * loops::BLOCK) as f64;
    // SAFETY: `blocks` blocks lie in `memory` from `start` on, and `widths` lists what this processor has.
    best(seconds, work, || (0..passes).for_each(|_| unsafe { (width.read)(start, blocks as u64) }))
}

/// Sizes of the data caches of one core, nearest first, as Linux tells them; elsewhere what is common.
fn caches() -> Vec<u64> {
    let read = |n: usize, what: &str| {
        let text = std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{n}/{what}")).ok()?;
        Some(text.trim().to_string())
    };
    let size = |n: usize| {
        let kind = read(n, "type")?;
        let bytes = read(n, "size")?.strip_suffix('K')?.parse::<u64>().ok()? << 10;
        (kind != "Instruction").then_some(bytes)
    };
    let found: Vec<u64> = (0..5).filter_map(size).collect();
    if found.is_empty() { vec![32 << 10, 1 << 20] } else { found }
}

/// The processor's name, as Linux tells it.
fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|l| l.split(':').next().is_some_and(|key| key.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_string())
    };
    let name = field("model name").unwrap_or_else(|| std::env::consts::ARCH.into());
    match (field("cpu family"), field("model")) {
        (Some(family), Some(model)) => format!("{name} (family {family}, model {model})"),
        _ => name,
    }
}

#[cfg(target_arch = "x86_64")]
mod loops {
    use std::arch::{asm, is_x86_feature_detected as has};

    /// Bytes that one turn of a reading loop reads.
    pub const BLOCK: usize = 512;
    pub const ACCUMULATORS: u64 = 12;

    /// Loops over registers of one width.
    pub struct Width {
        pub bits: u32,
        /// So many turns of `ACCUMULATORS` multiply-adds.
        pub multiply_add: unsafe fn(u64),
        /// Reads so many blocks from an aligned address on.
        pub read: unsafe fn(*const u8, u64),
    }

    /// What this processor has, widest first.
    pub fn widths() -> Vec<Width> {
        let mut widths = vec![];
        if has!("avx512f") {
            widths.push(Width { bits: 512, multiply_add: multiply_add_512, read: read_512 });
        }
        if has!("fma") && has!("avx") {
            widths.push(Width { bits: 256, multiply_add: multiply_add_256, read: read_256 });
            widths.push(Width { bits: 128, multiply_add: multiply_add_128, read: read_128 });
        }
        widths
    }

    macro_rules! loops {
        ($feature:literal, $register:literal, $multiply_add:ident, $read:ident, [$($offset:literal)*]) => {
            #[target_feature(enable = $feature)]
            unsafe fn $multiply_add(turns: u64) {
                // SAFETY: touches nothing but the registers it names.
                unsafe {
                    asm!(
                        "vzeroall",
                        "2:",
                        concat!("vfmadd231ps ", $register, "0, ", $register, "12, ", $register, "13"),
                        concat!("vfmadd231ps ", $register, "1, ", $register, "12, ", $register, "13"),
                        concat!("vfmadd231ps ", $register, "2, ", $register, "12, ", $register, "13"),
                        concat!("vfmadd231ps ", $register, "3, ", $register, "12, ", $register, "13"),
                        concat!("vfmadd231ps ", $register, "4, ", $register, "12, ", $register, "13"),
                        concat!("vfmadd231ps ", $register, "5, ", $register, "12, ", $register, "13"),
                        concat!("vfmadd231ps ", $register, "6, ", $register, "12, ", $register, "13"),
                        concat!("vfmadd231ps ", $register, "7, ", $register, "12, ", $register, "13"),
                        concat!("vfmadd231ps ", $register, "8, ", $register, "12, ", $register, "13"),
                        concat!("vfmadd231ps ", $register, "9, ", $register, "12, ", $register, "13"),
                        concat!("vfmadd231ps ", $register, "10, ", $register, "12, ", $register, "13"),
                        concat!("vfmadd231ps ", $register, "11, ", $register, "12, ", $register, "13"),
                        "dec {turns}",
                        "jnz 2b",
                        "vzeroall",
                        turns = inout(reg) turns => _,
                        out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
                        out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                        out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                        options(nomem, nostack),
                    );
                }
            }

            #[target_feature(enable = $feature)]
            unsafe fn $read(start: *const u8, blocks: u64) {
                // SAFETY: reads the blocks that the caller vouches for.
                unsafe {
                    asm!(
                        "2:",
                        $(concat!("vmovups ", $register, "0, [{at} + ", $offset, "]"),)*
                        "add {at}, 512",
                        "dec {blocks}",
                        "jnz 2b",
                        "vzeroupper",
                        at = inout(reg) start => _,
                        blocks = inout(reg) blocks => _,
                        out("xmm0") _,
                        options(readonly, nostack),
                    );
                }
            }
        };
    }

    loops!("avx512f", "zmm", multiply_add_512, read_512, [0 64 128 192 256 320 384 448]);
    loops!("avx,fma", "ymm", multiply_add_256, read_256, [0 32 64 96 128 160 192 224 256 288 320 352 384 416 448 480]);
    loops!("avx,fma", "xmm", multiply_add_128, read_128,
        [0 16 32 48 64 80 96 112 128 144 160 176 192 208 224 240
         256 272 288 304 320 336 352 368 384 400 416 432 448 464 480 496]);
}

#[cfg(not(target_arch = "x86_64"))]
mod loops {
    pub const BLOCK: usize = 512;
    pub const ACCUMULATORS: u64 = 12;

    pub struct Width {
        pub bits: u32,
        pub multiply_add: unsafe fn(u64),
        pub read: unsafe fn(*const u8, u64),
    }

    /// Nothing is measured here yet.
    pub fn widths() -> Vec<Width> {
        vec![]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_of_this_machine() {
        let machine = Machine::measure(0.02);
        for (wide, narrow) in machine.multiply_adds.iter().zip(machine.multiply_adds.iter().skip(1)) {
            assert!(wide.bits > narrow.bits);
        }
        assert!(machine.multiply_adds.iter().all(|p| p.gflops > 0.1));
        assert!(machine.reads.iter().all(|r| r.gb_per_s > 0.1));
        assert_eq!(machine.gflops().is_some(), !machine.multiply_adds.is_empty());
    }

    #[test]
    fn data_are_read_from_the_nearest_level_that_holds_them() {
        let read = |level: &str, bytes, gb_per_s| Read { level: level.into(), bytes, gb_per_s };
        let reads = vec![read("L1", Some(100), 3.0), read("L2", Some(1000), 2.0), read("memory", None, 1.0)];
        let machine = Machine { processor: String::new(), threads: 1, multiply_adds: vec![], reads };
        let level = |bytes| machine.read(bytes).map(|r| r.level.as_str());
        assert_eq!([100, 101, 1001].map(level), [Some("L1"), Some("L2"), Some("memory")]);
        assert_eq!(machine.gflops(), None);
    }
}
