//! No kernel reads or writes outside of its buffers, by a byte: models and kernels run with each input, output, workspace
//! and the weights against a page that nobody may touch, behind it and before it, at every CPU level of this machine.
//!
//! A kernel that does is stopped by the system; the last line then says what ran. That this works is shown by calls that
//! lie about their buffers, in programs of their own.

use std::{os::unix::process::ExitStatusExt, process::Command, sync::Mutex};

use smc::{
    base::{Bindings, Dim, Symbol},
    driver::{self, Options},
    emit::load::{Fence, Loaded},
    graph::{Graph, NodeId, random as graphs},
    loops::{BinaryFn, random as loops},
    native::Target,
    op::{Binary, Concat, Conv, Dot, Pad, Reduce, Transpose, Window},
    tensor::{DType, Scalar, Tensor},
    tf,
};
use smc_tests::{
    cases::{Open, Operand, bindings, one_node, read_cases},
    fenced::{self, Fenced, SIDES, doing},
    forms, kernels,
    nets::Net,
};

/// What is being done is known of one test at a time.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(|e| e.into_inner())
}

/// All levels of this machine in one object.
fn levels() -> String {
    Target::native_levels().join(",")
}

/// The kernel of a case as a model of its own, all buffers fenced.
fn run_kernel(target: &Target, case: &loops::Case) {
    let object = kernels::object(target, "m", std::slice::from_ref(case)).bytes();
    let program = kernels::program(case, &mut Default::default());
    for side in SIDES {
        let loaded = Loaded::fenced(&object, side).unwrap();
        for level in &target.levels {
            doing(format!("{} at {}, pages {side:?}\n{}", case.kernel.name, level.cpu, case.kernel));
            let buffer = |name: &str| name[1..].parse::<usize>().unwrap();
            let size = |n: usize| case.kernel.buffers.iter().nth(n).unwrap().1.dtype.size();
            let input = |n: usize| Fenced::holding(&case.buffers[n], size(n), side);
            let inputs: Vec<Fenced> = program.inputs.iter().map(|p| input(buffer(&p.name))).collect();
            let output = |n: usize| Fenced::new(case.buffers[n].len(), size(n), side);
            let outputs: Vec<Fenced> = program.outputs.iter().map(|p| output(buffer(&p.name))).collect();
            let mut io: Vec<u64> = inputs.iter().chain(&outputs).map(|b| b.address() as u64).collect();
            io.extend(case.bind.values().map(|&n| n as u64));
            io.extend([0, level.number.into()]);
            // SAFETY: the io struct holds a pointer per input and output of the sizes that the kernel declares, the
            // symbols in the program's order, no threads and a level; the program needs no workspace.
            unsafe { loaded.call("m_run0", io.as_ptr(), std::ptr::null_mut(), 0) };
        }
    }
}

/// A graph at every level between pages on either side: all give the same outputs, but for roundings between levels.
fn run_graph(what: &str, graph: &Graph, inputs: &[Tensor], bind: &Bindings) {
    let options = Options { name: "m".into(), cpu: Some(levels()), ..Options::default() };
    doing(format!("compiling {what}"));
    let compiled = driver::compile_graphs(vec![("main".into(), graph.clone())], &options)
        .unwrap_or_else(|problems| panic!("{what}: {problems}"));
    let object = compiled.object.bytes();
    for level in &compiled.interface.levels {
        let mut seen = None;
        for side in SIDES {
            doing(format!("{what} at {}, pages {side:?}\n{}", level.name, smc::graph::text::print(graph).0));
            let loaded = Loaded::fenced(&object, side).unwrap();
            let results = fenced::call(&loaded, &compiled.interface, 0, inputs, bind, level.number, side);
            let bits = |t: &Tensor| match t.has_strings() {
                true => t.strings().to_vec(),
                false => vec![t.bytes().to_vec()],
            };
            let bits: Option<Vec<Vec<Vec<u8>>>> = results.ok().map(|tensors| tensors.iter().map(bits).collect());
            let first = seen.get_or_insert_with(|| bits.clone());
            assert!(*first == bits, "{what} at {}: the answer depends on where the buffers lie", level.name);
        }
    }
}

#[test]
fn every_form_of_kernel_stays_inside() {
    let _alone = alone();
    let target = Target::new(None, Some(&levels())).unwrap();
    forms::all().iter().for_each(|form| run_kernel(&target, &form.case));
}

