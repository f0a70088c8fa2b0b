#!/bin/bash
# Without AVX, a comparison of float lanes reads an operand from memory that the program did not call aligned.
#
# Version:   cranelift-codegen 0.135.8, for x86-64 with its default settings (SSE2).
# Expected:  a vector that is loaded without the flag `aligned` passes a register (`movups`) before an operation whose
#            operand in memory has to be aligned to 16 bytes, as it does for additions.
# Seen:      `fcmp` of such lanes becomes `cmpps` with the operand in memory. Code that compares what lies at any other
#            address is stopped by the processor, which is found when the data happen to lie so. Loading integers and
#            casting their bits is a way round.
# Output:    addition    addps %xmm5, %xmm4
#            comparison  cmpltps (%rdi), %xmm3
#            of bits     cmpltps %xmm6, %xmm3
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "lanes"
version = "0.0.0"
edition = "2024"

[dependencies]
cranelift-codegen = { version = "=0.135.8", default-features = false, features = ["std", "x86", "unwind"] }
cranelift-reader = "=0.135.8"
TOML
cat > src/main.rs <<'RUST'
use cranelift_codegen::{Context, control::ControlPlane, isa, settings};

/// The instructions of a function that reads four floats at its argument and does this with them.
fn lower(work: &str) -> String {
    let text = format!(
        "function %f(i64, i64) system_v {{\nconst0 = 0x00000000000000000000000000000000\n\
         block0(v0: i64, v1: i64):\n  v2 = vconst.f32x4 const0\n{work}\n  store notrap v9, v1\n  return\n}}"
    );
    let functions = cranelift_reader::parse_functions(&text).expect("the text parses");
    let flags = settings::Flags::new(settings::builder());
    let isa = isa::lookup_by_name("x86_64").expect("a target").finish(flags).expect("settings");
    let mut context = Context::for_function(functions.into_iter().next().expect("one function"));
    context.set_disasm(true);
    let code = context.compile(&*isa, &mut ControlPlane::default()).expect("it compiles");
    code.vcode.clone().expect("instructions")
}

fn main() {
    let cases = [
        ("addition", "  v3 = load.f32x4 notrap v0\n  v9 = fadd v2, v3", "addps"),
        ("comparison", "  v3 = load.f32x4 notrap v0\n  v9 = fcmp gt v3, v2", "cmpltps"),
        ("of bits", "  v3 = load.i32x4 notrap v0\n  v4 = bitcast.f32x4 little v3\n  v9 = fcmp gt v4, v2", "cmpltps"),
    ];
    let in_memory = cases.map(|(name, work, instruction)| {
        let text = lower(work);
        let line = text.lines().find(|line| line.contains(instruction)).expect("the instruction").trim().to_string();
        println!("{name:11} {line}");
        line.contains("(%rdi)")
    });
    assert_eq!(in_memory, [false, true, false], "the behaviour has changed");
}
RUST
cargo run --quiet 2> log || { cat log >&2; exit 1; }
