//! Custom operators: functions of the user's in every execution, in C and in Rust programs, and as plugins.

use std::{
    ffi::c_void,
    fs,
    path::{Path, PathBuf},
    process::Command,
    slice,
    sync::{Arc, Mutex},
};

use smc::{
    base::{Bindings, Dim, Symbol},
    driver::{self, Executable, Options},
    graph::{Call, Graph, If, Loop, evaluate, text},
    loops::BinaryFn,
    op::{Attribute, Binary, Bind, Function, Slice},
    saved::{self, Model, custom},
    tensor::{DType, Scalar, Tensor, TensorType},
};
use smc_runtime::{
    abi::Status,
    operator::{self, Operand},
};
use smc_tests::{
    planned::Planned,
    programs::{have, output, root},
};

fn function(function: operator::Function) -> Option<Function> {
    // SAFETY: the functions of this file do what they have to, and stay.
    Some(unsafe { Function::new(function, Arc::new(())) })
}

fn types(all: &[&str]) -> Vec<TensorType> {
    all.iter().map(|ty| ty.parse().unwrap()).collect()
}

/// The outputs of a call, or the status that ends it, by all executions, which have to agree.
fn everywhere(graph: &Graph, inputs: &[Tensor], bind: &Bindings) -> Result<Vec<Tensor>, i64> {
    graph.verify().unwrap();
    // Functions are no part of the text.
    let (printed, constants) = text::print(graph);
    assert_eq!(text::parse(&printed, &constants).as_ref(), Ok(graph), "{printed}");
    let expected = evaluate(graph, inputs, bind);
    let optimised = smc::opt::optimise(graph.clone(), Default::default(), &mut |_, _| ()).unwrap();
    let planned = Planned::new(&optimised, None);
    let mut status = 0;
    for level in 0..planned.target.levels.len() {
        match (&expected, planned.interpret(level, inputs, bind)) {
            (Ok(expected), Ok(given)) => assert_eq!(*expected, given, "{printed}"),
            (Err(fault), Err(given)) => assert_eq!(format!("{fault:?}"), given),
            (expected, given) => panic!("{expected:?}, but by loops {given:?}"),
        }
    }
    for way in planned.ways() {
        match (&expected, planned.call(way, inputs, bind)) {
            (Ok(expected), Ok(given)) => assert_eq!(*expected, given, "{way:?}: {printed}"),
            (Err(_), Err(given)) => status = given,
            (expected, given) => panic!("{expected:?}, but by entries {given:?}"),
        }
    }
    let options = Options { name: "m".into(), cpu: Some(smc_tests::cpu()), ..Options::default() };
    let compiled = driver::compile_graphs(vec![("main".into(), graph.clone())], &options).unwrap();
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface).unwrap();
    let mut call = executable.prepare_with(0, inputs, bind.clone()).unwrap();
    match (expected, call.run(None)) {
        (Ok(expected), Ok(())) => {
            assert_eq!(expected, call.results());
            Ok(expected)
        }
        (Err(_), Err(problem)) => {
            let (_, code) = Status::of_call(status as i32).unwrap();
            assert!(problem.message.ends_with(&format!("failed with code {code}")), "{problem}");
            Err(status)
        }
        (expected, given) => panic!("{expected:?}, but by machine code {given:?}"),
    }
}

/// The attributes of [`tell`].
#[repr(C)]
struct Tell {
    whole: i64,
    real: f64,
    name: *const u8,
    name_bytes: usize,
    sizes: *const i64,
    sizes_count: i64,
    scales: *const f64,
    scales_count: i64,
    none: *const i64,
    none_count: i64,
}

