//! The machines that code is made for: from a triple and a CPU name to Cranelift's settings and the planner's facts.
//!
//! A combination is either right or refused here; nothing later has to ask.

use std::{fmt, sync::Arc};

use cranelift_codegen::{
    isa::{self, OwnedTargetIsa, TargetIsa},
    settings::{self, Configurable},
};
use target_lexicon::{Aarch64Architecture, Architecture, BinaryFormat, OperatingSystem, Riscv64Architecture, Triple};

use super::elementary::Machine;
use crate::{
    base::{
        Diagnostic, Problems,
        names::{advice, meant},
    },
    entry,
    plan::{Isa, TargetInfo},
};

const SUPPORTED: &str = "supported are x86_64, aarch64, riscv64gc and s390x Linux, \
    x86_64 and aarch64 macOS, x86_64 Windows, and bare-metal x86_64-unknown-none, aarch64-unknown-none and \
    riscv64gc-unknown-none-elf";

/// The triples that [`SUPPORTED`] speaks of, as compilers of C and Rust spell them; other spellings of the same machines are
/// taken too.
const TRIPLES: [&str; 11] = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "riscv64gc-unknown-linux-gnu",
    "s390x-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
    "x86_64-pc-windows-gnu",
    "x86_64-unknown-none",
    "aarch64-unknown-none",
    "riscv64gc-unknown-none-elf",
];

/// A triple and what `--cpu` may say for it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Known {
    pub triple: String,
    /// Ascending.
    pub cpus: Vec<&'static str>,
    /// Those that an object carries unless told otherwise.
    pub default: String,
    /// Whether this program runs on such a machine.
    pub host: bool,
}

/// Every triple that code can be made for.
pub fn known() -> Vec<Known> {
    let host = Triple::host().to_string();
    let known = |&triple: &&str| {
        let parsed = triple.parse().ok()?;
        let cpus: Vec<_> = table(&parsed).ok()?.iter().map(|row| row.cpu).collect();
        let default = if parsed.architecture == Architecture::X86_64 { X64_DEFAULT } else { cpus[0] };
        Some(Known { triple: triple.into(), default: default.into(), host: triple == host, cpus })
    };
    TRIPLES.iter().filter_map(known).collect()
}

/// A machine that code can be made for, at one or more of its levels.
#[derive(Clone)]
pub struct Target {
    pub triple: Triple,
    /// Ascending, at least one: who runs a level runs those before it. All have one byte order and one packing of the
    /// weights.
    pub levels: Vec<Level>,
    /// What the user should know about the choice.
    pub notes: Vec<Diagnostic>,
}

/// A CPU level: what the planner and the code generator know of it.
#[derive(Clone)]
pub struct Level {
    /// As `--cpu` spells it.
    pub cpu: &'static str,
    /// Which level of its architecture it is, from 1: what an io struct's `cpu` asks for.
    pub number: u32,
    pub info: TargetInfo,
    /// What tells its kernels' symbols from those of the object's lowest level.
    pub(super) suffix: &'static str,
    pub(super) isa: OwnedTargetIsa,
    /// Whether functions keep their [`super::Listing`].
    pub(super) listings: bool,
    /// Whether floats are rounded to integers by one instruction.
    rounds: bool,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.triple, self.cpu())
    }
}

/// A level of an architecture's table: its name, its mark in symbols, what the planner takes it for, and Cranelift's
/// flags.
struct Row {
    cpu: &'static str,
    suffix: &'static str,
    isa: Isa,
    flags: &'static [&'static str],
}

const fn row(cpu: &'static str, suffix: &'static str, isa: Isa, flags: &'static [&'static str]) -> Row {
    Row { cpu, suffix, isa, flags }
}

const X64_V2: [&str; 6] = ["has_cmpxchg16b", "has_popcnt", "has_sse3", "has_ssse3", "has_sse41", "has_sse42"];
const X64_V3: [&str; 12] = [
    "has_cmpxchg16b",
    "has_popcnt",
    "has_sse3",
    "has_ssse3",
    "has_sse41",
    "has_sse42",
    "has_avx",
    "has_avx2",
    "has_fma",
    "has_bmi1",
    "has_bmi2",
    "has_lzcnt",
];

