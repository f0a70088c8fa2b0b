//! The runtime's safe calls, against a model written by hand; and the C headers, against the runtime.
//!
//! The model `sum` adds `b[n]` to each row of `a[m,n]` and tells the least element of `a` as `least[max(m,1)]`. It is
//! served where `n <= 8`, and its workspace grows with `m`.

use std::{ffi::c_void, fs, process::Command, slice};

use smc::{
    base::Dim,
    emit::{
        descriptor::descriptor,
        interface::{Guard, Interface, Level, signatures},
    },
    tensor::{DType, TensorType},
};
use smc_runtime::{
    BorrowedWorkspace, Descriptor, ElementType, Error, FixedWorkspace, GrowingWorkspace, Model, OutputText, Pool,
    Signature, Status, Text,
    abi::{Task, Threads, WORKSPACE_ALIGN},
    descriptor::{LAYOUT, Order},
    error::Name,
};
use smc_tests::{
    nets::COUNTED,
    programs::{have, output, root},
};

#[repr(C)]
struct Io {
    a: *const f32,
    b: *const f32,
    sum: *mut f32,
    least: *mut f32,
    m: i64,
    n: i64,
    threads: *const Threads,
    cpu: u64,
}

unsafe extern "C" fn workspace_bytes(signature: u32, io: *const c_void) -> i64 {
    // SAFETY: the runtime passes the struct that the descriptor describes.
    let io = unsafe { &*io.cast::<Io>() };
    match () {
        _ if signature != 0 => -10,
        _ if io.m < 0 || io.n < 0 => -4,
        _ => 64 * io.m,
    }
}

unsafe extern "C" fn invoke(_: u32, io: *const c_void, workspace: *mut c_void, bytes: usize) -> i32 {
    // SAFETY: as above.
    let io = unsafe { &*io.cast::<Io>() };
    assert!(workspace.addr().is_multiple_of(WORKSPACE_ALIGN) && bytes as i64 >= 64 * io.m);
    unsafe extern "C" fn rows(io: *mut c_void, begin: i64, end: i64) {
        // SAFETY: the slices have the lengths that the descriptor states; each row is written by one task.
        unsafe {
            let io = &*io.cast::<Io>();
            for i in begin * io.n..end * io.n {
                *io.sum.add(i as usize) = *io.a.add(i as usize) + *io.b.add((i % io.n) as usize);
            }
        }
    }
    if io.cpu == 4 {
        return Status::NoSuchCpu.code();
    }
    // SAFETY: the runtime has checked every pointer.
    unsafe {
        let all = ptr_to(io);
        match io.threads.as_ref() {
            Some(threads) => (threads.parallel_for)(threads.pool, rows as Task, all, io.m, 1_000_000),
            None => rows(all, 0, io.m),
        }
        let a = slice::from_raw_parts(io.a, (io.m * io.n) as usize);
        let least = a.iter().copied().fold(f32::INFINITY, f32::min);
        slice::from_raw_parts_mut(io.least, io.m.max(1) as usize).fill(least);
        if least == -1.0 { Status::AssertionFailed.code() } else { 0 }
    }
}

fn ptr_to(io: &Io) -> *mut c_void {
    std::ptr::from_ref(io).cast_mut().cast()
}