/// Numbers that its attributes are, and its strings in their other order.
unsafe extern "C" fn tell(inputs: *const Operand, outputs: *const Operand, attributes: *const c_void) -> i32 {
    let (inputs, outputs) = unsafe { (slice::from_raw_parts(inputs, 2), slice::from_raw_parts(outputs, 2)) };
    let given = unsafe { &*attributes.cast::<Tell>() };
    let name = unsafe { slice::from_raw_parts(given.name, given.name_bytes) };
    let sizes = unsafe { slice::from_raw_parts(given.sizes, given.sizes_count as usize) };
    let scales = unsafe { slice::from_raw_parts(given.scales, given.scales_count as usize) };
    let scalar = unsafe { inputs[1].elements::<f32>() };
    let numbers = [given.whole as f64, given.real, name.len() as f64, f64::from(name[1])];
    let more = [sizes[2] as f64, scales[1], given.none_count as f64, f64::from(scalar[0]), inputs[0].element as f64];
    unsafe { outputs[0].elements_mut::<f64>() }.copy_from_slice(&[&numbers[..], &more].concat());
    let (from, to) = unsafe { (inputs[0].elements::<[u64; 2]>(), outputs[1].elements_mut::<[u64; 2]>()) };
    to.iter_mut().zip(from.iter().rev()).for_each(|(to, from)| *to = *from);
    assert!(inputs[1].rank == 0 && unsafe { outputs[1].shape() } == [from.len() as i64]);
    0
}

#[test]
fn attributes_strings_and_shapes_reach_the_function() {
    let attributes = [
        ("whole", Attribute::Int(-7)),
        ("real", Attribute::Real(0.1)),
        ("name", Attribute::Text(b"a\0c".to_vec())),
        ("sizes", Attribute::Ints(vec![1, 2, i64::MIN])),
        ("scales", Attribute::Reals(vec![0.5, f64::INFINITY])),
        ("none", Attribute::Ints(vec![])),
    ];
    // What is infinite has no text.
    let finite = attributes.map(|(name, value)| match value {
        Attribute::Reals(_) => (name.to_string(), Attribute::Reals(vec![0.5, -1e300])),
        value => (name.to_string(), value),
    });
    let mut graph = Graph::default();
    let x = graph.input("x", "str[n]".parse().unwrap());
    let s = graph.constant(Tensor::scalar(DType::F32, Scalar::F32(2.5)));
    let call = Call {
        symbol: "tell".into(),
        operands: types(&["str[n]", "f32[]"]),
        outputs: types(&["f64[9]", "str[n]"]),
        counted: vec![],
        attributes: finite.to_vec(),
        effect: false,
        function: function(tell),
    };
    let results = graph.control(Arc::new(call), &[x, s]).unwrap();
    graph.output("numbers", results[0]);
    graph.output("strings", results[1]);
    for words in [&["one", "", "three"][..], &[]] {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let bind = Bindings::from([(Symbol::new("n"), words.len() as i64)]);
        let results = everywhere(&graph, &[Tensor::from_strings([words.len()], words.clone())], &bind).unwrap();
        let numbers: Vec<f64> = results[0].scalars().filter_map(Scalar::as_f64).collect();
        assert_eq!(numbers, [-7.0, 0.1, 3.0, 0.0, i64::MIN as f64, -1e300, 0.0, 2.5, DType::Str.number() as f64]);
        assert_eq!(results[1].strings(), words.into_iter().rev().collect::<Vec<_>>());
    }
}

/// Half of each element; fails with the code that the first element is above 100.
unsafe extern "C" fn halve(inputs: *const Operand, outputs: *const Operand, _: *const c_void) -> i32 {
    let (x, y) = unsafe { ((*inputs).elements::<f32>(), (*outputs).elements_mut::<f32>()) };
    y.iter_mut().zip(x).for_each(|(y, x)| *y = x / 2.0);
    x.first().map_or(0, |&first| if first > 100.0 { first as i32 - 100 } else { 0 })
}

fn halving() -> Call {
    Call {
        symbol: "halve".into(),
        operands: types(&["f32[n,2]"]),
        outputs: types(&["f32[n,2]"]),
        counted: vec![],
        attributes: vec![],
        effect: false,
        function: function(halve),
    }
}

