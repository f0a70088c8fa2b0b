//! Programs in C, C++, Go, Rust and Python that use compiled models: the examples, and programs that test the ABI.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use smc::{
    base::Dim,
    driver::{self, Options},
    graph::Graph,
    loops::CompareFn,
    op::{Compare, Gather, Perfect, Select, TextHash, TextHashing, TextLength, TextStrip, TextUnit},
    tensor::Tensor,
};
use smc_tests::{
    consumers::{Build, assert_recognised, digits, link_c},
    nets::COUNTED,
    programs::{have, output, root},
};

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch directory")
}

/// Builds a program of `tests/consumers` as C99 and as C++17, runs it, and wants `ok`.
fn check(source: &str, models: &[Build], flags: &[&str]) {
    let source = root().join("tests/consumers").join(source);
    for (compiler, standard, more) in [("cc", "-std=c99", &[][..]), ("c++", "-std=c++17", &["-x", "c++"])] {
        if !have(&[compiler]) {
            continue;
        }
        let folder = scratch();
        // What follows the source is an object again, whatever the language before it.
        let copy =
            folder.path().join(source.file_name().unwrap()).with_extension(if more.is_empty() { "c" } else { "cc" });
        fs::copy(&source, &copy).unwrap();
        let include = format!("-I{}", root().join("tests/consumers").display());
        let flags = [&[standard, &include], flags].concat();
        let program = link_c(compiler, &copy, models, &flags, folder.path());
        let printed = output(Command::new(program).arg(digits()));
        assert!(printed.ends_with("ok\n"), "{printed}");
    }
}

#[test]
fn misuse_is_an_error_code() {
    check("misuse.c", &[Build::MNIST], &[]);
}

/// A model with a condition on its dimensions, called from C with dimensions that break it.
#[test]
fn a_broken_condition_is_an_error_code() {
    if !have(&["cc"]) {
        return;
    }
    let text = r#"
        assume N*T == 6*floor(N*T,6)
        input "x" %x
        %x = input : f32[N,T]
        %half = const [0.5] : f32[]
        %one = reshape {"shape":[1,1]} %half
        %many = broadcast {"shape":["floor(N*T,6)",6]} %one
        %rows = reshape {"shape":["floor(N*T,6)",6]} %x
        %y = binary {"f":"mul"} %rows %many
        output "y" %y"#;
    let graph = smc::graph::text::parse(text, &Default::default()).unwrap();
    let options = Options { name: "guarded".into(), ..Options::default() };
    let compiled = driver::compile_graphs(vec![("main".into(), graph)], &options).unwrap_or_else(|e| panic!("{e}"));
    let folder = scratch();
    let (object, program) = (folder.path().join("libguarded.o"), folder.path().join("guard"));
    fs::write(&object, compiled.object.bytes()).unwrap();
    fs::write(object.with_extension("h"), compiled.header).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-O1", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I"]).arg(folder.path());
    cc.arg("-I").arg(root().join("runtime/include")).arg("-o").arg(&program);
    output(cc.arg(root().join("tests/consumers/guard.c")).arg(object));
    assert_eq!(output(&mut Command::new(program)), "ok\n");
}

const MEAN: Build = Build { model: "examples/mean/model", name: "mean", ..Build::MNIST };

#[test]
fn states_are_told_from_everything_else() {
    check("state.c", &[MEAN], &[]);
}

/// The example keeps its mean from run to run, and refuses a file that was damaged.
#[test]
fn the_example_with_a_state() {
    if !have(&["cc"]) {
        return;
    }
    let folder = scratch();
    let program = link_c("cc", &root().join("examples/mean/main.c"), &[MEAN], &["-std=c99"], folder.path());
    let file = folder.path().join("mean.state");
    let run = |numbers: &[&str]| Command::new(&program).arg(&file).args(numbers).output().unwrap();
    assert_eq!(run(&["1", "2", "6"]).stdout, b"3 numbers, mean 3\n");
    assert_eq!(run(&["-1"]).stdout, b"4 numbers, mean 2\n");
    refuses_damage(&file, &|| run(&["1"]));
}

/// A program with a state in a file refuses that when a bit of it is another one, and leaves it as it is.
fn refuses_damage(file: &Path, run: &dyn Fn() -> Output) {
    let mut bytes = fs::read(file).unwrap();
    bytes[300] ^= 1;
    fs::write(file, &bytes).unwrap();
    let refused = run();
    assert!(refused.status.code() == Some(1) && fs::read(file).unwrap() == bytes, "a damaged file was taken");
}

