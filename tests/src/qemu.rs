//! C programs that run compiled kernels on other instruction sets: data and expected results are compiled in, so one
//! program checks any number of kernels.

use std::{fmt::Write as _, path::Path, process::Command};

use smc::{loops::random::Case, native::Target, tensor::DType};

use crate::{forms::Form, kernels};

/// A machine that QEMU runs in user mode.
pub struct Machine {
    pub triple: &'static str,
    pub cpu: &'static str,
    pub gcc: &'static str,
    pub qemu: &'static [&'static str],
}

pub const MACHINES: [Machine; 4] = [
    Machine {
        triple: "aarch64-unknown-linux-gnu",
        cpu: "generic",
        gcc: "aarch64-linux-gnu-gcc",
        qemu: &["qemu-aarch64-static"],
    },
    Machine {
        triple: "riscv64gc-unknown-linux-gnu",
        cpu: "rv64gc",
        gcc: "riscv64-linux-gnu-gcc",
        qemu: &["qemu-riscv64-static"],
    },
    Machine {
        triple: "riscv64gc-unknown-linux-gnu",
        cpu: "rv64gcv",
        gcc: "riscv64-linux-gnu-gcc",
        qemu: &["qemu-riscv64-static", "-cpu", "rv64,v=true,vlen=128"],
    },
    Machine {
        triple: "s390x-unknown-linux-gnu",
        cpu: "z14",
        gcc: "s390x-linux-gnu-gcc",
        qemu: &["qemu-s390x-static", "-cpu", "max"],
    },
];

/// Whether a program can be started.
pub fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success())
}

impl Machine {
    /// Compiles the forms for the machine, links them with a program that runs them, and runs it. The output names the
    /// forms that disagree.
    pub fn check(&self, forms: &[Form], directory: &Path) -> Result<(), String> {
        let target = Target::new(Some(self.triple), Some(self.cpu)).map_err(|p| p.to_string())?;
        let cases: Vec<Case> = forms.iter().map(|f| f.case.clone()).collect();
        let stem = directory.join(format!("{}_{}", self.gcc, self.cpu));
        let (object, source, program) =
            (stem.with_extension("o"), stem.with_extension("c"), stem.with_extension("elf"));
        std::fs::write(&object, kernels::object(&target, "m", &cases).bytes()).map_err(|e| e.to_string())?;
        std::fs::write(&source, driver(forms)).map_err(|e| e.to_string())?;
        let mut gcc = Command::new(self.gcc);
        gcc.args(["-static", "-O0", "-w", "-o"]).arg(&program).arg(&source).arg(&object).arg("-lm");
        run(gcc)?;
        let mut qemu = Command::new(self.qemu[0]);
        qemu.args(&self.qemu[1..]).arg(&program);
        run(qemu)
    }
}

fn run(mut command: Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Err(format!("{command:?}: {}\n{}", output.status, text.lines().take(60).collect::<Vec<_>>().join("\n")))
}

/// Compares elements by their bits: integers are equal, floats near enough or both NaN.
const COMPARE: &str = r#"
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static double f16(uint64_t b) {
    int e = (b >> 10) & 31, m = b & 1023;
    double x = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return b >> 15 ? -x : x;
}
static double number(char kind, uint64_t b) {
    if (kind == 'd') { double x; memcpy(&x, &b, 8); return x; }
    if (kind == 'h') return f16(b);
    uint32_t w = kind == 'b' ? (uint32_t)b << 16 : (uint32_t)b;
    float x;
    memcpy(&x, &w, 4);
    return x;
}
static int same(char kind, uint64_t a, uint64_t b, double tolerance) {
    if (a == b) return 1;
    if (kind == 'i') return 0;
    double x = number(kind, a), y = number(kind, b);
    if (isnan(x) && isnan(y)) return 1;
    double scale = fmax(fmax(fabs(x), fabs(y)), 1);
    return tolerance > 0 && fabs(x - y) <= tolerance * scale;
}
static int failures;
#define COMPARE(name, type, kind, got, want, count, tolerance) \
    for (long i = 0; i < (count); i++) \
        if (!same(kind, ((type *)(got))[i], ((type *)(want))[i], tolerance)) { \
            if (failures++ < 50) printf("%s: %s[%ld] is %llx, expected %llx\n", name, #got, i, \
                (unsigned long long)((type *)(got))[i], (unsigned long long)((type *)(want))[i]); \
            break; \
        }
