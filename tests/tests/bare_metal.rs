//! The bare-metal example classifies digits on emulated machines that have no operating system.

use std::process::Command;

use smc_tests::{
    consumers::{Build, assert_recognised},
    programs::{have, output, root},
};

/// Builds the example without a C library and runs it.
fn check(architecture: &str, cpu: Option<&'static str>, machine: &[&str]) {
    let (compiler, emulator) = (format!("{architecture}-linux-gnu-gcc"), format!("qemu-system-{architecture}"));
    if !have(&[&compiler, &emulator]) {
        return;
    }
    let (target, more): (_, &[&str]) = match architecture {
        "aarch64" => ("aarch64-unknown-none-elf", &[]),
        _ => ("riscv64gc-unknown-none-elf", &["-mcmodel=medany"]),
    };
    let model = Build { target: Some(target), cpu, batch: Some(1), ..Build::MNIST };
    let folder = tempfile::tempdir().expect("a scratch directory");
    let (program, example) = (folder.path().join("mnist.elf"), root().join("examples/bare-metal"));
    let mut cc = Command::new(compiler);
    cc.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib", "-static"]).args(more);
    cc.arg("-Wl,--fatal-warnings").arg(format!("-Wa,-I{}", root().join("examples/mnist").display()));
    cc.arg("-T").arg(example.join(format!("{architecture}.ld"))).arg("-o").arg(&program);
    cc.arg(example.join(format!("start_{architecture}.S"))).arg(example.join("main.c")).arg(model.object());
    output(cc.arg("-I").arg(model.folder()));
    let mut qemu = Command::new(emulator);
    qemu.args(["-M", "virt", "-nographic", "-nic", "none"]).args(machine).arg("-kernel").arg(program);
    assert_recognised(&output(&mut qemu));
}

#[test]
fn aarch64() {
    check("aarch64", None, &["-cpu", "cortex-a53", "-semihosting"]);
}

#[test]
fn riscv64() {
    check("riscv64", None, &["-bios", "none"]);
}

#[test]
fn riscv64_with_vectors() {
    check("riscv64", Some("rv64gcv"), &["-bios", "none", "-cpu", "rv64,v=true,vlen=128"]);
}
