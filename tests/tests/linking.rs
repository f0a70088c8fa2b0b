//! Objects under the system's linker: every kind of program takes them, without warnings and without relocations of
//! code; debuggers and unwinders see through them; threads share the work.

use std::{path::Path, process::Command};

use object::{Object as _, ObjectSection, ObjectSymbol, SymbolKind};
use smc::{
    driver::{self, Executable, Options},
    entry::Reach,
    graph::Graph,
    loops::BinaryFn,
    native::Target,
    op::Binary,
    tensor::{DType, Scalar, Tensor, TensorType},
};
use smc_tests::{
    forms::{self, Form},
    kernels, qemu,
};

fn forms_to_link() -> Vec<Form> {
    let wanted = ["strides", "gather", "gemm_4x8_f32", "rows_f64", "Max_f32", "reduce_Add_f32"];
    let forms: Vec<Form> = forms::all().into_iter().filter(|f| wanted.contains(&&*f.case.kernel.name)).collect();
    assert_eq!(forms.len(), wanted.len());
    forms
}

fn object_of(forms: &[Form]) -> Vec<u8> {
    let cases: Vec<_> = forms.iter().map(|f| f.case.clone()).collect();
    kernels::object(&Target::new(None, None).unwrap(), "m", &cases).bytes()
}

/// The weights of large models are far away: with small ones, every kind of program links the same code.
#[test]
fn weights_far_away_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let forms = forms_to_link();
    let cases: Vec<_> = forms.iter().map(|f| f.case.clone()).collect();
    let object = kernels::object_reaching(&Target::new(None, None).unwrap(), "m", &cases, Reach::Far);
    std::fs::write(at.join("m.o"), object.bytes()).unwrap();
    std::fs::write(at.join("main.c"), qemu::driver(&forms)).unwrap();
    let strict = ["-Wl,--fatal-warnings", "-Wl,-z,text", "-w"];
    for kind in [&["-pie", "-fPIE"][..], &["-no-pie"], &["-static-pie", "-fPIE"]] {
        run(at, "cc", &[kind, &strict, &["main.c", "m.o", "-lm", "-o", "program"]].concat());
        assert!(run(at, "./program", &[]).contains("0 failures"));
    }
    let sections = run(at, "readelf", &["-SW", "m.o"]);
    assert!(!cfg!(target_arch = "x86_64") || sections.contains(".lrodata"), "{sections}");
}

/// What an object keeps for itself has other names than what a caller sees, whatever the signatures are called.
#[test]
fn signatures_may_be_called_like_what_an_object_keeps() {
    let ty: TensorType = "f32[64]".parse().unwrap();
    let graph = || {
        let mut graph = Graph::default();
        let x = graph.input("x", ty.clone());
        let w = graph.constant(Tensor::from_scalars(DType::F32, [64], (0..64).map(|n| Scalar::F32(n as f32))));
        // Its kernel is named after the node.
        graph.set_origin(Some("weights".into()));
        let y = graph.add(Binary { f: BinaryFn::Mul }, &[x, w]).unwrap();
        graph.output("y", y);
        graph
    };
    let own = ["weights", "cpu", "cpu_level", "bound_weights", "weights_fingerprint", "share", "part"];
    for weights_apart in [false, true] {
        let options = Options { name: "m".into(), weights_apart, ..Options::default() };
        let graphs = own.iter().map(|key| (key.to_string(), graph())).collect();
        let compiled = driver::compile_graphs(graphs, &options).unwrap_or_else(|problems| panic!("{problems}"));
        let bytes = compiled.object.bytes();
        let file = object::File::parse(&*bytes).unwrap();
        for key in own {
            let named = |s: &object::Symbol<'_, '_>| s.is_global() && s.name() == Ok(&format!("m_{key}")[..]);
            let symbol = file.symbols().find(named).unwrap_or_else(|| panic!("`m_{key}` is not exported"));
            assert_eq!(symbol.kind(), SymbolKind::Text, "{key}");
        }
        if !weights_apart {
            let executable = Executable::new(&bytes, compiled.interface.clone()).unwrap_or_else(|e| panic!("{e}"));
            let ones = Tensor::from_scalars(DType::F32, [64], vec![Scalar::F32(1.0); 64]);
            let mut call = executable.prepare(0, &[ones]).unwrap_or_else(|e| panic!("{e}"));
            call.run(None).unwrap();
            assert_eq!(call.results()[0].get(63), Scalar::F32(63.0));
        }
    }
}