#[test]
fn random_kernels_stay_inside() {
    let _alone = alone();
    let target = Target::new(None, Some(&levels())).unwrap();
    let first = smc_tests::first_seed();
    for seed in first..first + 100 {
        run_kernel(&target, &loops::case(seed, loops::Options { size: 12, exact: true }));
    }
}

#[test]
fn random_graphs_stay_inside() {
    let _alone = alone();
    let first = smc_tests::first_seed();
    for seed in 0..80 {
        let case = graphs::case(first + seed, 4 + seed as usize % 20);
        run_graph(&format!("seed {}", first + seed), &case.graph, &case.inputs, &case.bind);
    }
}

/// Every fourth recorded case, with all extents open where that applies.
#[test]
fn recorded_cases_stay_inside() {
    let _alone = alone();
    let mut runs = 0;
    for file in read_cases().iter().filter(|file| tf::find(&file.op).is_some()) {
        for (n, case) in file.cases.iter().enumerate().filter(|(n, case)| n % 4 == 0 && !case.uses_pending_type()) {
            let open = if n % 8 == 0 { Open::All } else { Open::None };
            let Ok(graph) = one_node(&file.op, case, open) else { continue };
            let refuse = |_: &smc::saved::Variable| Err(smc::base::Diagnostic::error("there are no variables").into());
            let Ok(imported) = tf::import(&graph, &refuse, &tf::Options::default()) else { continue };
            let inputs: Vec<Tensor> = case.inputs.iter().filter(|i| !i.is_const).map(Operand::tensor).collect();
            let Some(bind) = bindings(&imported, &inputs) else { continue };
            run_graph(&format!("{} / {}", file.op, case.name), &imported.graph, &inputs, &bind);
            runs += 1;
        }
    }
    assert!(runs > 200, "only {runs} cases ran");
}

/// Runs a net with random inputs.
fn run_net(mut net: Net, what: &str, outputs: &[NodeId], bind: &[(&str, i64)]) {
    outputs.iter().enumerate().for_each(|(n, &id)| net.graph.output(format!("y{n}"), id));
    let bind: Bindings = bind.iter().map(|(name, n)| (Symbol::new(name), *n)).collect();
    let types: Vec<_> = net.graph.inputs.iter().map(|p| net.graph.ty(p.node).clone()).collect();
    let inputs: Vec<Tensor> = types.iter().map(|ty| graphs::tensor(&mut net.rng, ty, &bind)).collect();
    run_graph(what, &net.graph, &inputs, &bind);
}

/// Around the ends of vectors of 16, 32 and 64 bytes of floats, and of panels of 64.
const EDGES: [usize; 16] = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 97];

#[test]
fn pointwise_work_of_every_type_stays_inside() {
    let _alone = alone();
    for dtype in [DType::I8, DType::U16, DType::I32, DType::I64, DType::F16, DType::BF16, DType::F32, DType::F64] {
        for n in EDGES.into_iter().chain([127, 129]) {
            let mut net = Net::new(1);
            let x = net.input(dtype, &format!("{n}"));
            let y = net.input(dtype, "N");
            let w = net.weights(dtype, &[n]);
            let sum = net.with(BinaryFn::Add, x, w);
            let sum = net.relu(sum);
            let double = net.add(Binary { f: BinaryFn::Add }, &[y, y]);
            let wide = net.add(smc::op::Cast { to: DType::F32 }, &[x]);
            run_net(net, &format!("{n} of {dtype}"), &[sum, double, wide], &[("N", n as i64)]);
        }
    }
}

#[test]
fn matrix_products_stay_inside() {
    let _alone = alone();
    for (n, columns) in EDGES.into_iter().enumerate() {
        for (k, depth) in [1, 3, 8, 17].into_iter().enumerate() {
            let dtype = [DType::F32, DType::F32, DType::F64][(n + k) % 3];
            let rows = [1, 2, 5, 6, 7, 13, 14, 15, 29][(n + 2 * k) % 9];
            let mut net = Net::new(1);
            // A constant and a given right operand; rows known and open.
            let (x, z) = (net.input(dtype, &format!("{rows},{depth}")), net.input(dtype, &format!("N,{depth}")));
            let given = net.input(dtype, &format!("{depth},{columns}"));
            let w = net.weights(dtype, &[depth, columns]);
            let bias = net.weights(dtype, &[columns]);
            let mut outputs = vec![];
            for (x, right) in [(x, w), (z, w), (x, given), (z, given)] {
                let y = net.add(Dot {}, &[x, right]);
                let y = net.with(BinaryFn::Add, y, bias);
                outputs.push(net.relu(y));
            }
            run_net(net, &format!("{rows}x{depth}x{columns} of {dtype}"), &outputs, &[("N", rows)]);
        }
    }
}

