//! Shared libraries that are made without a linker: loaded, linked against, taken apart by others' tools, unwound through.

use std::{fs, path::Path, process::Command};

use object::{Object as _, ObjectSegment, ObjectSymbol};
use smc::{
    emit::{
        object::{Object, Parts},
        shared,
        weights::Stored,
    },
    entry::{Entry, Reach},
    native::{self, Target},
    plan::Bodies,
};
use smc_tests::{
    consumers::{Build, assert_recognised, digits},
    forms::{self, Form},
    kernels,
    programs::{have, output, root},
    qemu,
};

const CNN: Build = Build::CNN;

/// The form's kernels as a shared library that finds its weights in this way.
fn library_of(forms: &[Form], target: &Target, reach: Reach) -> Vec<u8> {
    let mut weights = Default::default();
    let bodies: Vec<Bodies> = forms
        .iter()
        .map(|f| Bodies { open: vec![kernels::program(&f.case, &mut weights); target.levels.len()], equal: None })
        .collect();
    let names: Vec<String> = (0..forms.len()).map(|n| format!("run{n}")).collect();
    let entry = |(c_name, bodies): (_, _)| Entry { c_name, aliases: &[], bodies };
    let entries: Vec<Entry<'_>> = names.iter().map(String::as_str).zip(&bodies).map(entry).collect();
    let code = native::compile(target, "m", &entries, &weights, reach, None).unwrap_or_else(|p| panic!("{p}"));
    let parts = Parts { name: "m", descriptor: b"descriptor", fingerprint: [0; 32] };
    let object = Object::new(target, &code, Stored::new(weights, target.big_endian()), &parts, true);
    let mut bytes = vec![];
    shared::write(&object, "libm1.so", &mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, shared::size(&object, "libm1.so").unwrap());
    bytes
}

fn some_forms() -> Vec<Form> {
    let wanted = ["strides", "gather", "gemm_4x8_f32", "rows_f64", "Max_f32", "reduce_Add_f32"];
    forms::all().into_iter().filter(|f| wanted.contains(&&*f.case.kernel.name)).collect()
}

#[test]
fn python_loads_it() {
    if !have(&["python3"]) {
        return;
    }
    let mut python = Command::new("python3");
    python.arg(root().join("examples/python/main.py")).arg(Build::MNIST.library()).arg(digits());
    assert_recognised(&output(&mut python));
}

