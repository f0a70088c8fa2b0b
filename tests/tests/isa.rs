//! Every instruction set: all of them compile every kernel without a library call, and those that QEMU runs here give
//! the interpreter's results.

use object::{Object as _, ObjectSection, ObjectSymbol, SectionKind};
use smc::{
    entry::{Entry, Reach},
    loops::random::{self, Case, Options},
    native::{self, Target},
};
use smc_tests::{forms, kernels, programs::not_run, qemu};

/// Every target that differs in code or format.
const TARGETS: [(&str, &str); 13] = [
    ("x86_64-unknown-linux-gnu", "x86-64"),
    ("x86_64-unknown-linux-gnu", "x86-64-v2"),
    ("x86_64-unknown-linux-gnu", "x86-64-v3"),
    ("aarch64-unknown-linux-gnu", "generic"),
    ("riscv64gc-unknown-linux-gnu", "rv64gc"),
    ("riscv64gc-unknown-linux-gnu", "rv64gcv"),
    ("s390x-unknown-linux-gnu", "z14"),
    ("s390x-unknown-linux-gnu", "z15"),
    ("aarch64-unknown-none-elf", "generic"),
    ("riscv64gc-unknown-none-elf", "rv64gc"),
    ("x86_64-unknown-none", "x86-64"),
    ("aarch64-apple-darwin", "generic"),
    ("x86_64-pc-windows-msvc", "x86-64"),
];

fn cases(seeds: std::ops::Range<u64>, options: Options) -> Vec<Case> {
    seeds.map(|seed| random::case(seed, options)).collect()
}

/// A library call or an undefined reference panics while the object is made; this reads it again.
#[test]
fn every_target_compiles_every_kernel() {
    let random = cases(1000..1060, Options { size: 12, exact: true });
    let forms: Vec<Case> = forms::all().into_iter().map(|f| f.case).collect();
    for (n, (triple, cpu)) in TARGETS.into_iter().enumerate() {
        let target = Target::new(Some(triple), Some(cpu)).unwrap();
        let bytes = kernels::object(&target, "m", &random).bytes();
        let again = kernels::object(&target, "m", &random).bytes();
        assert!(bytes == again, "{triple} {cpu}: two runs differ");
        // The last ones differ in the format alone.
        let bytes = if n < 7 { kernels::object(&target, "m", &forms).bytes() } else { bytes };
        let file = object::File::parse(&bytes[..]).unwrap();
        let undefined: Vec<_> = file.symbols().filter(|s| s.is_undefined()).map(|s| s.name().unwrap()).collect();
        assert!(undefined.is_empty(), "{triple} {cpu}: {undefined:?}");
        let writable = |s: &object::Section<'_, '_>| {
            matches!(s.kind(), SectionKind::Data | SectionKind::UninitializedData) && s.size() > 0
        };
        assert!(!file.sections().any(|s| writable(&s)), "{triple} has writable data");
    }
}

/// The wide levels make their kernels themselves, but for a rare operation.
#[test]
fn wide_levels_decline_few_kernels() {
    let mut all = cases(3000..3200, Options { size: 12, exact: true });
    all.extend(forms::all().into_iter().map(|f| f.case));
    for cpu in ["x86-64-v3", "x86-64-v4"] {
        let target = Target::new(Some("x86_64-unknown-linux-gnu"), Some(cpu)).unwrap();
        let declined = kernels::declined(&target, &all);
        let some: Vec<_> = declined.iter().take(9).collect();
        assert!(declined.len() * 100 <= all.len(), "{cpu} declines {} of {}: {some:?}", declined.len(), all.len());
    }
}

/// The forms and some random kernels on the machines that QEMU has.
#[test]
fn other_machines_agree_with_the_interpreter() {
    let mut all = forms::all();
    all.extend((2000..2100).map(qemu::random_form));
    let directory = tempfile::tempdir().unwrap();
    let mut failures = vec![];
    for machine in &qemu::MACHINES {
        if let Some(missing) = [machine.gcc, machine.qemu[0]].into_iter().find(|p| !qemu::installed(p)) {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing} is not installed");
            not_run(&format!("kernels on {} {}: {missing} is not installed", machine.triple, machine.cpu));
            continue;
        }
        if let Err(why) = machine.check(&all, directory.path()) {
            failures.push(why);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The innermost loop of a matrix product keeps its tile in registers.
#[test]
fn a_register_tile_is_not_spilled() {
    for (triple, cpu, rows, columns, multiply) in [
        ("x86_64-unknown-linux-gnu", "x86-64", 4, 8, "mulps"),
        ("x86_64-unknown-linux-gnu", "x86-64-v3", 6, 16, "vfmadd"),
        ("x86_64-unknown-linux-gnu", "x86-64-v4", 6, 64, "vfmadd"),
        ("x86_64-pc-windows-msvc", "x86-64-v4", 6, 64, "vfmadd"),
        ("aarch64-unknown-linux-gnu", "generic", 6, 16, "fmla"),
        ("riscv64gc-unknown-linux-gnu", "rv64gc", 3, 4, "fmadd.s"),
        ("riscv64gc-unknown-linux-gnu", "rv64gcv", 6, 16, "vfmacc"),
        ("s390x-unknown-linux-gnu", "z14", 4, 16, "vfmasb"),
    ] {
        let mut target = Target::new(Some(triple), Some(cpu)).unwrap();
        target.keep_listings();
        let form = forms::gemm(smc::tensor::DType::F32, rows, columns);
        let mut weights = Default::default();
        let bodies = smc::plan::Bodies { open: vec![kernels::program(&form.case, &mut weights)], equal: None };
        let entry = Entry { c_name: "run", aliases: &[], bodies: &bodies };
        let compiled = native::compile(&target, "m", &[entry], &weights, Reach::Near, None).unwrap();
        let listing = compiled.functions[0].code.listing.as_ref().unwrap();
        let blocks: Vec<&str> = listing.asm.split("\nb").collect();
        let hot = blocks.iter().max_by_key(|b| b.matches(multiply).count()).unwrap();
        let vectors = (rows * columns) as usize / target.best().info.lanes(4);
        assert!(hot.matches(multiply).count() >= vectors, "{triple} {cpu}: no vectors in\n{hot}");
        let stack = ["%rsp", "%rbp", "sp", "slot", "%r15)"];
        let spills = hot.lines().filter(|line| stack.iter().any(|s| line.contains(s))).count();
        assert_eq!(spills, 0, "{triple} {cpu}\n{hot}");
    }
}
