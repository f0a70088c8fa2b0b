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
    base::{Diagnostic, Problems},
    plan::{Isa, TargetInfo},
};

const SUPPORTED: &str = "supported are x86_64, aarch64, riscv64gc and s390x Linux, \
    x86_64 and aarch64 macOS, x86_64 Windows, and bare-metal x86_64-unknown-none, aarch64-unknown-none and \
    riscv64gc-unknown-none-elf";

/// A machine that code can be made for.
#[derive(Clone)]
pub struct Target {
    pub triple: Triple,
    /// The name of the CPU level, as `--cpu` takes it.
    pub cpu: &'static str,
    pub info: TargetInfo,
    /// What the user should know about the choice.
    pub notes: Vec<Diagnostic>,
    /// Whether functions keep their [`super::Listing`].
    pub listings: bool,
    pub(super) isa: OwnedTargetIsa,
    /// Whether floats are rounded to integers by one instruction.
    rounds: bool,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.triple, self.cpu)
    }
}

/// A CPU level: its name, what the planner takes it for, and Cranelift's flags.
struct Level {
    cpu: &'static str,
    isa: Isa,
    flags: &'static [&'static str],
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

/// The first level of an architecture is its default.
const X64: &[Level] = &[
    Level { cpu: "x86-64", isa: Isa::X64, flags: &[] },
    Level { cpu: "x86-64-v2", isa: Isa::X64, flags: &X64_V2 },
    Level { cpu: "x86-64-v3", isa: Isa::X64V3, flags: &X64_V3 },
    Level { cpu: "x86-64-v4", isa: Isa::X64V4, flags: &X64_V3 },
];
const AARCH64: &[Level] = &[Level { cpu: "generic", isa: Isa::Aarch64, flags: &[] }];
const RISCV64: &[Level] = &[
    Level { cpu: "rv64gc", isa: Isa::Riscv64, flags: &["has_zca", "has_zcd"] },
    Level { cpu: "rv64gcv", isa: Isa::Riscv64V, flags: &["has_zca", "has_zcd", "has_v", "has_zvl128b"] },
];
const S390X: &[Level] = &[
    Level { cpu: "z14", isa: Isa::S390x, flags: &[] },
    Level { cpu: "z15", isa: Isa::S390x, flags: &["has_mie3", "has_vxrs_ext2"] },
];

impl Target {
    /// The machine that `triple` and `cpu` name; without a triple the one that this program runs on, without a CPU the
    /// architecture's baseline. `native` is the CPU that this program runs on.
    pub fn new(triple: Option<&str>, cpu: Option<&str>) -> Result<Target, Problems> {
        let mut triple = match triple {
            None => Triple::host(),
            Some(text) => text.parse().map_err(|error| {
                Problems::from(Diagnostic::error(format!("`{text}` is not a target triple: {error}")).help(SUPPORTED))
            })?,
        };
        let levels = levels(&triple)?;
        if triple.binary_format == BinaryFormat::Unknown {
            triple.binary_format = BinaryFormat::Elf;
        }
        let wanted = match cpu {
            None => levels[0].cpu,
            Some("native") => native(&triple)?,
            Some(cpu) => cpu,
        };
        let level = levels.iter().find(|l| l.cpu == wanted).ok_or_else(|| {
            let known: Vec<_> = levels.iter().map(|l| l.cpu).collect();
            let message = format!("`{wanted}` is not a CPU level of {}", triple.architecture);
            Problems::from(Diagnostic::error(message).help(format!("known are {} and native", known.join(", "))))
        })?;
        let mut notes = vec![];
        if level.cpu == "x86-64-v4" {
            notes.push(Diagnostic::note("x86-64-v4 gets the code of x86-64-v3: there are no AVX-512 kernels yet"));
        }
        let isa = cranelift_isa(&triple, level.flags)?;
        let rounds = level.isa != Isa::X64 || level.flags.contains(&"has_sse41");
        Ok(Target {
            triple,
            cpu: level.cpu,
            info: TargetInfo::new(level.isa).narrow(),
            notes,
            listings: false,
            isa,
            rounds,
        })
    }