fn run(directory: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(directory).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {}\n{text}", output.status);
    text
}

#[test]
fn every_kind_of_program_links() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let forms = forms_to_link();
    std::fs::write(at.join("m.o"), object_of(&forms)).unwrap();
    std::fs::write(at.join("main.c"), qemu::driver(&forms)).unwrap();
    let strict = ["-Wl,--fatal-warnings", "-Wl,-z,text", "-w"];
    for kind in [&["-pie", "-fPIE"][..], &["-no-pie"], &["-static"], &["-static-pie", "-fPIE"]] {
        let args = [kind, &strict, &["main.c", "m.o", "-lm", "-o", "program"]].concat();
        run(at, "cc", &args);
        assert!(run(at, "./program", &[]).contains("0 failures"));
    }
    run(at, "cc", &[&["-shared", "m.o", "-o", "libm1.so"], &strict[..]].concat());
    run(at, "cc", &["-w", "main.c", "-L.", "-lm1", "-lm", "-Wl,-rpath,.", "-o", "program"]);
    assert!(run(at, "./program", &[]).contains("0 failures"));
    assert!(!run(at, "readelf", &["-d", "libm1.so"]).contains("TEXTREL"));
    assert!(run(at, "nm", &["-u", "m.o"]).trim().is_empty());
    // The unwind tables decode, and have a line for the start of each function: the frame is the caller's there.
    let frames = run(at, "readelf", &["--debug-dump=frames-interp", "m.o"]);
    let symbols = run(at, "nm", &["m.o"]);
    let is_function = |l: &&str| (l.contains(" t ") || l.contains(" T ")) && !l.contains(" .L");
    let starts: Vec<&str> = symbols.lines().filter(is_function).map(|l| l.split(' ').next().unwrap()).collect();
    for start in &starts {
        let line = frames.lines().find(|l| l.starts_with(start)).unwrap_or_else(|| panic!("{start} in\n{frames}"));
        assert!(!cfg!(target_arch = "x86_64") || line.contains("rsp+8"), "{line}");
    }
    assert!(starts.len() > 20);
}

#[test]
fn sections_and_symbols_are_orderly() {
    let bytes = object_of(&forms_to_link());
    let file = object::File::parse(&bytes[..]).unwrap();
    let sections: Vec<&str> = file.sections().map(|s| s.name().unwrap()).filter(|n| !n.is_empty()).collect();
    for name in [".text", ".rodata", ".rodata.weights", ".eh_frame", ".note.GNU-stack"] {
        assert!(sections.contains(&name), "{name} is missing in {sections:?}");
    }
    assert!(file.section_by_name(".rodata.weights").unwrap().align() >= 64);
    // Nothing is writable but the four bytes that keep the CPU level.
    let writable = |name: &str| file.section_by_name(name).map_or(0, |s| s.size());
    assert_eq!((writable(".data"), writable(".bss")), (0, if cfg!(target_arch = "x86_64") { 4 } else { 0 }));
    for symbol in file.symbols().filter(|s| s.kind() == SymbolKind::Text) {
        assert!(symbol.size() > 0, "{:?} has no size", symbol.name());
    }
    let kernel = file.symbols().find(|s| s.name() == Ok("m_run0_Max_f32")).expect("kernels have readable names");
    assert!(kernel.is_local());
    let exported: Vec<&str> = file.symbols().filter(|s| s.is_global()).map(|s| s.name().unwrap()).collect();
    for name in ["m_descriptor", "m_invoke", "m_workspace_bytes", "m_run0"] {
        assert!(exported.contains(&name), "{name} is missing in {exported:?}");
    }
}