"#;

/// A C program that runs the forms of an object made by [`kernels::object`] under the name `m`.
pub fn driver(forms: &[Form]) -> String {
    let mut c = String::from(COMPARE);
    let mut calls = String::new();
    for (n, form) in forms.iter().enumerate() {
        case(n, form, &mut c, &mut calls);
    }
    format!("{c}int main(void) {{\n{calls}    printf(\"%d failures\\n\", failures);\n    return failures != 0;\n}}\n")
}

/// The integer type and the kind of an element.
fn c_type(dtype: DType) -> (&'static str, char) {
    let kind = match dtype {
        DType::F16 => 'h',
        DType::BF16 => 'b',
        DType::F32 => 'f',
        DType::F64 => 'd',
        _ => 'i',
    };
    (["uint8_t", "uint16_t", "uint32_t", "uint64_t"][dtype.size().trailing_zeros() as usize], kind)
}

fn case(n: usize, form: &Form, c: &mut String, calls: &mut String) {
    let Form { case, tolerance } = form;
    let expected = kernels::interpret(case);
    let name = &case.kernel.name;
    let mut io = vec![];
    let program = kernels::program(case, &mut Default::default());
    for port in program.inputs.iter().chain(&program.outputs) {
        io.push(format!("(uint64_t)(uintptr_t)c{n}_{}", port.name));
    }
    io.extend(case.bind.values().map(|v| v.to_string()));
    // No threads, any CPU level.
    io.extend(["0".into(), "0".into()]);
    let mut compare = String::new();
    for (id, buffer) in case.kernel.buffers.iter() {
        let (ty, kind) = c_type(buffer.dtype);
        let array = |bytes: &[u8]| {
            let values = bytes.chunks(buffer.dtype.size()).map(|e| {
                let mut wide = [0; 8];
                wide[..e.len()].copy_from_slice(e);
                format!("{:#x}{},", u64::from_le_bytes(wide), if e.len() == 8 { "ull" } else { "u" })
            });
            values.collect::<String>()
        };
        let b = format!("c{n}_b{}", id.index());
        let bytes = &case.buffers[id.index()];
        let count = bytes.len() / buffer.dtype.size();
        let _ = writeln!(c, "static {ty} {b}[{}] = {{{}}};", count + 1, array(bytes));
        if let (true, Ok(expected)) = (buffer.written, &expected) {
            let _ = writeln!(c, "static const {ty} {b}_want[] = {{{}0}};", array(&expected[id.index()]));
            let _ =
                writeln!(compare, "        COMPARE(\"{name}\", {ty}, '{kind}', {b}, {b}_want, {count}, {tolerance:e})");
        }
    }
    let status = expected.err().unwrap_or(0);
    let _ = writeln!(c, "extern int m_run{n}(const void *, void *, uint64_t);");
    let _ = writeln!(calls, "    {{\n        const uint64_t io[] = {{{}}};", io.join(", "));
    let _ = writeln!(calls, "        int status = m_run{n}(io, 0, 0);");
    let _ = writeln!(
        calls,
        "        if (status != {status}) failures++, printf(\"{name}: status %d, expected {status}\\n\", status);"
    );
    let _ = writeln!(calls, "        else if (!status) {{\n{compare}        }}\n    }}");
}

/// The case of a random kernel, exact unless a multiply-add may differ.
pub fn random_form(seed: u64) -> Form {
    let case = smc::loops::random::case(seed, smc::loops::random::Options { size: 10, exact: true });
    let tolerance = if kernels::sums_products(&case) { 1e-2 } else { 0.0 };
    Form { case, tolerance }
}