    /// Whether this program can run the code.
    pub fn runs_here(&self) -> bool {
        let host = Triple::host();
        let same =
            host.architecture == self.triple.architecture && host.operating_system == self.triple.operating_system;
        let order = |cpu: &str| X64.iter().position(|l| l.cpu == cpu).map(|n| n.min(2));
        same && match self.triple.architecture {
            Architecture::X86_64 => native(&host).is_ok_and(|best| order(self.cpu) <= order(best)),
            _ => self.cpu == levels(&host).map_or("", |l| l[0].cpu),
        }
    }

    /// Whether Cranelift's x86-64 instructions can be used.
    pub(super) fn is_x64(&self) -> bool {
        self.triple.architecture == Architecture::X86_64
    }

    /// What need not be expanded before code is made.
    pub fn machine(&self) -> Machine {
        Machine { has_fma: self.info.has_fma, has_rounding: self.rounds }
    }

    /// Cranelift's description of the machine.
    pub fn isa(&self) -> &Arc<dyn TargetIsa> {
        &self.isa
    }
}

/// The CPU levels of a supported triple.
fn levels(triple: &Triple) -> Result<&'static [Level], Problems> {
    use OperatingSystem::*;
    let refuse =
        |why: &str| Err(Diagnostic::error(format!("the target {triple} is not supported{why}")).help(SUPPORTED).into());
    let apple = matches!(triple.operating_system, Darwin(_) | MacOSX(_));
    let levels = match triple.architecture {
        Architecture::X86_64 => X64,
        Architecture::Aarch64(Aarch64Architecture::Aarch64) => AARCH64,
        Architecture::Riscv64(Riscv64Architecture::Riscv64gc) => RISCV64,
        Architecture::Riscv64(_) => return refuse(": code needs the extensions of riscv64gc"),
        Architecture::S390x => S390X,
        _ => return refuse(""),
    };
    match triple.operating_system {
        Linux => Ok(levels),
        None_ | Unknown if triple.architecture != Architecture::S390x => Ok(levels),
        _ if apple && matches!(triple.architecture, Architecture::X86_64 | Architecture::Aarch64(_)) => Ok(levels),
        Windows if triple.architecture == Architecture::X86_64 => Ok(levels),
        Windows => refuse(": only x86_64 Windows has an object format for it"),
        _ => refuse(""),
    }
}

/// The best level of the CPU that this program runs on.
fn native(triple: &Triple) -> Result<&'static str, Problems> {
    if triple.architecture != Triple::host().architecture {
        let message = format!("the CPU level `native` needs the host's architecture, not {}", triple.architecture);
        return Err(Diagnostic::error(message).into());
    }
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let v2 = has!("sse3") && has!("ssse3") && has!("sse4.1") && has!("sse4.2") && has!("popcnt");
        let v3 = v2 && has!("avx") && has!("avx2") && has!("fma") && has!("bmi1") && has!("bmi2") && has!("lzcnt");
        Ok(X64[usize::from(v2) + usize::from(v3)].cpu)
    }
    #[cfg(not(target_arch = "x86_64"))]
    levels(triple).map(|levels| levels[0].cpu)
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
        let isa = |triple, cpu| Target::new(Some(triple), Some(cpu)).unwrap().info.isa;
        assert_eq!(isa("x86_64-unknown-linux-gnu", "x86-64-v2"), Isa::X64);
        assert_eq!(isa("x86_64-unknown-linux-gnu", "x86-64-v4"), Isa::X64V4);
        assert_eq!(isa("riscv64gc-unknown-linux-gnu", "rv64gcv"), Isa::Riscv64V);
        assert!(Target::new(None, None).unwrap().runs_here());
        assert!(Target::new(None, Some("native")).unwrap().runs_here());
    }
}
