//! Several CPU levels in one object: the best that the processor has is found and run, whatever processor it is.

use std::process::Command;

use object::{Object as _, ObjectSection, ObjectSymbol};
use smc::{
    driver::{self, Compiled, Options},
    graph::text,
    native::Target,
};
use smc_tests::{
    consumers::{Build, digits, link_c},
    programs::{have, output, root},
};

/// The program that runs every level, linked with MNIST at these levels.
struct Program {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
}

impl Program {
    fn new(cpu: Option<&'static str>) -> Program {
        let folder = tempfile::tempdir().unwrap();
        let include = format!("-I{}", root().join("tests/consumers").display());
        let source = root().join("tests/consumers/levels.c");
        let model = Build { cpu, ..Build::MNIST };
        let path = link_c("cc", &source, &[model], &["-std=c99", "-static", &include], folder.path());
        Program { _folder: folder, path }
    }
    /// The best level that it found, here or on QEMU's model of a processor.
    fn best(&self, processor: Option<&str>) -> String {
        let mut command = match processor {
            None => Command::new(&self.path),
            Some(processor) => {
                let mut qemu = Command::new("qemu-x86_64-static");
                // Without variables, because the C library reads them by instructions that it takes for granted.
                qemu.args(["-cpu", processor]).arg(&self.path).env_clear();
                qemu
            }
        };
        let printed = output(command.arg(digits()));
        printed.strip_suffix("\nok\n").unwrap_or_else(|| panic!("{printed}")).into()
    }
}

#[test]
fn every_level_of_this_machine_runs() {
    if have(&["cc"]) {
        for cpu in [None, Some("native")] {
            assert_eq!(Program::new(cpu).best(None), *Target::native_levels().last().unwrap());
        }
    }
}

/// Each property that a level asks for is missed when it is not there.
#[test]
fn a_level_is_all_of_its_properties() {
    if !cfg!(target_arch = "x86_64") || !have(&["cc", "qemu-x86_64-static"]) {
        return;
    }
    let program = Program::new(Some("x86-64,x86-64-v2,x86-64-v3,x86-64-v4"));
    assert_eq!(program.best(Some("qemu64")), "x86-64");
    assert_eq!(program.best(Some("Nehalem")), "x86-64-v2");
    assert_eq!(program.best(Some("Haswell")), "x86-64-v3");
    for lost in ["pni", "ssse3", "cx16", "sse4.1", "sse4.2", "popcnt", "lahf-lm"] {
        assert_eq!(program.best(Some(&format!("Nehalem,-{lost}"))), "x86-64", "without {lost}");
    }
    for lost in ["xsave", "avx", "fma", "f16c", "movbe", "abm", "avx2", "bmi1", "bmi2", "level=6"] {
        let without = if lost.contains('=') { format!("Haswell,{lost}") } else { format!("Haswell,-{lost}") };
        assert_eq!(program.best(Some(&without)), "x86-64-v2", "without {lost}");
    }
}

/// An object whose lowest level is above the processor's says so instead of crashing.
#[test]
fn a_processor_below_every_level_is_refused() {
    if !cfg!(target_arch = "x86_64") || !have(&["cc", "qemu-x86_64-static"]) {
        return;
    }
    let program = Program::new(Some("x86-64-v3,x86-64-v4"));
    let refused =
        Command::new("qemu-x86_64-static").args(["-cpu", "Nehalem"]).arg(&program.path).arg(digits()).output();
    let refused = String::from_utf8(refused.unwrap().stderr).unwrap();
    assert!(refused.contains("is 11, not 0"), "{refused}");
}

fn compile(graph: &str, target: &str, cpu: Option<&str>) -> Compiled {
    let graph = text::parse(graph, &Default::default()).unwrap();
    let options =
        Options { name: "m".into(), target: Some(target.into()), cpu: cpu.map(String::from), ..Options::default() };
    driver::compile_graphs(vec![("main".into(), graph)], &options).unwrap_or_else(|e| panic!("{e}"))
}

