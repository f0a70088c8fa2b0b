#!/bin/bash
# For RISC-V, functions change a floating-point register that belongs to their caller.
#
# Version:   cranelift-codegen 0.135.8, riscv64gc, calling convention `system_v`.
# Expected:  a function that uses one of fs0 to fs11 saves it first and restores it, as the RISC-V ABI has it: the caller,
#            C code perhaps, keeps values in them across calls.
# Seen:      fs0 and fs2 to fs11 are saved. fs1 is used like them, and neither saved nor restored, so that numbers of the
#            caller change when it calls: no error tells.
# Output:    used   fs0 fs1 fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11
#            saved  fs0 fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "registers"
version = "0.0.0"
edition = "2024"

[dependencies]
cranelift-codegen = { version = "=0.135.8", default-features = false, features = ["std", "riscv64", "unwind"] }
cranelift-reader = "=0.135.8"
TOML
cat > src/main.rs <<'RUST'
use cranelift_codegen::{Context, control::ControlPlane, isa, settings};

/// A function that has 32 numbers at hand at once.
fn function() -> String {
    let loads: String = (1..=32).map(|n| format!("  v{n} = load.f64 notrap v0+{}\n", 8 * n)).collect();
    let sums: String = (1..=31).map(|n| format!("  v{} = fmul v{n}, v{}\n", 100 + n, n + 1)).collect();
    let stores: String = (1..=31).map(|n| format!("  store notrap v{}, v0+{}\n", 100 + n, 8 * n)).collect();
    format!("function %f(i64) system_v {{\nblock0(v0: i64):\n{loads}{sums}{stores}  return\n}}")
}

fn main() {
    let functions = cranelift_reader::parse_functions(&function()).expect("the text parses");
    let flags = settings::Flags::new(settings::builder());
    let isa = isa::lookup_by_name("riscv64").expect("a target").finish(flags).expect("settings");
    let mut context = Context::for_function(functions.into_iter().next().expect("one function"));
    context.set_disasm(true);
    let code = context.compile(&*isa, &mut ControlPlane::default()).expect("it compiles");
    let text = code.vcode.clone().expect("instructions");
    let names: Vec<String> = (0..12).map(|n| format!("fs{n}")).collect();
    let is_in = |line: &str, name: &str| line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == name);
    // What is stored beside the stack pointer.
    let saves = |line: &str| line.trim().starts_with("fsd") && line.contains("(sp)");
    let list = |is: &dyn Fn(&str, &str) -> bool| -> Vec<&str> {
        names.iter().map(String::as_str).filter(|name| text.lines().any(|line| is(line, name))).collect()
    };
    let used = list(&|line, name| is_in(line, name) && !saves(line));
    let saved = list(&|line, name| is_in(line, name) && saves(line));
    println!("used   {}\nsaved  {}", used.join(" "), saved.join(" "));
    let lost: Vec<_> = used.iter().filter(|name| !saved.contains(name)).collect();
    assert_eq!(lost, [&"fs1"], "the behaviour has changed");
}
RUST
cargo run --quiet 2> log || { cat log >&2; exit 1; }