/// Runs an example in another language that keeps the mean, too, and prints what is more than it.
fn check_mean(folder: &Path, program: &dyn Fn() -> Command) {
    let file = folder.join("mean.state");
    let run = |numbers: &[&str]| program().arg(&file).args(numbers).output().unwrap();
    for (numbers, printed) in [
        (&["1", "2", "6"][..], "3 numbers, mean 3; above it: 6\n"),
        (&["-4", "5"], "5 numbers, mean 2; above it: 5\n"),
        (&[], "5 numbers, mean 2; above it:\n"),
        (&["8", "0.5", "3.5"], "8 numbers, mean 2.75; above it: 8 3.5\n"),
    ] {
        let out = run(numbers);
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(String::from_utf8_lossy(&out.stdout), printed, "{numbers:?}: {said}");
        assert!(out.status.success(), "{said}");
    }
    refuses_damage(&file, &|| run(&["1"]));
}

#[test]
fn the_cpp_example_with_a_state() {
    if !have(&["c++"]) {
        return;
    }
    let folder = scratch();
    let program = link_c("c++", &root().join("examples/cpp/mean.cpp"), &[MEAN], &["-std=c++17"], folder.path());
    check_mean(folder.path(), &|| Command::new(&program));
}

#[test]
fn the_go_example_with_a_state() {
    if !have(&["go", "cc"]) {
        return;
    }
    let folder = scratch();
    let program = build_go("./mean", MEAN, folder.path());
    check_mean(folder.path(), &|| Command::new(&program));
}

#[test]
fn the_rust_example_with_a_state() {
    if !have(&["cargo"]) {
        return;
    }
    let folder = scratch();
    output(rust_example("build", folder.path()).args(["--bin", "mean"]).env("SMC_MEAN", MEAN.object()));
    let program = folder.path().join("debug/mean");
    check_mean(folder.path(), &|| Command::new(&program));
}

#[test]
fn the_python_example_with_a_state() {
    if !have(&["python3"]) {
        return;
    }
    let (folder, library) = (scratch(), MEAN.library());
    check_mean(folder.path(), &|| {
        let mut python = Command::new("python3");
        python.arg(root().join("examples/python/mean.py")).arg(&library);
        python
    });
}