/// The levels of the x86-64 psABI. Objects carry the first, the third and the fourth unless told otherwise.
const X64: &[Row] = &[
    row("x86-64", "", Isa::X64, &[]),
    row("x86-64-v2", "_v2", Isa::X64, &X64_V2),
    row("x86-64-v3", "_v3", Isa::X64V3, &X64_V3),
    row("x86-64-v4", "_v4", Isa::X64V4, &X64_V3),
];
const X64_DEFAULT: &str = "x86-64,x86-64-v3,x86-64-v4";
/// Of the other architectures, an object has one level; the first is the default.
const AARCH64: &[Row] = &[row("generic", "", Isa::Aarch64, &[])];
const RISCV64: &[Row] = &[
    row("rv64gc", "", Isa::Riscv64, &["has_zca", "has_zcd"]),
    row("rv64gcv", "", Isa::Riscv64V, &["has_zca", "has_zcd", "has_v", "has_zvl128b"]),
];
const S390X: &[Row] = &[row("z14", "", Isa::S390x, &[]), row("z15", "", Isa::S390x, &["has_mie3", "has_vxrs_ext2"])];

impl Target {
    /// The machine that `triple` names, without one that which this program runs on, at the levels that `cpu` lists
    /// between commas; `native` is the best of the CPU that this program runs on. Without a list these are x86-64,
    /// x86-64-v3 and x86-64-v4, or the baseline of another architecture.
    pub fn new(triple: Option<&str>, cpu: Option<&str>) -> Result<Target, Problems> {
        let mut triple = match triple {
            None => Triple::host(),
            Some(text) => text.parse().map_err(|error| {
                let problem = Diagnostic::error(format!("`{text}` is not a target triple: {error}"));
                Problems::from(problem.help(format!("{}{SUPPORTED}", meant(text, &TRIPLES))))
            })?,
        };
        let table = table(&triple)?;
        // `aarch64` alone reads as a machine without a system; who writes it hardly means that.
        if triple.operating_system == OperatingSystem::Unknown {
            return Err(unnamed_system(&triple));
        }
        if triple.binary_format == BinaryFormat::Unknown {
            triple.binary_format = BinaryFormat::Elf;
        }
        let chosen = choose(&triple, table, cpu)?;
        let level = |&n: &usize| {
            let Row { cpu, suffix, isa: kind, flags } = table[n];
            let isa = cranelift_isa(&triple, flags)?;
            let rounds = kind != Isa::X64 || flags.contains(&"has_sse41");
            let info = TargetInfo::new(kind);
            Ok(Level { cpu, number: n as u32 + 1, info, suffix, isa, listings: false, rounds })
        };
        let levels = chosen.iter().map(level).collect::<Result<Vec<_>, Problems>>()?;
        Ok(Target { triple, levels, notes: vec![] })
    }

    /// What entry programs know of the levels.
    pub fn entry_levels(&self) -> Vec<entry::Level> {
        self.levels.iter().map(|level| entry::Level { number: level.number, suffix: level.suffix }).collect()
    }

    /// The level that every machine must have.
    pub fn lowest(&self) -> &Level {
        &self.levels[0]
    }
    pub fn best(&self) -> &Level {
        &self.levels[self.levels.len() - 1]
    }
    /// The levels' names, as `--cpu` takes them.
    pub fn cpu(&self) -> String {
        self.levels.iter().map(|l| l.cpu).collect::<Vec<_>>().join(",")
    }
    /// Whether objects are ELF files.
    pub fn is_elf(&self) -> bool {
        self.triple.binary_format == BinaryFormat::Elf
    }
    pub fn big_endian(&self) -> bool {
        self.lowest().info.big_endian
    }
    /// Lets functions keep what they were made from.
    pub fn keep_listings(&mut self) {
        self.levels.iter_mut().for_each(|l| l.listings = true);
    }
    /// Whether this program can run the code, at one of its levels at least.
    pub fn runs_here(&self) -> bool {
        let host = Triple::host();
        let same =
            host.architecture == self.triple.architecture && host.operating_system == self.triple.operating_system;
        same && native(&host).is_ok_and(|best| self.lowest().number as usize <= best + 1)
    }
    /// The levels of the x86-64 or other machine that this program runs on that objects have by default, ascending.
    pub fn native_levels() -> Vec<&'static str> {
        let host = Triple::host();
        let Ok((table, best)) = table(&host).and_then(|table| Ok((table, native(&host)?))) else { return vec![] };
        let default = choose(&host, table, None).unwrap_or_default();
        default.into_iter().filter(|&n| n <= best).map(|n| table[n].cpu).collect()
    }
}

impl Level {
    /// Whether Cranelift's x86-64 instructions can be used.
    pub(super) fn is_x64(&self) -> bool {
        self.isa.triple().architecture == Architecture::X86_64
    }

    pub(super) fn is_riscv64(&self) -> bool {
        matches!(self.isa.triple().architecture, Architecture::Riscv64(_))
    }

    /// What need not be expanded before code is made.
    pub fn machine(&self) -> Machine {
        Machine {
            has_fma: self.info.has_fma,
            has_rounding: self.rounds,
            has_scaling: self.info.isa == Isa::X64V4,
            has_parts: self.info.isa == Isa::X64V4,
            has_tables: self.info.is_wide(),
        }
    }

