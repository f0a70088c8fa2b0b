//! The bare-metal example classifies digits, and learns, on emulated machines that have no operating system.

use std::process::Command;

use smc_tests::{
    consumers::{Build, assert_recognised},
    programs::{have, output, root},
};

/// Builds one of the example's programs without a C library and runs it; what it prints, if the tools are there.
fn run(source: &str, model: Build, architecture: &str, cpu: Option<&'static str>, machine: &[&str]) -> Option<String> {
    let (compiler, emulator) = (format!("{architecture}-linux-gnu-gcc"), format!("qemu-system-{architecture}"));
    if !have(&[&compiler, &emulator]) {
        return None;
    }
    let (target, more): (_, &[&str]) = match architecture {
        "aarch64" => ("aarch64-unknown-none-elf", &[]),
        _ => ("riscv64gc-unknown-none-elf", &["-mcmodel=medany"]),
    };
    let model = Build { target: Some(target), cpu, batch: Some(1), ..model };
    let folder = tempfile::tempdir().expect("a scratch directory");
    let (program, example) = (folder.path().join("program.elf"), root().join("examples/bare-metal"));
    let mut cc = Command::new(compiler);
    cc.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib", "-static"]).args(more);
    cc.arg("-Wl,--fatal-warnings").arg(format!("-Wa,-I{}", root().join("examples/mnist").display()));
    cc.arg("-T").arg(example.join(format!("{architecture}.ld"))).arg("-o").arg(&program);
    cc.arg(example.join(format!("start_{architecture}.S"))).args(["board.c", source].map(|file| example.join(file)));
    output(cc.arg(model.object()).arg("-I").arg(model.folder()));
    let mut qemu = Command::new(emulator);
    qemu.args(["-M", "virt", "-nographic", "-nic", "none"]).args(machine).arg("-kernel").arg(program);
    Some(output(&mut qemu))
}

fn check(architecture: &str, cpu: Option<&'static str>, machine: &[&str]) {
    if let Some(printed) = run("main.c", Build::MNIST, architecture, cpu, machine) {
        assert_recognised(&printed);
    }
}

/// A head of two units learns from twenty digits which are even, in less than four kilobytes beside the image.
fn check_learning(architecture: &str, machine: &[&str]) {
    let model = Build { name: "learn", head: Some((2, "dense_1")), ..Build::MNIST };
    let Some(printed) = run("learn.c", model, architecture, None, machine) else { return };
    let number = |line: &str| line.split([' ', ':']).find_map(|word| word.parse::<usize>().ok()).expect("a number");
    let lines: Vec<&str> = printed.lines().collect();
    let [before, after, ram] = lines[..] else { panic!("{printed}") };
    assert!(number(before) < number(after) && number(after) == 20, "{printed}");
    assert!(
        ram.starts_with("RAM: ")
            && ram.split(' ').filter_map(|word| word.parse::<usize>().ok()).take(2).sum::<usize>() < 4096,
        "{printed}"
    );
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

#[test]
fn aarch64_learns() {
    check_learning("aarch64", &["-cpu", "cortex-a53", "-semihosting"]);
}

#[test]
fn riscv64_learns() {
    check_learning("riscv64", &["-bios", "none"]);
}