/// Models whose outputs have as many elements as the values say, called by the header, by the descriptor and by the class.
#[test]
fn sizes_that_data_decide_are_written_in_the_struct() {
    let graph = |head: &str, lines: &str| {
        let text = format!("{head}{COUNTED}{lines}");
        smc::graph::text::parse(&text, &Default::default()).unwrap_or_else(|e| panic!("{e}\n{text}"))
    };
    let first = r#"slice {"start":[0],"stride":[1],"shape":["k"]} %x"#;
    let rest = r#"slice {"start":["k"],"stride":[1],"shape":["n-k"]} %x"#;
    let bind = |bound: &str| format!("\n%k = bind {{\"symbol\":\"k\",\"bound\":{bound}}} %count");
    let open = bind("\"n\"");
    let both = format!("{open}\n%first = {first}\n%rest = {rest}\noutput \"first\" %first\noutput \"rest\" %rest");
    let one = |bind: &str| format!("{bind}\n%y = {first}\noutput \"y\" %y");
    let graphs = vec![
        ("main".into(), graph("", &both)),
        ("even".into(), graph("assume k == 2*floor(k,2)", &one(&open))),
        ("two".into(), graph("", &one(&bind("2")))),
    ];
    let options = Options { name: "sizes".into(), ..Options::default() };
    let compiled = driver::compile_graphs(graphs, &options).unwrap_or_else(|e| panic!("{e}"));
    let folder = scratch();
    let object = folder.path().join("libsizes.o");
    fs::write(&object, compiled.object.bytes()).unwrap();
    fs::write(object.with_extension("h"), compiled.header).unwrap();
    for (compiler, standard, language) in [("cc", "-std=c99", "c"), ("c++", "-std=c++17", "c++")] {
        if !have(&[compiler]) {
            continue;
        }
        let program = folder.path().join(format!("sizes-{compiler}"));
        let mut cc = Command::new(compiler);
        cc.args([standard, "-O1", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I"]).arg(folder.path());
        for include in ["runtime/include", "tests/consumers"] {
            cc.arg("-I").arg(root().join(include));
        }
        cc.arg("-o").arg(&program).args(["-x", language]).arg(root().join("tests/consumers/sizes.c"));
        output(cc.args(["-x", "none"]).arg(&object));
        assert_eq!(output(&mut Command::new(program)), "ok\n");
    }
}

/// A model of strings: where each word is among keys, what belongs to it, and what it is without white space.
fn text_graph() -> Graph {
    let strings =
        |words: &[&str]| Tensor::from_strings([words.len()], words.iter().map(|w| w.as_bytes().to_vec()).collect());
    let keys = strings(&["one", "two", "a\0b", "", "eins zwei drei vier"]);
    let values = strings(&["eins", "zwei", "a\0\u{e4}", "", "vier", "?"]);
    let Perfect { op, displacements, slots } = Perfect::new(&keys).unwrap();
    let mut graph = Graph::default();
    let word = graph.input("word", "str[n]".parse().unwrap());
    let [keys, values, displacements, slots] = [keys, values, displacements, slots].map(|t| graph.constant(t));
    let place = graph.add(op, &[word, keys, displacements, slots]).unwrap();
    // What is nowhere has the last value.
    let last = graph.constant(Tensor::from_i64([1], &[5]));
    let none = graph.constant(Tensor::from_i64([1], &[0]));
    let n = [Dim::sym("n")];
    let [last, none] = [last, none].map(|x| graph.broadcast(x, &n).unwrap());
    let absent = graph.add(Compare { f: CompareFn::Lt }, &[place, none]).unwrap();
    let index = graph.add(Select {}, &[absent, last, place]).unwrap();
    let label = graph.add(Gather { axis: 0, batch: 0, checked: true }, &[values, index]).unwrap();
    let chars = graph.add(TextLength { unit: TextUnit::Chars }, &[label]).unwrap();
    let stripped = graph.add(TextStrip {}, &[word]).unwrap();
    let hash = graph.add(TextHash { hash: TextHashing::Farm }, &[stripped]).unwrap();
    for (name, node) in [("place", place), ("label", label), ("chars", chars), ("stripped", stripped), ("hash", hash)] {
        graph.output(name, node);
    }
    graph
}

#[test]
fn strings_are_addresses_and_lengths() {
    let machines = [
        ("aarch64", "aarch64-unknown-linux-gnu"),
        ("riscv64", "riscv64gc-unknown-linux-gnu"),
        ("s390x", "s390x-unknown-linux-gnu"),
    ];
    let others = machines.map(|(machine, triple)| {
        (format!("{machine}-linux-gnu-gcc"), Some(format!("qemu-{machine}-static")), Some(triple), "-std=c99", "c")
    });
    let here = [("cc", "-std=c99", "c"), ("c++", "-std=c++17", "c++")]
        .map(|(compiler, standard, language)| (compiler.to_owned(), None, None, standard, language));
    for (compiler, emulator, triple, standard, language) in here.into_iter().chain(others) {
        let needed: Vec<&str> =
            [Some(&compiler), emulator.as_ref()].into_iter().flatten().map(String::as_str).collect();
        if !have(&needed) {
            continue;
        }
        let options = Options { name: "text".into(), target: triple.map(str::to_owned), ..Options::default() };
        let compiled =
            driver::compile_graphs(vec![("main".into(), text_graph())], &options).unwrap_or_else(|e| panic!("{e}"));
        let folder = scratch();
        let object = folder.path().join("libtext.o");
        fs::write(&object, compiled.object.bytes()).unwrap();
        fs::write(object.with_extension("h"), compiled.header).unwrap();
        let program = folder.path().join("text");
        let mut cc = Command::new(&compiler);
        cc.args([standard, "-static", "-O1", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I"]).arg(folder.path());
        for include in ["runtime/include", "tests/consumers"] {
            cc.arg("-I").arg(root().join(include));
        }
        cc.arg("-o").arg(&program).args(["-x", language]).arg(root().join("tests/consumers/text.c"));
        output(cc.args(["-x", "none"]).arg(&object));
        let mut run = emulator.map_or_else(|| Command::new(&program), Command::new);
        if triple.is_some() {
            run.arg(&program);
        }
        assert_eq!(output(&mut run), "ok\n", "{compiler}");
    }
}

#[test]
fn a_generic_caller_needs_the_descriptor_alone() {
    check("generic.c", &[Build::MNIST], &[]);
}

#[test]
fn two_models_and_two_versions_in_one_process() {
    check("two_models.c", &[Build::MNIST, Build { name: "mnist_v2", ..Build::MNIST }, Build::CNN], &[]);
}

#[test]
fn eight_threads_on_one_model() {
    check("eight_threads.c", &[Build::MNIST], &["-pthread"]);
}

#[test]
fn nothing_outside_of_the_lent_memory_is_touched() {
    check("guard_pages.c", &[Build::MNIST, Build::CNN], &[]);
}

#[test]
fn any_split_of_a_parallel_loop_gives_the_same_bits() {
    check("parallel.c", &[Build::MNIST, Build::CNN], &[]);
}

#[test]
fn the_c_example() {
    if !have(&["cc"]) {
        return;
    }
    for flags in [&["-std=c99"][..], &["-std=c99", "-static"], &["-std=c99", "-no-pie"], &["-std=c99", "-pie", "-fPIE"]]
    {
        let folder = scratch();
        let program = link_c("cc", &root().join("examples/mnist/main.c"), &[Build::MNIST], flags, folder.path());
        let printed = output(Command::new(&program).arg(digits()));
        assert_recognised(&printed);
        assert!(
            printed.contains("label 7, predicted 7 with probability 0.") || printed.contains("probability 1."),
            "{printed}"
        );
        let refused = Command::new(&program).output().unwrap();
        assert_eq!(refused.status.code(), Some(2));
    }
}

/// The same program, byte for byte, under emulators of other machines.
#[test]
fn the_c_example_on_other_machines() {
    for (triple, emulator) in
        [("aarch64", "qemu-aarch64-static"), ("riscv64", "qemu-riscv64-static"), ("s390x", "qemu-s390x-static")]
    {
        let compiler = format!("{triple}-linux-gnu-gcc");
        if !have(&[&compiler, emulator]) {
            continue;
        }
        let target = match triple {
            "aarch64" => "aarch64-unknown-linux-gnu",
            "riscv64" => "riscv64gc-unknown-linux-gnu",
            _ => "s390x-unknown-linux-gnu",
        };
        let folder = scratch();
        let model = Build { target: Some(target), ..Build::MNIST };
        for source in ["examples/mnist/main.c", "tests/consumers/misuse.c", "tests/consumers/generic.c"] {
            let include = format!("-I{}", root().join("tests/consumers").display());
            let program =
                link_c(&compiler, &root().join(source), &[model], &["-std=c99", "-static", &include], folder.path());
            let printed = output(Command::new(emulator).arg(&program).arg(digits()));
            if source.starts_with("examples") {
                assert_recognised(&printed);
            } else {
                assert!(printed.ends_with("ok\n"), "{printed}");
            }
        }
    }
}

/// A call leaves the floating-point registers alone that belong to its caller.
#[test]
fn registers_of_the_caller_stay() {
    for (machine, target, cpu) in [
        ("aarch64", "aarch64-unknown-linux-gnu", None),
        ("riscv64", "riscv64gc-unknown-linux-gnu", None),
        ("riscv64", "riscv64gc-unknown-linux-gnu", Some("rv64gcv")),
        ("s390x", "s390x-unknown-linux-gnu", None),
    ] {
        let (compiler, emulator) = (format!("{machine}-linux-gnu-gcc"), format!("qemu-{machine}-static"));
        if !have(&[&compiler, &emulator]) {
            continue;
        }
        let learning = Build { name: "learn", head: Some((2, "dense_1")), batch: Some(1), ..Build::MNIST };
        let model = Build { target: Some(target), cpu, ..learning };
        let (folder, source) = (scratch(), root().join("tests/consumers/registers.c"));
        let program = link_c(&compiler, &source, &[model], &["-std=c11", "-static"], folder.path());
        let mut run = Command::new(emulator);
        if cpu.is_some() {
            run.args(["-cpu", "rv64,v=true,vlen=128"]);
        }
        assert_eq!(output(run.arg(program)), "ok\n", "{machine}");
    }
}

#[test]
fn the_cpp_example() {
    if !have(&["c++"]) {
        return;
    }
    let folder = scratch();
    let source = root().join("examples/cpp/main.cpp");
    let program = link_c("c++", &source, &[Build::MNIST], &["-std=c++17"], folder.path());
    assert_recognised(&output(Command::new(program).arg(digits())));
}

/// The example with threads of its own compares their result with that of one thread.
#[test]
fn the_cpp_example_with_threads() {
    if !have(&["c++"]) {
        return;
    }
    let folder = scratch();
    let source = root().join("examples/cpp/threads.cpp");
    let program = link_c("c++", &source, &[Build::CNN], &["-std=c++17", "-pthread"], folder.path());
    assert_recognised(&output(Command::new(program).arg(digits())));
}

/// Builds a program of `examples/go` against a model.
fn build_go(package: &str, model: Build, folder: &Path) -> PathBuf {
    let program = folder.join("program");
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&program).arg(package).current_dir(root().join("examples/go"));
    go.env("CGO_ENABLED", "1").env("GOFLAGS", "-mod=mod").env("GOPROXY", "off").env("GOTOOLCHAIN", "local");
    go.env("CGO_LDFLAGS", model.archive());
    go.env("CGO_CFLAGS", format!("-I{}", model.folder().display()));
    output(&mut go);
    program
}

/// The same of one that recognises digits, and runs it.
fn check_go(package: &str, model: Build) {
    if have(&["go", "cc"]) {
        let folder = scratch();
        assert_recognised(&output(Command::new(build_go(package, model, folder.path())).arg(digits())));
    }
}

/// What cargo does with `examples/rust`.
fn rust_example(what: &str, folder: &Path) -> Command {
    let manifest = root().join("examples/rust/Cargo.toml");
    let mut cargo = Command::new("cargo");
    cargo.args([what, "--quiet", "--offline", "--locked", "--manifest-path"]).arg(manifest);
    cargo.env("CARGO_TARGET_DIR", folder);
    cargo
}

#[test]
fn the_go_example() {
    check_go(".", Build::MNIST);
}

#[test]
fn the_go_example_with_threads() {
    check_go("./threads", Build::CNN);
}

#[test]
fn the_rust_example() {
    if !have(&["cargo"]) {
        return;
    }
    let folder = scratch();
    let mut cargo = rust_example("run", folder.path());
    assert_recognised(&output(cargo.arg("--").arg(digits()).env("SMC_MODEL", Build::MNIST.object())));
}

#[test]
fn the_python_example() {
    if !have(&["python3", "cc"]) {
        return;
    }
    let folder = scratch();
    let library = folder.path().join("libmnist.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-Wl,-z,text,--fatal-warnings", "-o"]).arg(&library).arg(Build::MNIST.object());
    output(&mut cc);
    let mut python = Command::new("python3");
    python.arg(root().join("examples/python/main.py")).arg(library).arg(digits());
    assert_recognised(&output(&mut python));
}

/// A program that calls nothing links the object alone: it needs nobody.
#[test]
fn the_object_has_no_undefined_symbols() {
    if !have(&["nm"]) {
        return;
    }
    for build in [Build::MNIST, Build::CNN] {
        let undefined = output(Command::new("nm").arg("-u").arg(build.object()));
        assert_eq!(undefined, "", "{}", build.name);
    }
}

/// Every command that an example's comment names is one that the tests run in spirit: its files exist.
#[test]
fn the_examples_name_files_that_exist() {
    for example in [
        "mnist/main.c",
        "mnist/README.md",
        "mean/main.c",
        "cpp/main.cpp",
        "cpp/mean.cpp",
        "go/main.go",
        "go/mean/main.go",
        "python/main.py",
        "python/mean.py",
        "bare-metal/README.md",
        "finetune/README.md",
    ] {
        let text = fs::read_to_string(root().join("examples").join(example)).unwrap();
        let named = text.split(|c: char| c.is_whitespace() || c == '`').filter(|w| w.starts_with("examples/"));
        for file in named {
            assert!(Path::new(&root()).join(file).exists(), "{example} names {file}");
        }
    }
}

/// The runtime crate as a static library gives C programs threads.
#[test]
fn a_thread_pool_for_c() {
    if !have(&["cc", "cargo"]) {
        return;
    }
    let folder = scratch();
    let mut cargo = Command::new("cargo");
    cargo.args(["rustc", "--quiet", "--offline", "--package", "smc-runtime", "--crate-type", "staticlib"]);
    output(cargo.current_dir(root()).env("CARGO_TARGET_DIR", folder.path()));
    let library = folder.path().join("debug/libsmc_runtime.a");
    check("pool.c", &[Build::CNN], &[library.to_str().unwrap(), "-lpthread", "-ldl", "-lm"]);
}