#[test]
fn convolutions_and_pools_stay_inside() {
    let _alone = alone();
    for (n, channels) in EDGES.into_iter().enumerate() {
        let (size, stride) = ([1, 3, 2, 5][n % 4], 1 + n as i64 % 2);
        let (height, width) = ([1, 4, 7, 9][n % 4], [5, 8, 13][n % 3]);
        let filters = EDGES[(n * 5 + 3) % EDGES.len()];
        let conv = |groups| Conv {
            stride: vec![stride; 2],
            dilation: vec![1; 2],
            input_dilation: vec![1; 2],
            low: vec![Dim::from(size as i64 / 2); 2],
            high: vec![Dim::from(size as i64 / 2); 2],
            groups,
        };
        let mut net = Net::new(1);
        let x = net.input(DType::F32, &format!("N,{height},{width},{channels}"));
        let filter = net.weights(DType::F32, &[size, size, channels, filters]);
        let bias = net.weights(DType::F32, &[filters]);
        let y = net.add(conv(1), &[x, filter]);
        let y = net.with(BinaryFn::Add, y, bias);
        let y = net.relu(y);
        let filter = net.weights(DType::F32, &[size, size, 1, channels]);
        let depthwise = net.add(conv(channels), &[x, filter]);
        let window = |f| Window {
            f,
            size: vec![1, 2, 2, 1],
            stride: vec![1, stride, stride, 1],
            dilation: vec![1; 4],
            low: vec![Dim::zero(); 4],
            high: vec![Dim::zero(), Dim::one(), Dim::one(), Dim::zero()],
        };
        let (most, sum) = (net.add(window(BinaryFn::Max), &[x]), net.add(window(BinaryFn::Add), &[x]));
        let what = format!("{height}x{width}x{channels}, {size}x{size}x{filters} by {stride}");
        run_net(net, &what, &[y, depthwise, most, sum], &[("N", 1 + n as i64 % 3)]);
    }
}

/// Tiles in strips, whose memory is that of a slice, of an image and of several.
#[test]
fn strips_of_tiles_stay_inside() {
    let _alone = alone();
    for (shape, channels, batch) in [("N,56,55,64", 64, 1), ("8,15,14,65", 65, 8)] {
        let mut net = Net::new(1);
        let conv = Conv {
            stride: vec![1; 2],
            dilation: vec![1; 2],
            input_dilation: vec![1; 2],
            low: vec![Dim::one(); 2],
            high: vec![Dim::one(); 2],
            groups: 1,
        };
        let x = net.input(DType::F32, shape);
        let filter = net.weights(DType::F32, &[3, 3, channels, channels]);
        let y = net.add(conv, &[x, filter]);
        let y = net.relu(y);
        run_net(net, &format!("3x3 of {shape}"), &[y], &[("N", batch)]);
    }
}

#[test]
fn folds_and_moves_stay_inside() {
    let _alone = alone();
    for (n, columns) in EDGES.into_iter().enumerate() {
        let rows = EDGES[(n * 7 + 2) % EDGES.len()];
        for dtype in [DType::F32, [DType::F64, DType::F16][n % 2]] {
            let mut net = Net::new(1);
            let x = net.input(dtype, &format!("{rows},{columns}"));
            let open = net.input(dtype, "N,M");
            let soft = net.softmax(x);
            let soft_open = net.softmax(open);
            let mut outputs = vec![soft, soft_open];
            for f in [BinaryFn::Add, BinaryFn::Max] {
                for axes in [vec![0], vec![1], vec![0, 1]] {
                    outputs.push(net.add(Reduce { f, axes: axes.clone() }, &[x]));
                    outputs.push(net.add(Reduce { f, axes }, &[open]));
                }
            }
            outputs.push(net.add(Transpose { perm: vec![1, 0] }, &[x]));
            outputs.push(net.add(Transpose { perm: vec![1, 0] }, &[open]));
            let value = net.graph.constant(Tensor::scalar(dtype, Scalar::zero(dtype)));
            let (low, high) = (vec![Dim::one(), Dim::zero()], vec![Dim::zero(), Dim::from(3)]);
            outputs.push(net.add(Pad { low, high }, &[x, value]));
            outputs.push(net.add(Concat { axis: 1 }, &[x, soft, x]));
            let what = format!("{rows}x{columns} of {dtype}");
            run_net(net, &what, &outputs, &[("N", rows as i64), ("M", columns as i64)]);
        }
    }
}