/// Runs `test` with the model's only signature.
fn with_model(test: impl FnOnce(Signature<'_>)) {
    let tensor = |key: &str, ty: &str| (key.to_owned(), ty.parse().unwrap());
    let inputs = vec![tensor("a", "f32[m,n]"), tensor("b", "f32[n]")];
    let outputs = vec![tensor("sum", "f32[m,n]"), tensor("least", "f32[max(m,1)]")];
    let mut signatures = signatures(vec![("add".into(), inputs, outputs)]);
    signatures[0].workspace = "64*m".parse().unwrap();
    let at_most = "max(n,8)".parse().unwrap();
    let level = |name: &str, number| Level { name: name.into(), number };
    let levels = vec![level("x86-64", 1), level("x86-64-v4", 4)];
    signatures[0].guards.push(Guard { left: at_most, right: 8.into(), text: "n <= 8".into() });
    let model = Interface {
        name: "sum".into(),
        compiler: "hand".into(),
        fingerprint: [0; 32],
        levels,
        binds_weights: false,
        signatures,
        state: None,
        operators: vec![],
    };
    let bytes = descriptor(&model, Order::NATIVE).unwrap();
    // SAFETY: the descriptor describes the functions above.
    let model = unsafe { Model::new(bytes.as_ptr(), invoke, workspace_bytes) }.unwrap();
    assert_eq!(model.signature("sub").unwrap_err(), Error::NoSuchSignature(Name::new("sub")));
    test(model.signature("add").unwrap());
}

#[test]
fn a_call_computes_at_every_width_and_with_every_workspace() {
    with_model(|add| {
        assert_eq!(add.dimensions().collect::<Vec<_>>(), ["m", "n"]);
        assert_eq!(add.inputs().map(|t| (t.key(), t.rank())).collect::<Vec<_>>(), [("a", 2), ("b", 1)]);
        let (a, b) = ([1f32, 2.0, 3.0, 4.0, 5.0, 6.0], [10f32, 20.0, 30.0]);
        for width in 0..4 {
            let (mut sum, mut least) = ([0f32; 6], [0f32; 2]);
            let pool = Pool::new(width).unwrap();
            let mut call = add.call().unwrap();
            call.input("a", &a, &[2, 3]).unwrap().input("b", &b, &[3]).unwrap();
            assert_eq!((call.output_count("sum"), call.output_extent("sum", 1)), (Ok(6), Ok(3)));
            call.output("sum", &mut sum).unwrap().output("least", &mut least).unwrap();
            if width > 0 {
                call.threads(&pool);
            }
            call.run(&mut GrowingWorkspace::new()).unwrap();
            call.run(&mut FixedWorkspace::<128>::new()).unwrap();
            call.run(&mut BorrowedWorkspace::new(&mut [std::mem::MaybeUninit::uninit(); 192])).unwrap();
            let short = call.run(&mut FixedWorkspace::<127>::new());
            assert_eq!(short, Err(Error::Workspace { needed: 128 }));
            assert_eq!((sum, least), ([11.0, 22.0, 33.0, 14.0, 25.0, 36.0], [1.0; 2]));
        }
    });
}

#[test]
fn an_empty_call_gives_the_empty_answer() {
    with_model(|add| {
        let mut least = [0f32];
        let mut call = add.call().unwrap();
        call.input::<f32>("a", &[], &[0, 3]).unwrap().input("b", &[1f32; 3], &[3]).unwrap();
        call.output::<f32>("sum", &mut []).unwrap().output("least", &mut least).unwrap();
        call.run(&mut GrowingWorkspace::new()).unwrap();
        assert_eq!(least, [f32::INFINITY]);
    });
}

#[test]
fn every_mistake_is_named() {
    with_model(|add| {
        let name = Name::new;
        let (a, b, bytes) = ([0f32; 20], [0f32; 9], [0u8; 20]);
        let error = |shape_a: &[usize], shape_b: &[usize], sum: usize| {
            let (mut out, mut least) = ([0f32; 20], [0f32; 1]);
            let (a, b) = (&a[..shape_a.iter().product()], &b[..shape_b.iter().product()]);
            let mut call = add.call()?;
            call.input("a", a, shape_a)?.input("b", b, shape_b)?;
            call.output("sum", &mut out[..sum])?.output("least", &mut least)?.run(&mut GrowingWorkspace::new())
        };
        assert_eq!(error(&[1, 5], &[5], 5), Ok(()));
        assert_eq!(error(&[5], &[5], 5), Err(Error::Rank { tensor: name("a"), expected: 2, given: 1 }));
        let conflict = Error::Conflict { dimension: name("n"), first: 5, second: 4 };
        assert_eq!(error(&[1, 5], &[4], 5), Err(conflict));
        assert_eq!(conflict.to_string(), "the dimension `n` is both 5 and 4");
        assert_eq!(error(&[1, 5], &[5], 4), Err(Error::Length { tensor: name("sum"), expected: 5, given: 4 }));
        let length = Error::Length { tensor: name("least"), expected: 2, given: 1 };
        assert_eq!(error(&[2, 5], &[5], 10), Err(length));
        assert_eq!(error(&[1, 9], &[9], 9), Err(Error::BrokenGuard(name("n <= 8"))));

        let mut call = add.call().unwrap();
        let wrong = call.input("a", &bytes, &[4, 5]).err().unwrap();
        assert_eq!(wrong, Error::Element { tensor: name("a"), expected: ElementType::F32, given: "u8" });
        assert_eq!(call.input("c", &a, &[20]).err(), Some(Error::NoSuchTensor(name("c"))));
        assert_eq!(call.input("sum", &a, &[20]).err(), Some(Error::NoSuchTensor(name("sum"))));
        let length = Error::Length { tensor: name("a"), expected: 21, given: 20 };
        assert_eq!(call.input("a", &a, &[7, 3]).err(), Some(length));
        let overflow = call.input("a", &a, &[usize::MAX, 3]).err();
        assert_eq!(overflow, Some(Error::Status(Status::BadDimension)));
        assert_eq!(call.dim("batch", 3).err(), Some(Error::NoSuchDimension(name("batch"))));
        assert_eq!(call.run(&mut GrowingWorkspace::new()), Err(Error::UnknownDimension(name("m"))));
        call.dim("m", 4).unwrap().dim("n", 5).unwrap();
        assert_eq!(call.run(&mut GrowingWorkspace::new()), Err(Error::Missing(name("a"))));
        assert_eq!(call.dim("m", 3).err(), Some(Error::Conflict { dimension: name("m"), first: 4, second: 3 }));
        assert_eq!(add.call_with::<7>().err(), Some(Error::TooManyMembers { needed: 8, room: 7 }));

        let (mut sum, mut least) = ([0f32; 2], [0f32; 1]);
        let mut call = add.call().unwrap();
        call.input("a", &[1f32, 0.0], &[1, 2]).unwrap().input("b", &[0f32; 2], &[2]).unwrap();
        call.output("sum", &mut sum).unwrap().output("least", &mut least).unwrap();
        assert_eq!(call.cpu("x86-64-v3").err(), Some(Error::NoSuchCpu(name("x86-64-v3"))));
        assert_eq!(call.cpu("x86-64").unwrap().run(&mut GrowingWorkspace::new()), Ok(()));
        let refused = call.cpu("x86-64-v4").unwrap().run(&mut GrowingWorkspace::new());
        assert_eq!(refused, Err(Error::Status(Status::NoSuchCpu)));

        let (mut sum, mut least) = ([0f32; 2], [0f32; 1]);
        let mut call = add.call().unwrap();
        call.input("a", &[-1f32, 0.0], &[1, 2]).unwrap().input("b", &[0f32; 2], &[2]).unwrap();
        call.output("sum", &mut sum).unwrap().output("least", &mut least).unwrap();
        let failed = call.run(&mut GrowingWorkspace::new()).unwrap_err();
        assert_eq!(failed, Error::Status(Status::AssertionFailed));
        assert_eq!(failed.to_string(), "an assertion of the model failed");
    });
}

/// `runtime/include/smc.h` and the runtime crate agree on every struct.
#[test]
fn the_c_structs_are_those_of_the_runtime() {
    if !have(&["cc"]) {
        return;
    }
    let mut source = String::from("#include \"smc.h\"\n#define SAME(n, a, b) typedef char n[(a) == (b) ? 1 : -1]\n");
    for (name, bytes, fields) in LAYOUT {
        let c_name = format!("smc_{}", name.to_lowercase());
        source += &format!("SAME(size_{name}, sizeof(struct {c_name}), {bytes});\n");
        for (field, offset) in *fields {
            source += &format!("SAME({name}_{field}, offsetof(struct {c_name}, {field}), {offset});\n");
        }
    }
    for element in ElementType::ALL {
        let c_name = format!("SMC_{element:?}").to_uppercase();
        source += &format!("SAME(code_{element:?}, {c_name}, {});\n", element.code());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout.c");
    fs::write(&path, source).unwrap();
    let include = root().join("runtime/include");
    output(Command::new("cc").args(["-std=c99", "-fsyntax-only", "-I"]).arg(include).arg(path));
}

/// `smc_eval` in C and `Descriptor::eval` in Rust have the same values and refuse the same overflows.
#[test]
fn c_and_rust_evaluate_alike() {
    if !have(&["cc"]) {
        return;
    }
    let mut seed = 7u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % below
    };
    // Both symbols are in the first extent, so that they are the signature's.
    let mut dims: Vec<Dim> = vec!["n*m-m".parse().unwrap(), 3.into(), Dim::sym("n"), Dim::sym("m"), i64::MAX.into()];
    let formulas = [
        "i32((f32(n)*0.7f32))",
        "i64(((f64(n)/-3f32)+(f32(m)-0.1f64)))",
        "i64(round((f64(n)/2f32)))+i32(floor((f32(m)*-0.5f32)))+i64(ceil((f64(n)*1.5f32)))+i64(trunc(f32(m)))",
        "i64(max(abs(neg(f64(n))),min(f64(m),(1f32/f64(n)))))",
        "select(less(f32(n),f32(m)),n-m,m)+less_equal(f64(n),f64(m))+equal(f64(n),f64(m))",
        "and(n,m-9)+or(n-3,m)-xor(n,m)",
        "shl(n-3,m)",
        "shr(n-3,m)",
        "pow(n-3,m)",
        "quotient(n-3,m-2)",
    ];
    dims.extend(formulas.map(|text| text.parse::<Dim>().unwrap()));
    while dims.len() < 60 {
        let (a, b) =
            (dims[random(dims.len() as u64) as usize].clone(), dims[random(dims.len() as u64) as usize].clone());
        dims.push(match random(5) {
            0 => a + b,
            1 => a - b,
            2 => a * b,
            3 => a.floor_div(&b),
            _ => a.at_least(&b),
        });
        if dims.last().is_some_and(|d| d.to_string().len() > 200) {
            dims.pop();
        }
    }
    // An input for each: the elements of one of all these extents are more than terms can say.
    let input = |(n, dim): (usize, Dim)| (format!("x{n}"), TensorType::new(DType::F32, vec![dim]));
    let inputs = dims.into_iter().enumerate().map(input).collect();
    let signatures = signatures(vec![("s".into(), inputs, vec![])]);
    let model = Interface {
        name: "m".into(),
        compiler: "hand".into(),
        fingerprint: [0; 32],
        levels: vec![],
        binds_weights: false,
        signatures,
        state: None,
        operators: vec![],
    };
    let bytes = descriptor(&model, Order::NATIVE).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (file, program) = (folder.path().join("descriptor"), folder.path().join("evaluate"));
    fs::write(&file, &bytes).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsanitize=undefined", "-fno-sanitize-recover"]);
    cc.arg("-I").arg(root().join("runtime/include")).arg("-o").arg(&program);
    output(cc.arg(root().join("tests/consumers/evaluate.c")));

    let values = [0, 1, 2, 3, 7, 100, -1, 1 << 31, 1 << 33, 1 << 61, i64::MAX - 1, i64::MAX, i64::MIN];
    let pairs: Vec<[i64; 2]> = values.iter().flat_map(|&m| values.map(|n| [m, n])).collect();
    let mut evaluate = Command::new(&program);
    let printed = output(evaluate.arg(&file).args(pairs.iter().flatten().map(i64::to_string)));
    let read = Descriptor::new(&bytes).unwrap();
    let inputs = read.items(read.signatures().next().unwrap().inputs);
    let extents: Vec<_> = inputs.map(|input| read.items(input.extents).next().unwrap()).collect();
    let mut lines = printed.lines();
    for pair in pairs {
        for &extent in &extents {
            let expected = read.eval(extent, &pair).map_or_else(|e| e.to_string(), |n| n.to_string());
            assert_eq!(lines.next(), Some(expected.as_str()), "{pair:?}");
        }
    }
}

/// Without its features the runtime is `no_std`, and what it names exists in `core`.
#[test]
fn the_runtime_builds_without_std() {
    let folder = tempfile::tempdir().unwrap();
    let mut rustc = Command::new("rustc");
    rustc.args(["--crate-type", "lib", "--crate-name", "smc_runtime", "--edition", "2024", "--emit", "metadata"]);
    rustc.args(["-D", "warnings", "--out-dir"]).arg(folder.path());
    output(rustc.arg(root().join("runtime/src/lib.rs")));
}

/// The model of one graph, with the signature `main`. Its object stays in memory.
fn compiled(graph: &str) -> Model<'static> {
    let graph = smc::graph::text::parse(graph, &Default::default()).unwrap_or_else(|e| panic!("{e}"));
    let options = smc::driver::Options { name: "m".into(), ..Default::default() };
    let compiled =
        smc::driver::compile_graphs(vec![("main".into(), graph)], &options).unwrap_or_else(|e| panic!("{e}"));
    let loaded = Box::leak(Box::new(smc::emit::load::Loaded::new(&compiled.object.bytes()).unwrap()));
    let symbol = |name: &str| loaded.symbol(name).unwrap();
    // SAFETY: the object exports these with these types, and is never unloaded.
    unsafe {
        let invoke = std::mem::transmute::<*const u8, smc_runtime::abi::Invoke>(symbol("m_invoke"));
        let bytes = std::mem::transmute::<*const u8, smc_runtime::abi::WorkspaceBytes>(symbol("m_workspace_bytes"));
        Model::new(symbol("m_descriptor"), invoke, bytes).unwrap()
    }
}