    /// Cranelift's description of the machine.
    pub fn isa(&self) -> &Arc<dyn TargetIsa> {
        &self.isa
    }
}

/// The rows that a list names, ascending, each once.
fn choose(triple: &Triple, table: &[Row], list: Option<&str>) -> Result<Vec<usize>, Problems> {
    let default = if triple.architecture == Architecture::X86_64 { X64_DEFAULT } else { table[0].cpu };
    let known: Vec<&str> = table.iter().map(|l| l.cpu).collect();
    let mut chosen = vec![];
    for name in list.unwrap_or(default).split(',').map(str::trim) {
        let row = match name {
            "native" => Some(native(triple)?),
            name => table.iter().position(|l| l.cpu == name),
        };
        chosen.push(row.ok_or_else(|| {
            let message = format!("`{name}` is not a CPU level of {}", triple.architecture);
            let names = [&known[..], &["native"]].concat();
            Problems::from(Diagnostic::error(message).help(advice(name, "CPU levels", &names)))
        })?);
    }
    chosen.sort();
    chosen.dedup();
    if chosen.len() > 1 && triple.architecture != Architecture::X86_64 {
        let message = format!("an object for {} holds the code of one CPU level", triple.architecture);
        return Err(Diagnostic::error(message).help(format!("give one of {}", known.join(", "))).into());
    }
    Ok(chosen)
}

/// The CPU levels of a supported triple.
fn table(triple: &Triple) -> Result<&'static [Row], Problems> {
    use OperatingSystem::*;
    let refuse =
        |why: &str| Err(Diagnostic::error(format!("the target {triple} is not supported{why}")).help(SUPPORTED).into());
    let apple = matches!(triple.operating_system, Darwin(_) | MacOSX(_));
    let table = match triple.architecture {
        Architecture::X86_64 => X64,
        Architecture::Aarch64(Aarch64Architecture::Aarch64) => AARCH64,
        Architecture::Riscv64(Riscv64Architecture::Riscv64gc) => RISCV64,
        Architecture::Riscv64(_) => return refuse(": code needs the extensions of riscv64gc"),
        Architecture::S390x => S390X,
        _ => return refuse(""),
    };
    match triple.operating_system {
        Linux => Ok(table),
        None_ | Unknown if triple.architecture != Architecture::S390x => Ok(table),
        _ if apple && matches!(triple.architecture, Architecture::X86_64 | Architecture::Aarch64(_)) => Ok(table),
        Windows if triple.architecture == Architecture::X86_64 => Ok(table),
        Windows => refuse(": only x86_64 Windows has an object format for it"),
        _ => refuse(""),
    }
}

/// A triple that names no operating system, and those of its architecture that do.
fn unnamed_system(triple: &Triple) -> Problems {
    let architecture = triple.architecture.to_string();
    let alike = |known: &&&str| known.starts_with(&format!("{architecture}-"));
    let alike: Vec<String> = TRIPLES.iter().filter(alike).map(|known| format!("`{known}`")).collect();
    let problem = Diagnostic::error(format!("the target {triple} names no operating system"));
    problem.help(format!("write {}: `-none-` is a machine without one", alike.join(" or "))).into()
}

/// The best row of the table for the CPU that this program runs on.
fn native(triple: &Triple) -> Result<usize, Problems> {
    if triple.architecture != Triple::host().architecture {
        let message = format!("the CPU level `native` needs the host's architecture, not {}", triple.architecture);
        return Err(Diagnostic::error(message).into());
    }
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let v2 = has!("sse3") && has!("ssse3") && has!("sse4.1") && has!("sse4.2") && has!("popcnt");
        let v2 = v2 && has!("cmpxchg16b");
        let v3 = v2 && has!("avx") && has!("avx2") && has!("fma") && has!("f16c") && has!("movbe");
        let v3 = v3 && has!("bmi1") && has!("bmi2") && has!("lzcnt");
        let v4 = v3 && has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl");
        Ok(usize::from(v2) + usize::from(v3) + usize::from(v4))
    }
    #[cfg(not(target_arch = "x86_64"))]
    Ok(0)
}