/// A call in a loop, in a branch, and on what a kernel makes.
#[test]
fn calls_stand_in_branches_and_loops() {
    let mut graph = Graph::default();
    let which = graph.input("which", "i64[]".parse().unwrap());
    let x = graph.input("x", "f32[n,2]".parse().unwrap());
    let region = |calls: usize| {
        let mut region = Graph::default();
        let mut value = region.input("x", "f32[n,2]".parse().unwrap());
        for _ in 0..calls {
            value = region.control(Arc::new(halving()), &[value]).unwrap()[0];
            value = region.add(Binary { f: BinaryFn::Add }, &[value, value]).unwrap();
            value = region.control(Arc::new(halving()), &[value]).unwrap()[0];
        }
        region.output("y", value);
        region
    };
    let sum = graph.add(Binary { f: BinaryFn::Add }, &[x, x]).unwrap();
    let branch = If { branches: vec![region(0), region(1)] };
    let taken = graph.control(Arc::new(branch), &[which, sum]).unwrap()[0];
    let repeat =
        Loop { carried: 1, count: Some(Dim::from(3)), condition: None, step: Symbol::new("s"), body: region(1) };
    let looped = graph.control(Arc::new(repeat), &[taken]).unwrap()[0];
    let last = graph.control(Arc::new(halving()), &[looped]).unwrap()[0];
    for (name, node) in [("taken", taken), ("looped", looped), ("last", last)] {
        graph.output(name, node);
    }
    for (which, n, factor) in [(0, 3, 1.0), (1, 2, 0.5), (1, 0, 0.5)] {
        let bind = Bindings::from([(Symbol::new("n"), n)]);
        let values: Vec<f32> = (0..2 * n).map(|i| i as f32 - 1.5).collect();
        let inputs = [Tensor::from_i64([], &[which]), Tensor::from_f32([n as usize, 2], &values)];
        let results = everywhere(&graph, &inputs, &bind).unwrap();
        for (result, scale) in results.iter().zip([2.0 * factor, factor / 4.0, factor / 8.0]) {
            let expected: Vec<f32> = values.iter().map(|x| x * scale).collect();
            assert_eq!(*result, Tensor::from_f32([n as usize, 2], &expected));
        }
    }
}

#[test]
fn the_code_of_a_failure_is_in_the_status() {
    let mut graph = Graph::default();
    let x = graph.input("x", "f32[n,2]".parse().unwrap());
    let y = graph.control(Arc::new(halving()), &[x]).unwrap()[0];
    graph.output("y", y);
    let bind = Bindings::from([(Symbol::new("n"), 1)]);
    for code in [1, 77, (1 << 23) - 1] {
        let x = Tensor::from_f32([1, 2], &[100.0 + code as f32, 0.0]);
        let status = everywhere(&graph, &[x], &bind).unwrap_err();
        assert_eq!(Status::of_call(status as i32), Some((Status::OperatorFailed, code)));
    }
    assert_eq!(Status::of_call(-256 + 19), Some((Status::OperatorFailed, -1)));
}

/// The elements that are above 0, and how many these are; one more than there are for the number 9 alone.
unsafe extern "C" fn positive(inputs: *const Operand, outputs: *const Operand, _: *const c_void) -> i32 {
    let x = unsafe { (*inputs).elements::<i64>() };
    let to = unsafe { &*outputs };
    let found: Vec<i64> = x.iter().copied().filter(|x| *x > 0).collect();
    let room = unsafe { to.elements_mut::<i64>() };
    room[..found.len()].copy_from_slice(&found);
    unsafe { to.set_rows(found.len() as i64 + i64::from(x == [9])) };
    0
}

#[test]
fn a_function_says_how_many_rows_it_wrote() {
    let mut graph = Graph::default();
    let x = graph.input("x", "i64[n]".parse().unwrap());
    let call = Call {
        symbol: "positive".into(),
        operands: types(&["i64[n]"]),
        outputs: types(&["i64[n]"]),
        counted: vec![0],
        attributes: vec![],
        effect: false,
        function: function(positive),
    };
    let results = graph.control(Arc::new(call), &[x]).unwrap();
    graph.add(Bind { symbol: Symbol::new("k"), bound: Dim::sym("n") }, &[results[1]]).unwrap();
    let slice = Slice { start: vec![Dim::zero()], stride: vec![1], shape: vec![Dim::sym("k")] };
    let y = graph.add(slice, &[results[0]]).unwrap();
    let z = graph.add(Binary { f: BinaryFn::Add }, &[y, y]).unwrap();
    graph.output("y", y);
    graph.output("z", z);
    for values in [&[-1, 5, 0, 7][..], &[-1], &[], &[3]] {
        let bind = Bindings::from([(Symbol::new("n"), values.len() as i64)]);
        let expected: Vec<i64> = values.iter().copied().filter(|x| *x > 0).collect();
        let results = everywhere(&graph, &[Tensor::from_i64([values.len()], values)], &bind).unwrap();
        assert_eq!(results[0], Tensor::from_i64([expected.len()], &expected));
    }
    let options = Options { name: "m".into(), ..Options::default() };
    let compiled = driver::compile_graphs(vec![("main".into(), graph)], &options).unwrap();
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface).unwrap();
    let problem = executable.prepare(0, &[Tensor::from_i64([1], &[9])]).unwrap().run(None).unwrap_err();
    assert!(problem.help.is_some_and(|help| help.contains("`k` is 2, and at most 1")), "{}", problem.message);
}