/// A compiled model whose output has as many elements as the values say.
#[test]
fn sizes_that_data_decide_are_known_after_the_call() {
    let rest = r#"
        %k = bind {"symbol":"k","bound":"n"} %count
        %rest = slice {"start":["k"],"stride":[1],"shape":["n-k"]} %x
        output "rest" %rest"#;
    let model = compiled(&format!("{COUNTED}{rest}"));
    let signature = model.signature("main").unwrap();
    assert_eq!(
        (signature.dimensions().collect::<Vec<_>>(), signature.given().collect::<Vec<_>>()),
        (vec!["n", "k"], vec!["n"])
    );
    let mut workspace = GrowingWorkspace::default();
    for (x, rest) in [(vec![1.0f32, -2.0, 3.0, -4.0], vec![3.0f32, -4.0]), (vec![-1.0], vec![-1.0]), (vec![], vec![])] {
        let shape = [x.len()];
        let mut memory = vec![0.0f32; x.len()];
        {
            let mut call = signature.call().unwrap();
            call.input("x", &x, &shape).unwrap();
            assert_eq!(call.output_count("rest"), Ok(x.len()), "room for all of them");
            assert_eq!(call.dim("k", 1).err(), Some(Error::NoSuchDimension(Name::new("k"))));
            assert_eq!(call.value("k"), Err(Error::UnknownDimension(Name::new("k"))));
            call.output("rest", &mut memory).unwrap();
            for _ in 0..2 {
                call.run(&mut workspace).unwrap();
                assert_eq!(call.value("k"), Ok((x.len() - rest.len()) as i64));
                assert_eq!(call.output_extent("rest", 0), Ok(rest.len()));
            }
        }
        assert_eq!(memory[..rest.len()], rest);
    }
}

