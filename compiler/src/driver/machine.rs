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
    /// Reads of data of so many bytes, ascending; none where they are not measured.
    pub reads: Vec<Read>,
}

/// Multiply-adds of f32 from registers; one counts as two operations.
#[derive(Clone, Debug, Serialize)]
pub struct Peak {
    pub bits: u32,
    pub gflops: f64,
}

/// Reading the same data again and again.
#[derive(Clone, Debug, Serialize)]
pub struct Read {
    pub bytes: u64,
    /// The nearest level that holds them: `L1`, `L2`, `L3` or `memory`.
    pub level: String,
    pub gb_per_s: f64,
}

impl Machine {
    /// Measures for about `seconds`.
    pub fn measure(seconds: f64) -> Machine {
        let caches = caches();
        let widths = loops::widths();
        // From half the nearest cache to twice the farthest, which the farthest does not hold.
        let largest = caches.last().map_or(64 << 20, |last| (2 * last).clamp(16 << 20, 256 << 20));
        let sizes: Vec<u64> = (14..).map(|n| 1 << n).take_while(|&bytes| bytes <= largest).collect();
        let each = seconds / (widths.len() + sizes.len()) as f64;
        let multiply_adds = widths.iter().map(|w| Peak { bits: w.bits, gflops: multiply_adds(w, each) }).collect();
        let level = |bytes: u64| {
            let holds = caches.iter().position(|&size| bytes <= size);
            holds.map_or("memory".to_string(), |n| format!("L{}", n + 1))
        };
        let read = |widest: &Width| {
            let memory = Memory::new(largest);
            let measure =
                |&bytes: &u64| Read { bytes, level: level(bytes), gb_per_s: memory.reading(widest, bytes, each) };
            sizes.iter().map(measure).collect()
        };
        let reads = widths.first().map_or(vec![], read);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Machine { processor: processor(), threads, multiply_adds, reads }
    }

    /// The greatest number of operations per nanosecond.
    pub fn gflops(&self) -> Option<f64> {
        self.multiply_adds.iter().map(|p| p.gflops).max_by(f64::total_cmp)
    }

    /// How fast so many bytes are read, and the level they lie in. Between two measured sizes, in between.
    pub fn read(&self, bytes: u64) -> Option<(f64, &str)> {
        let above = self.reads.iter().position(|r| bytes <= r.bytes).unwrap_or(self.reads.len());
        let upper = self.reads.get(above).or(self.reads.last())?;
        let lower = self.reads.get(above.wrapping_sub(1)).unwrap_or(upper);
        if lower.bytes >= upper.bytes {
            return Some((upper.gb_per_s, &upper.level));
        }
        let part = (bytes as f64 / lower.bytes as f64).log2() / (upper.bytes as f64 / lower.bytes as f64).log2();
        Some((lower.gb_per_s + part * (upper.gb_per_s - lower.gb_per_s), &upper.level))
    }
}

impl Machine {
    /// The processor and its extremes, in one line.
    pub fn in_short(&self) -> String {
        let peak = self.gflops().map(|peak| format!(", {peak:.1} GFLOP/s a thread"));
        let reads = self.reads.last().map(|r| format!(", {:.1} GB/s from {}", r.gb_per_s, r.level));
        format!("{}{}{}", self.processor, peak.unwrap_or_default(), reads.unwrap_or_default())
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} threads; of one thread:", self.processor, self.threads)?;
        for p in &self.multiply_adds {
            write!(f, "\n  multiply-adds of f32, {} bits: {:.1} GFLOP/s", p.bits, p.gflops)?;
        }
        for r in &self.reads {
            write!(f, "\n  reads of {} KiB, {}: {:.1} GB/s", r.bytes >> 10, r.level, r.gb_per_s)?;
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

fn multiply_adds(width: &Width, seconds: f64) -> f64 {
    const ROUNDS: u64 = 20_000;
    let work = ROUNDS * ACCUMULATORS * 2 * u64::from(width.bits / 32);
    // SAFETY: `widths` lists what this processor has.
    best(seconds, work as f64, || unsafe { (width.multiply_add)(ROUNDS) })
}

/// Memory to read, aligned to cache lines.
struct Memory(Vec<u8>);

impl Memory {
    fn new(bytes: u64) -> Memory {
        // Written once, so that every page is memory of its own.
        Memory(vec![1; bytes as usize + BLOCK])
    }

    /// Bytes per nanosecond of reading the first `bytes`, which this has, again and again.
    fn reading(&self, width: &Width, bytes: u64, seconds: f64) -> f64 {
        let blocks = bytes as usize / BLOCK;
        let start = self.0.as_ptr().wrapping_add(self.0.as_ptr().align_offset(64));
        // A run is some 20 us at least, so that the clock does not show in it.
        let passes = (2_000_000 / (blocks * BLOCK)).max(1);
        let work = (passes * blocks * BLOCK) as f64;
        // SAFETY: so many blocks lie in the memory from `start` on, and `widths` lists what this processor has.
        best(seconds, work, || (0..passes).for_each(|_| unsafe { (width.read)(start, blocks as u64) }))
    }
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

/// Bytes that one turn of a reading loop reads.
const BLOCK: usize = 512;
/// Multiply-adds of one turn of the other loop.
const ACCUMULATORS: u64 = 12;

/// Loops over registers of one width.
struct Width {
    bits: u32,
    /// So many turns of `ACCUMULATORS` multiply-adds.
    multiply_add: unsafe fn(u64),
    /// Reads so many blocks from an aligned address on.
    read: unsafe fn(*const u8, u64),
}

#[cfg(target_arch = "x86_64")]
mod loops {
    use std::arch::{asm, is_x86_feature_detected as has};

    use super::Width;

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
    use super::Width;

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
    fn reads_between_two_sizes_are_in_between() {
        let read = |bytes, level: &str, gb_per_s| Read { bytes, level: level.into(), gb_per_s };
        let reads = vec![read(100, "L1", 3.0), read(400, "L2", 2.0), read(800, "memory", 1.0)];
        let machine = Machine { processor: String::new(), threads: 1, multiply_adds: vec![], reads };
        for (bytes, expected) in
            [(0, (3.0, "L1")), (100, (3.0, "L1")), (200, (2.5, "L2")), (400, (2.0, "L2")), (9999, (1.0, "memory"))]
        {
            assert_eq!(machine.read(bytes), Some(expected), "{bytes}");
        }
        assert_eq!(Machine { reads: vec![], ..machine }.read(1), None);
    }
}