/// What [`note`] was called with.
static NOTES: Mutex<Vec<i64>> = Mutex::new(vec![]);

unsafe extern "C" fn note(inputs: *const Operand, _: *const Operand, attributes: *const c_void) -> i32 {
    assert!(inputs.is_null());
    NOTES.lock().unwrap().push(unsafe { *attributes.cast::<i64>() });
    0
}

#[test]
fn effects_happen_once_and_in_order() {
    let mut graph = Graph::default();
    let x = graph.input("x", "f32[2]".parse().unwrap());
    let mut sum = x;
    for n in 0..4 {
        let call = Call {
            symbol: "note".into(),
            operands: vec![],
            outputs: vec![],
            counted: vec![],
            attributes: vec![("n".into(), Attribute::Int(n / 2))],
            effect: n != 1,
            function: function(note),
        };
        graph.control(Arc::new(call), &[]).unwrap();
        sum = graph.add(Binary { f: BinaryFn::Add }, &[sum, x]).unwrap();
    }
    graph.output("y", sum);
    let options = Options { name: "m".into(), ..Options::default() };
    let compiled = driver::compile_graphs(vec![("main".into(), graph.clone())], &options).unwrap();
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface).unwrap();
    let x = Tensor::from_f32([2], &[1.0, 2.0]);
    executable.prepare(0, slice::from_ref(&x)).unwrap().run(None).unwrap();
    evaluate(&graph, &[x], &Bindings::new()).unwrap();
    // What has no effect is not called, since nobody asks for it.
    assert_eq!(*NOTES.lock().unwrap(), [0, 1, 1, 0, 1, 1]);
}

#[test]
fn without_the_function_nothing_runs() {
    let mut graph = Graph::default();
    let x = graph.input("x", "f32[n,2]".parse().unwrap());
    let y = graph.control(Arc::new(Call { function: None, ..halving() }), &[x]).unwrap()[0];
    graph.output("y", y);
    let options = Options { name: "m".into(), ..Options::default() };
    let compile = |options: &Options| driver::compile_graphs(vec![("main".into(), graph.clone())], options);
    let compiled = compile(&options).unwrap();
    let problems = Executable::new(&compiled.object.bytes(), compiled.interface).err().unwrap().to_string();
    assert!(problems.contains("`halve`, which nothing in this process has") && problems.contains("--plugin"));
    let shared = compile(&Options { shared: Some("libm.so".into()), ..options.clone() }).err().unwrap();
    assert!(shared.to_string().contains("`halve` is somewhere else"));
    let taken = compile(&Options { name: "halve".into(), ..options.clone() });
    assert!(taken.is_ok());
    let call = Call { symbol: "m_main".into(), ..halving() };
    let mut graph = Graph::default();
    let x = graph.input("x", "f32[n,2]".parse().unwrap());
    let y = graph.control(Arc::new(call), &[x]).unwrap()[0];
    graph.output("y", y);
    let problem = driver::compile_graphs(vec![("main".into(), graph)], &options).err().unwrap();
    assert!(problem.to_string().contains("is called like functions of the model"));
}

fn example() -> PathBuf {
    root().join("examples/custom-op")
}