/// The mistakes that must be noticed, by what is wrong with a buffer of 21 floats.
const MISTAKES: [&str; 6] =
    ["input behind", "input before", "output behind", "output before", "weights behind", "an input is written"];

/// A kernel that copies its weights and input: called with memory that is a vector too short, it reads one too far.
fn make_mistake(mistake: &str) {
    let mut net = Net::new(1);
    let x = net.input(DType::F32, "21");
    let w = net.weights(DType::F32, &[21]);
    let y = net.with(BinaryFn::Add, x, w);
    net.graph.output("y", y);
    let options = Options { name: "m".into(), cpu: Some("native".into()), ..Options::default() };
    let compiled = driver::compile_graphs(vec![("main".into(), net.graph)], &options).unwrap();
    let (what, side) = match mistake.rsplit_once(' ').unwrap() {
        (what, "before") => (what, Fence::Before),
        (what, _) => (what, Fence::Behind),
    };
    let mut object = compiled.object.bytes();
    if what == "weights" {
        shorten_weights(&mut object);
    }
    let loaded = Loaded::fenced(&object, side).unwrap();
    let vector = 16;
    let wrong = |bad: bool| {
        let memory = Fenced::new(if bad { 84 - vector } else { 84 }, 4, side);
        let start = memory.address();
        // What is before the memory is as wrong as what is behind it.
        let start = if bad && side == Fence::Before { start.wrapping_sub(vector) } else { start };
        (memory, start as u64)
    };
    let (input, output) = (wrong(what == "input"), wrong(what == "output"));
    let read_only = Fenced::holding(&[0; 84], 4, side);
    let target = if what == "an input is" { read_only.address() as u64 } else { output.1 };
    let io = [input.1, target, 0, 0];
    doing(format!("making the mistake {mistake}"));
    // SAFETY: not safe at all: this is what the test is about, in a process of its own.
    let status = unsafe { loaded.call("m_main", io.as_ptr(), std::ptr::null_mut(), 0) };
    drop((input.0, output.0, read_only));
    println!("status {status}: nobody noticed");
}

/// Makes the symbol of the weights claim 20 bytes less.
fn shorten_weights(object: &mut [u8]) {
    use object::{Object as _, ObjectSymbol as _};
    let file = object::File::parse(&*object).unwrap();
    let symbol = file.symbols().find(|s| s.name() == Ok("m_weights")).unwrap();
    assert_eq!(symbol.size(), 84);
    // In a symbol of 64-bit ELF the place in the section and the size are the last two words.
    let pair = [symbol.address().to_ne_bytes(), symbol.size().to_ne_bytes()].concat();
    let places: Vec<usize> = (0..object.len() - 16).step_by(8).filter(|&at| object[at..at + 16] == pair[..]).collect();
    let &[.., at] = &places[..] else { panic!("the symbol is somewhere") };
    object[at + 8..at + 16].copy_from_slice(&64u64.to_ne_bytes());
}

#[test]
fn mistakes_are_noticed() {
    if let Ok(mistake) = std::env::var("SMC_MISTAKE") {
        return make_mistake(&mistake);
    }
    let run = |mistake: &str| {
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", "mistakes_are_noticed", "--nocapture"]).env("SMC_MISTAKE", mistake);
        program.output().unwrap()
    };
    for mistake in MISTAKES {
        let out = run(mistake);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(
            out.status.signal(),
            Some(libc::SIGSEGV),
            "{mistake}: {said}{}",
            String::from_utf8_lossy(&out.stdout)
        );
        assert!(said.contains(&format!("stopped: making the mistake {mistake}")), "{said}");
    }
    let out = run("none behind");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success() && said.contains("status 0: nobody noticed"), "{said}");
}