/// A compiled model of strings: what goes in is lent, what comes out is read where it lies.
#[test]
fn strings_are_lent_and_read() {
    let text = r#"input "word" %word
        %word = input : str[n]
        %stripped = text_strip {} %word
        output "stripped" %stripped"#;
    let model = compiled(text);
    let signature = model.signature("main").unwrap();
    assert_eq!(signature.inputs().next().unwrap().element(), Ok(ElementType::Str));
    let words = [Text::from(" a b\n"), Text::new(b"\0\xff"), Text::from("")];
    let (shape, mut stripped) = ([words.len()], [OutputText::EMPTY; 3]);
    let mut workspace = GrowingWorkspace::default();
    let mut call = signature.call().unwrap();
    let wrong = call.input("word", &[1u8], &[1]).err();
    assert_eq!(wrong, Some(Error::Element { tensor: Name::new("word"), expected: ElementType::Str, given: "u8" }));
    call.input_text("word", &words, &shape).unwrap().output_text("stripped", &mut stripped).unwrap();
    call.run(&mut workspace).unwrap();
    // SAFETY: the words and the workspace are as they were in the call.
    let found = stripped.map(|text| unsafe { text.bytes() });
    assert_eq!(found, [&b"a b"[..], b"\0\xff", b""]);
    assert_eq!(stripped.map(|text| text.len()), [3, 2, 0]);
}