/// The model of the example, compiled into a folder as `model.o` and `model.h`.
fn compile_example(triple: Option<&str>, folder: &Path) {
    let text = fs::read_to_string(example().join("operators.toml")).unwrap();
    let operators = Arc::new(custom::parse(&text).unwrap());
    let model = Model::open(example().join("model"), &saved::Options { operators, ..Default::default() }).unwrap();
    let options = Options { name: "model".into(), target: triple.map(str::to_owned), ..Options::default() };
    let compiled = driver::compile(&model, &options, &mut |_| ()).unwrap_or_else(|e| panic!("{e}"));
    fs::write(folder.join("model.o"), compiled.object.bytes()).unwrap();
    fs::write(folder.join("model.h"), compiled.header).unwrap();
}

const PRINTED: &str = "3 times 3\n1 times 0\n2 times 7\n1 times 3\nfirst: -4\nsecond: -1\n-1 -0.5 0 0.5\n";

fn check_example(run: &mut Command) {
    let out = run.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!((String::from_utf8_lossy(&out.stdout).as_ref(), out.status.code()), (PRINTED, Some(1)), "{said}");
    assert!(said.ends_with("eight: 22\n"), "{said}");
}

/// The example in C, on this machine by all kinds of links, and on others.
#[test]
fn the_c_example() {
    let machines = [
        ("aarch64", "aarch64-unknown-linux-gnu"),
        ("riscv64", "riscv64gc-unknown-linux-gnu"),
        ("s390x", "s390x-unknown-linux-gnu"),
    ];
    let others = machines.map(|(machine, triple)| {
        (format!("{machine}-linux-gnu-gcc"), Some(format!("qemu-{machine}-static")), Some(triple), &["-static"][..])
    });
    let here = [&["-static"][..], &["-no-pie"], &["-pie", "-fPIE"]].map(|flags| ("cc".into(), None, None, flags));
    for (compiler, emulator, triple, flags) in here.into_iter().chain(others) {
        let needed: Vec<&str> =
            [Some(&compiler), emulator.as_ref()].into_iter().flatten().map(String::as_str).collect();
        if !have(&needed) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        compile_example(triple, folder.path());
        let program = folder.path().join("custom-op");
        let mut cc = Command::new(&compiler);
        cc.args(["-std=c11", "-O1", "-Wall", "-Wextra", "-pedantic", "-Werror"])
            .args(flags)
            .arg("-I")
            .arg(folder.path());
        cc.args([example().join("main.c"), example().join("operators.c"), folder.path().join("model.o")]);
        output(cc.arg("-o").arg(&program));
        let mut run = emulator.map_or_else(|| Command::new(&program), Command::new);
        if triple.is_some() {
            run.arg(&program);
        }
        check_example(&mut run);
    }
}

/// The functions in a shared library beside the program, and in one with the model.
#[test]
fn the_functions_may_be_in_a_shared_library() {
    if !have(&["cc"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    compile_example(None, folder.path());
    let cc = |args: &[&str], files: &[PathBuf], to: &str| {
        let mut cc = Command::new("cc");
        output(cc.args(["-O1", "-I"]).arg(folder.path()).args(files).args(args).arg("-o").arg(file(to)));
    };
    cc(&["-shared", "-fPIC"], &[example().join("operators.c")], "liboperators.so");
    let main = example().join("main.c");
    let rpath = format!("-Wl,-rpath,{}", folder.path().display());
    cc(&[&rpath], &[main.clone(), file("model.o"), file("liboperators.so")], "beside");
    check_example(&mut Command::new(file("beside")));
    cc(&["-shared", "-fPIC"], &[example().join("operators.c"), file("model.o")], "libmodel.so");
    cc(&[&rpath], &[main, file("libmodel.so")], "with");
    check_example(&mut Command::new(file("with")));
}

/// The functions in Rust, linked with the program in C.
#[test]
fn the_rust_example() {
    if !have(&["cargo", "cc"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    compile_example(None, folder.path());
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--offline", "--locked", "--manifest-path"]).arg(example().join("Cargo.toml"));
    output(cargo.env("CARGO_TARGET_DIR", folder.path()));
    let program = folder.path().join("custom-op");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-I"]).arg(folder.path()).arg(example().join("main.c"));
    cc.args(["model.o", "debug/liboperators.a"].map(|name| folder.path().join(name)));
    output(cc.args(["-lpthread", "-ldl", "-lm", "-o"]).arg(&program));
    check_example(&mut Command::new(&program));
}
