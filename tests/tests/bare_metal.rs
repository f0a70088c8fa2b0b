//! The bare-metal example classifies digits on emulated machines that have no operating system.

use std::process::Command;

use smc_tests::{
    consumers::{Build, assert_recognised},
    programs::{have, output, root},
};

/// Builds the example without a C library and runs it.
fn check(architecture: &str, compiler: &str, more: &[&str], emulator: &str, machine: &[&str]) {
    if !have(&[compiler, emulator]) {
        return;
    }
    let target = match architecture {
        "aarch64" => "aarch64-unknown-none-elf",
        _ => "riscv64gc-unknown-none-elf",
    };
    let model = Build { target: Some(target), batch: Some(1), ..Build::MNIST };
    let folder = tempfile::tempdir().expect("a scratch directory");
    let (program, example) = (folder.path().join("mnist.elf"), root().join("examples/bare-metal"));
    let mut cc = Command::new(compiler);
    cc.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib", "-static"]).args(more);
    cc.arg("-I").arg(model.folder()).arg(format!("-Wa,-I{}", root().join("examples/mnist").display()));
    cc.arg("-T").arg(example.join(format!("{architecture}.ld"))).arg("-o").arg(&program);
    cc.arg(example.join(format!("start_{architecture}.S"))).arg(example.join("main.c")).arg(model.object());
    output(&mut cc);
    let mut qemu = Command::new(emulator);
    qemu.args(machine).args(["-nographic", "-nic", "none", "-kernel"]).arg(program);
    assert_recognised(&output(&mut qemu));
}

#[test]
fn aarch64() {
    let machine = ["-M", "virt", "-cpu", "cortex-a53", "-semihosting"];
    check("aarch64", "aarch64-linux-gnu-gcc", &[], "qemu-system-aarch64", &machine);
}

#[test]
fn riscv64() {
    let machine = ["-M", "virt", "-bios", "none"];
    check("riscv64", "riscv64-linux-gnu-gcc", &["-mcmodel=medany"], "qemu-system-riscv64", &machine);
}