/// `parallel_for` gets the kernel and all of its range, in the middle of a call stack that unwinds.
#[test]
fn threads_share_parallel_loops_and_the_stack_unwinds() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let form = forms::gemm(DType::F32, 4, 8);
    std::fs::write(at.join("m.o"), object_of(std::slice::from_ref(&form))).unwrap();
    std::fs::write(at.join("main.c"), THREADS).unwrap();
    run(at, "cc", &["-O1", "-funwind-tables", "main.c", "m.o", "-pthread", "-o", "program"]);
    assert_eq!(run(at, "./program", &[]), "ok\n");
}

const THREADS: &str = r#"
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

typedef void task_fn(void *, int64_t, int64_t);
struct threads { void *pool; void (*parallel_for)(void *, task_fn *, void *, int64_t, int64_t); int64_t width; };
struct io { const float *x, *y, *bias; float *out; int64_t b, k; const struct threads *threads; uint64_t cpu; };
int m_run0(const struct io *, void *, size_t);

static int calls, reached_main;
static void *pool_seen;
int main(void);

struct part { task_fn *task; void *arg; int64_t begin, end; };
static void *run(void *p) {
    struct part *part = p;
    part->task(part->arg, part->begin, part->end);
    return 0;
}
static _Unwind_Reason_Code frame(struct _Unwind_Context *context, void *unused) {
    void *function = _Unwind_FindEnclosingFunction((void *)_Unwind_GetIP(context));
    if (function == (void *)main) reached_main = 1;
    return _URC_NO_REASON;
}
static void parallel_for(void *pool, task_fn *task, void *arg, int64_t count, int64_t nanoseconds) {
    pthread_t thread[8];
    struct part part[8];
    calls++;
    pool_seen = pool;
    if (nanoseconds < 1) puts("no work is expected");
    _Unwind_Backtrace(frame, 0);
    for (int64_t i = 0; i < count; i++) {
        part[i] = (struct part){task, arg, i, i + 1};
        pthread_create(&thread[i], 0, run, &part[i]);
    }
    for (int64_t i = 0; i < count; i++) pthread_join(thread[i], 0);
}

int main(void) {
    enum { B = 5, K = 37 };
    static float x[B * 4 * K], y[K * 8], bias[8], alone[B * 4 * 8], together[B * 4 * 8];
    int here;
    for (int i = 0; i < B * 4 * K; i++) x[i] = (i * 7 % 23) - 9;
    for (int i = 0; i < K * 8; i++) y[i] = (i * 5 % 17) - 8;
    struct threads threads = {&here, parallel_for, 4};
    struct io io = {x, y, bias, alone, B, K, 0, 0};
    int status = m_run0(&io, 0, 0);
    io.out = together;
    io.threads = &threads;
    status |= m_run0(&io, 0, 0);
    if (status || calls != 1 || pool_seen != &here) return printf("status %d, %d calls\n", status, calls), 1;
    if (!reached_main) return puts("the stack does not unwind to main"), 1;
    if (memcmp(alone, together, sizeof alone)) return puts("threads give other results"), 1;
    io.x = 0;
    if (m_run0(&io, 0, 0) != 1) return puts("a null pointer is taken"), 1;
    io.b = 0;
    if (m_run0(&io, 0, 0) != 0) return puts("no rows need no pointer"), 1;
    io.b = -1;
    if (m_run0(&io, 0, 0) != 4) return puts("a negative extent is taken"), 1;
    io.b = (int64_t)1 << 62;
    if (m_run0(&io, 0, 0) != 4) return puts("a huge extent is taken"), 1;
    io.b = io.k = (int64_t)1 << 39;
    if (m_run0(&io, 0, 0) != 4) return puts("an overflowing size is taken"), 1;
    if (m_run0(0, 0, 0) != 1) return puts("a null io struct is taken"), 1;
    return puts("ok"), 0;
}
"#;
