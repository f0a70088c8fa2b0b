//! Several CPU levels in one object: the best that the processor has is found and run, whatever processor it is.

use std::process::Command;

use smc::native::Target;
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