const SOFT: &str = r#"
    input "x" %x
    %x = input : f32[N,37]
    %w = const [2] : f32[]
    %one = reshape {"shape":[1,1]} %w
    %many = broadcast {"shape":["N",37]} %one
    %y = binary {"f":"mul"} %x %many
    %z = unary {"f":"exp"} %y
    output "z" %z"#;

/// Every format carries the levels: nothing undefined, a body per level, and four writable bytes.
#[test]
fn every_format_carries_the_levels() {
    for target in [
        "x86_64-unknown-linux-gnu",
        "x86_64-unknown-linux-musl",
        "x86_64-unknown-none",
        "x86_64-apple-darwin",
        "x86_64-pc-windows-msvc",
        "x86_64-pc-windows-gnu",
    ] {
        let compiled = compile(SOFT, target, None);
        let object = compiled.object.bytes();
        assert!(object == compile(SOFT, target, None).object.bytes(), "{target}: two runs differ");
        let file = object::File::parse(&object[..]).unwrap();
        assert!(!file.symbols().any(|s| s.is_undefined()), "{target}");
        let writable = file.sections().filter(|s| s.kind() == object::SectionKind::UninitializedData);
        assert_eq!(writable.map(|s| s.size()).sum::<u64>(), 4, "{target}");
        assert!(!file.sections().any(|s| s.kind() == object::SectionKind::Data && s.size() > 0), "{target}");
        let names: Vec<&str> = file.symbols().map(|s| s.name().unwrap()).collect();
        for part in ["m_cpu", "m_cpu_level", "main_run_v3", "main_run_v4"] {
            assert!(names.iter().any(|name| name.ends_with(part)), "{target}: no {part} in {names:?}");
        }
        let mut archive = vec![];
        smc::emit::archive::write("m.o", &compiled.object, &mut archive).unwrap();
        assert!(archive.len() > object.len());
        assert!(compiled.header.contains("#define M_CPU_X86_64_V4 4u"), "{}", compiled.header);
        assert!(compiled.header.contains("Needs a processor of the level x86-64."), "{}", compiled.header);
    }
}

/// One level asks nobody and keeps nothing.
#[test]
fn one_level_needs_no_choice() {
    let compiled = compile(SOFT, "x86_64-unknown-linux-gnu", Some("x86-64-v3"));
    let object = compiled.object.bytes();
    let file = object::File::parse(&object[..]).unwrap();
    assert!(file.section_by_name(".bss").is_none());
    assert!(!file.symbols().any(|s| s.name().is_ok_and(|name| name.contains("_cpu") || name.contains("_run"))));
    assert!(compiled.header.contains("for processors of the level x86-64-v3 or better"), "{}", compiled.header);
}

/// The report adds up, and code that two levels share is stored once.
#[test]
fn the_report_says_what_a_level_costs() {
    let compiled = compile(SOFT, "x86_64-unknown-linux-gnu", None);
    let levels = &compiled.report.levels;
    assert_eq!(levels.iter().map(|l| l.cpu.as_str()).collect::<Vec<_>>(), ["x86-64", "x86-64-v3", "x86-64-v4"]);
    assert!(levels.iter().all(|l| l.code_bytes > 0 && l.functions >= 2));
    assert!(levels.iter().map(|l| l.code_bytes).sum::<usize>() < compiled.report.code_bytes);
    let moves = r#"
        input "x" %x
        %x = input : i32[N,37]
        %y = transpose {"perm":[1,0]} %x
        output "y" %y"#;
    let compiled = compile(moves, "x86_64-unknown-linux-gnu", Some("x86-64,x86-64-v2"));
    let [first, second] = &compiled.report.levels[..] else { panic!("two levels") };
    assert!(first.functions > 0 && second.functions == 0, "{:?}", compiled.report.levels);
}