/// A program that links against it, and one that opens it: both find the functions by name, of any number.
#[test]
fn c_programs_link_and_open_it() {
    if !have(&["cc"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let library = Build::MNIST.library();
    let at = library.parent().unwrap();
    let program = folder.path().join("linked");
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wl,--fatal-warnings", "-o"]).arg(&program);
    cc.arg(root().join("examples/mnist/main.c")).arg("-I").arg(at).arg("-I").arg(root().join("runtime/include"));
    output(cc.arg("-L").arg(at).arg("-lmnist").arg(format!("-Wl,-rpath,{}", at.display())));
    assert_recognised(&output(Command::new(&program).arg(digits())));

    let source = folder.path().join("open.c");
    fs::write(&source, OPEN).unwrap();
    let program = folder.path().join("opened");
    output(Command::new("cc").args(["-w", "-o"]).arg(&program).arg(&source).arg("-ldl"));
    assert_eq!(output(Command::new(&program).arg(&library)), "ok\n");
}

const OPEN: &str = r#"
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
    const char *names[] = {"mnist_descriptor", "mnist_invoke", "mnist_workspace_bytes", "mnist_serving_default",
                           "mnist_serving_default_workspace"};
    void *library = dlopen(argv[1], RTLD_NOW);
    if (!library) return puts(dlerror()), 1;
    for (int i = 0; i < 5; i++)
        if (!dlsym(library, names[i])) return puts(dlerror()), 1;
    if (dlsym(library, "mnist_no_such_function")) return puts("found what is not there"), 1;
    int (*run)(const void *, void *, unsigned long) = dlsym(library, "mnist_serving_default");
    if (run(0, 0, 0) != 1) return puts("a null struct is taken"), 1;
    return dlclose(library), puts("ok"), 0;
}
"#;

/// Other machines' own loaders take the libraries for them.
#[test]
fn other_machines_load_it() {
    for (triple, machine) in [
        ("aarch64-unknown-linux-gnu", "aarch64"),
        ("riscv64gc-unknown-linux-gnu", "riscv64"),
        ("s390x-unknown-linux-gnu", "s390x"),
    ] {
        let (compiler, emulator) = (format!("{machine}-linux-gnu-gcc"), format!("qemu-{machine}-static"));
        if !have(&[&compiler, &emulator]) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let library = Build { target: Some(triple), ..Build::MNIST }.library();
        let at = library.parent().unwrap();
        let program = folder.path().join("program");
        let mut cc = Command::new(&compiler);
        cc.args(["-std=c99", "-Wl,--fatal-warnings", "-o"]).arg(&program).arg(root().join("examples/mnist/main.c"));
        cc.arg("-I").arg(at).arg("-I").arg(root().join("runtime/include")).arg("-L").arg(at).arg("-lmnist");
        output(cc.arg(format!("-Wl,-rpath,{}", at.display())));
        let mut run = Command::new(&emulator);
        run.args(["-L", &format!("/usr/{machine}-linux-gnu")]).arg(&program).arg(digits());
        assert_recognised(&output(&mut run));
    }
}

/// Far weights are found too, and whatever throws in a callback finds its way through the library.
#[test]
fn kernels_run_and_the_stack_unwinds() {
    if !have(&["cc"]) {
        return;
    }
    let target = Target::new(None, None).unwrap();
    let forms = some_forms();
    for reach in [Reach::Near, Reach::Far] {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        fs::write(at.join("libm1.so"), library_of(&forms, &target, reach)).unwrap();
        fs::write(at.join("main.c"), qemu::driver(&forms)).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-w", "main.c", "-L.", "-lm1", "-lm", "-Wl,--fatal-warnings,-rpath,.", "-o", "program"]);
        output(cc.current_dir(at));
        assert!(output(Command::new("./program").current_dir(at)).contains("0 failures"), "{reach:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let form = forms::gemm(smc::tensor::DType::F32, 4, 8);
    fs::write(at.join("libm1.so"), library_of(std::slice::from_ref(&form), &target, Reach::Near)).unwrap();
    fs::write(at.join("main.cc"), THROW).unwrap();
    if have(&["c++"]) {
        let mut cc = Command::new("c++");
        cc.args(["-O1", "main.cc", "-L.", "-lm1", "-Wl,-rpath,.", "-o", "program"]);
        output(cc.current_dir(at));
        assert_eq!(output(Command::new("./program").current_dir(at)), "ok\n");
    }
}

const THROW: &str = r#"
#include <cstdint>
#include <cstdio>
#include <cstddef>
typedef void task_fn(void *, int64_t, int64_t);
struct threads { void *pool; void (*parallel_for)(void *, task_fn *, void *, int64_t, int64_t); int64_t width; };
struct io { const float *x, *y, *bias; float *out; int64_t b, k; const threads *t; uint64_t cpu; };
extern "C" int m_run0(const io *, void *, size_t);
static void parallel_for(void *, task_fn *, void *, int64_t, int64_t) { throw 42; }
int main() {
    static float x[5 * 4 * 37], y[37 * 8], bias[8], out[5 * 4 * 8];
    threads t = {nullptr, parallel_for, 4};
    io call = {x, y, bias, out, 5, 37, &t, 0};
    try { m_run0(&call, nullptr, 0); } catch (int thrown) { return thrown == 42 ? puts("ok"), 0 : 1; }
    return puts("nothing was thrown"), 1;
}
"#;

fn says(program: &str, args: &[&str], file: &Path) -> String {
    output(Command::new(program).args(args).arg(file))
}

#[test]
fn tools_understand_it() {
    for triple in [
        "x86_64-unknown-linux-gnu",
        "aarch64-unknown-linux-gnu",
        "riscv64gc-unknown-linux-gnu",
        "s390x-unknown-linux-gnu",
    ] {
        let library = Build { target: Some(triple), ..CNN }.library();
        if have(&["readelf"]) {
            let dynamic = says("readelf", &["-dW"], &library);
            assert!(dynamic.contains("Library soname: [libcnn.so]") && !dynamic.contains("TEXTREL"), "{dynamic}");
            assert!(!dynamic.contains("(NEEDED)") && !dynamic.contains("(RELA)"), "{dynamic}");
            let segments = says("readelf", &["-lW"], &library);
            for kind in ["GNU_STACK", "GNU_EH_FRAME", "GNU_RELRO", "DYNAMIC"] {
                assert!(segments.contains(kind), "{kind} in {segments}");
            }
            assert!(!segments.contains("RWE"), "{segments}");
        }
        if have(&["eu-elflint"]) {
            let found = says("eu-elflint", &["--gnu-ld"], &library);
            assert!(found.trim() == "No errors", "{triple}: {found}");
        }
        let bytes = fs::read(&library).unwrap();
        let file = object::File::parse(&bytes[..]).unwrap();
        let page = if triple.starts_with("aarch64") { 1 << 16 } else { 4096 };
        for segment in file.segments() {
            assert_eq!((segment.address() - segment.file_range().0) % page, 0, "{triple}");
            assert_eq!(segment.align(), page, "{triple}");
        }
        let name = |s: &object::Symbol<'_, '_>| s.name().unwrap().to_owned();
        let kernel = file.symbols().find(|s| name(s) == "cnn_serving_default_batchnorm_conv");
        assert!(kernel.is_some_and(|s| s.is_local() && s.size() > 0), "profilers see kernels");
        let exported: Vec<String> = file.dynamic_symbols().map(|s| name(&s)).collect();
        assert!(exported.contains(&"cnn_serving_default".to_owned()) && exported.iter().all(|n| n.starts_with("cnn_")));
        assert!(
            bytes == {
                Build { target: Some(triple), ..CNN }.library();
                fs::read(&library).unwrap()
            }
        );
    }
}