/// Kernels come scheduled, hence no optimisation; every reference stays inside the object, hence no tables of addresses.
fn cranelift_isa(triple: &Triple, flags: &[&str]) -> Result<OwnedTargetIsa, Problems> {
    let ours = |error: &dyn fmt::Display| {
        Problems::from(Diagnostic::error(format!("no code can be made for {triple}: {error}")).help(SUPPORTED))
    };
    let mut shared = settings::builder();
    for (name, value) in [
        ("opt_level", "none"),
        ("is_pic", "false"),
        ("enable_probestack", "false"),
        ("preserve_frame_pointers", "true"),
        ("log2_min_function_alignment", "5"),
        ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
    ] {
        shared.set(name, value).map_err(|e| ours(&e))?;
    }
    let mut builder = isa::lookup(triple.clone()).map_err(|e| ours(&e))?;
    for flag in flags {
        builder.enable(flag).map_err(|e| ours(&e))?;
    }
    builder.finish(settings::Flags::new(shared)).map_err(|e| ours(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_triple_is_right_or_refused() {
        for triple in [
            "x86_64-unknown-linux-gnu",
            "x86_64-unknown-linux-musl",
            "aarch64-unknown-linux-gnu",
            "riscv64gc-unknown-linux-gnu",
            "s390x-unknown-linux-gnu",
            "aarch64-unknown-none",
            "aarch64-unknown-none-elf",
            "riscv64gc-unknown-none-elf",
            "x86_64-unknown-none",
            "x86_64-apple-darwin",
            "aarch64-apple-darwin",
            "x86_64-pc-windows-gnu",
            "x86_64-pc-windows-msvc",
        ] {
            let target = Target::new(Some(triple), None).unwrap();
            assert_ne!(target.triple.binary_format, BinaryFormat::Unknown, "{triple}");
        }
        for triple in [
            "i686-unknown-linux-gnu",
            "aarch64-pc-windows-msvc",
            "riscv64imac-unknown-none-elf",
            "wasm32-unknown-unknown",
            "armv7-unknown-linux-gnueabihf",
            "thumbv7em-none-eabihf",
            "riscv32imac-unknown-none-elf",
            "aarch64_be-unknown-linux-gnu",
            "s390x-unknown-none",
            "powerpc64le-unknown-linux-gnu",
        ] {
            let refused = Target::new(Some(triple), None).unwrap_err();
            assert!(refused.to_string().contains("not supported"), "{triple}: {refused}");
        }
        assert!(Target::new(Some("what"), None).unwrap_err().to_string().contains("not a target triple"));
        assert!(
            Target::new(Some("aarch64-unknown-none"), Some("haswell")).unwrap_err().to_string().contains("generic")
        );
    }

    #[test]
    fn levels_differ() {
        let isa = |triple, cpu| Target::new(Some(triple), Some(cpu)).unwrap().lowest().info.isa;
        assert_eq!(isa("x86_64-unknown-linux-gnu", "x86-64-v2"), Isa::X64);
        assert_eq!(isa("x86_64-unknown-linux-gnu", "x86-64-v4"), Isa::X64V4);
        assert_eq!(isa("riscv64gc-unknown-linux-gnu", "rv64gcv"), Isa::Riscv64V);
        assert!(Target::new(None, None).unwrap().runs_here());
        assert!(Target::new(None, Some("native")).unwrap().runs_here());
    }

    #[test]
    fn a_list_gives_levels_in_order() {
        let cpu = |triple, list| Target::new(Some(triple), list).map(|t| t.cpu());
        for triple in ["x86_64-unknown-linux-gnu", "x86_64-unknown-none", "x86_64-pc-windows-msvc"] {
            assert_eq!(cpu(triple, None).unwrap(), X64_DEFAULT);
            assert_eq!(cpu(triple, Some("x86-64-v4, x86-64,x86-64-v4")).unwrap(), "x86-64,x86-64-v4");
        }
        assert_eq!(cpu("riscv64gc-unknown-linux-gnu", None).unwrap(), "rv64gc");
        let two = cpu("riscv64gc-unknown-linux-gnu", Some("rv64gcv,rv64gc")).unwrap_err();
        assert!(two.to_string().contains("one CPU level"), "{two}");
        assert!(cpu("x86_64-unknown-linux-gnu", Some("x86-64,")).unwrap_err().to_string().contains("x86-64-v2"));
    }

    /// What an object's levels share: the driver lays the weights out once.
    #[test]
    fn levels_of_one_object_share_order_and_packing() {
        let target = Target::new(Some("x86_64-unknown-linux-gnu"), None).unwrap();
        let shared = |l: &Level| (l.info.big_endian, l.info.panel);
        assert!(target.levels.iter().all(|l| shared(l) == shared(target.lowest())));
    }
}

#[test]
fn every_known_target_is_supported() {
    let known = known();
    assert_eq!(known.len(), TRIPLES.len());
    for target in &known {
        for cpu in target.cpus.iter().copied().chain([&target.default[..]]) {
            Target::new(Some(&target.triple), Some(cpu)).unwrap_or_else(|e| panic!("{} {cpu}: {e}", target.triple));
        }
    }
}
