//! Entry programs of whole models, by their interpreter: what a call gives or is refused with is what machine code says,
//! and what the graph means.

use std::sync::Arc;

use smc::{
    base::{Bindings, Dim, Rng, Symbol},
    driver::{self, Executable, Options},
    emit::load::Loaded,
    entry::interp,
    graph::{Graph, Loop, NodeId, evaluate, random, text},
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::{Binary, Bind, Broadcast, Cast, Compare, Conv, Dot, Iota, Reduce, Reshape, Unary},
    plan::Guard,
    tensor::{DType, Scalar, Tensor, TensorType},
};
use smc_runtime::{Parallel, Pool, abi::WorkspaceBytes};
use smc_tests::{
    compare::{agree_as_rounded, agree_up_to_order, shows_bits},
    nets::{Net, OPEN_ROWS},
    planned::Planned,
};

fn bindings(values: &[(&str, i64)]) -> Bindings {
    values.iter().map(|(name, n)| (Symbol::new(name), *n)).collect()
}

fn check(what: &str, planned: &Planned, ways: &[interp::Options], graph: &Graph, inputs: &[Tensor], bind: &Bindings) {
    let expected = evaluate(graph, inputs, bind).unwrap_or_else(|e| panic!("{what}: {e:?}"));
    for &way in ways {
        let answer = planned.call(way, inputs, bind);
        let answer = answer.unwrap_or_else(|status| panic!("{what} {bind:?} {way:?}: status {status}"));
        for (n, (ours, theirs)) in answer.iter().zip(&expected).enumerate() {
            assert!(
                agree_as_rounded(graph, n, ours, theirs) || shows_bits(graph),
                "{what} {bind:?} {way:?}:\n{ours:?}\n{theirs:?}"
            );
        }
    }
}

#[test]
fn random_graphs_mean_the_same_as_entry_programs() {
    for seed in 0..40 {
        let case = random::case(smc_tests::first_seed() + 5000 + seed, 4 + seed as usize % 16);
        let planned = Planned::new(&case.graph, None);
        check(&format!("seed {seed}"), &planned, &planned.ways(), &case.graph, &case.inputs, &case.bind);
    }
}

/// Kernels that take turns, with as many slices as tasks, fewer and more.
#[test]
fn chains_run_slice_by_slice_and_by_threads() {
    for (batch, sizes) in [("2", &[0][..]), ("batch", &[0, 3])] {
        let mut net = Net::new(3);
        let x = net.input(DType::F32, &format!("{batch},24,24,32"));
        let mut rng = Rng::new(4);
        let filter = Tensor::from_fn(DType::F32, vec![3, 3, 32, 33], |_| Scalar::F32(rng.unit() as f32 / 16.0));
        let filter = net.graph.constant(filter);
        let (steps, side) = (|| vec![1; 2], || vec![1.into(); 2]);
        let (dilation, input_dilation) = (steps(), steps());
        let conv = Conv { stride: steps(), dilation, input_dilation, low: side(), high: side(), groups: 1 };
        let y = net.add(conv, &[x, filter]);
        let y = net.relu(y);
        net.graph.output("y", y);
        let planned = Planned::new(&net.graph, None);
        let levels = planned.target.levels.iter().zip(&planned.bodies.open);
        let chained: Vec<u32> =
            levels.filter(|(_, program)| !program.chains.is_empty()).map(|(level, _)| level.number).collect();
        let level = *chained.last().expect("something is chained");
        let ways = [None, Some(3)].map(|threads| interp::Options { level, threads });
        for &n in sizes {
            let bind = bindings(&[("batch", n)]);
            let shape = net.graph.ty(x).concrete(&bind).unwrap();
            let input = Tensor::from_fn(DType::F32, shape, |_| Scalar::F32(rng.unit() as f32 / 16.0));
            check(batch, &planned, &ways, &net.graph, &[input], &bind);
        }
    }
}

const EQUAL: &str = r#"
    input "x" %x
    input "y" %y
    %x = input : f32[a,5]
    %y = input : f32[a,5]
    %sum = binary {"f":"add"} %x %y
    %out = unary {"f":"exp"} %sum
    output "z" %out"#;

fn graph(text: &str) -> Graph {
    text::parse(text, &Default::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// Extents that are refused, with the code that machine code gives for them.
#[test]
fn calls_are_refused_as_machine_code_refuses_them() {
    let (open, equal) = (graph(OPEN_ROWS), graph(EQUAL));
    let when = vec![Guard::Equal("b".parse().unwrap(), "a".parse().unwrap())];
    let planned = Planned::new(&open, Some((&equal, when)));
    let options = Options { name: "m".into(), ..Options::default() };
    let compiled = driver::compile_graphs(vec![("main".into(), open.clone())], &options).unwrap();
    let loaded = Loaded::new(&compiled.object.bytes()).unwrap();
    let symbol = loaded.symbol("m_workspace_bytes").unwrap();
    // SAFETY: every model has the function, and it has this type.
    let workspace_bytes = unsafe { std::mem::transmute::<*const u8, WorkspaceBytes>(symbol) };
    for (a, b) in [(3, 3), (3, 1), (1, 3), (0, 1), (1, 0), (3, 2), (0, 4), (-1, 1), (1 << 41, 1), (1, i64::MIN)] {
        let bind = bindings(&[("a", a), ("b", b)]);
        let fits = |n: i64| (0..100).contains(&n);
        let extent = |n| if fits(n) { n } else { 0 };
        let inputs: Vec<Tensor> = [a, b]
            .iter()
            .map(|&n| random::tensor(&mut Rng::new(1), &"f32[n,5]".parse().unwrap(), &bindings(&[("n", extent(n))])))
            .collect();
        if fits(a) && fits(b) && (a == b || a == 1 || b == 1) {
            check("broadcast", &planned, &planned.ways(), &open, &inputs, &bind);
            continue;
        }
        // Three pointers, the extents, threads and level.
        let io = [0, 0, 0, a, b, 0, 0];
        // SAFETY: of the io struct it reads the extents alone.
        let code = -unsafe { workspace_bytes(0, io.as_ptr().cast()) };
        assert!(code > 0, "{a} {b} are accepted");
        for way in planned.ways() {
            let refusal = planned.call(way, &inputs, &bind).expect_err("the extents are refused");
            assert_eq!(refusal, code, "{a} {b} {way:?}");
        }
    }
}

#[test]
fn threads_of_the_machine_agree_with_threads_of_the_interpreter() {
    let case = random::case(77, 20);
    let options = Options { name: "m".into(), cpu: Some(smc_tests::cpu()), ..Options::default() };
    let compiled = driver::compile_graphs(vec![("main".into(), case.graph.clone())], &options).unwrap();
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface).unwrap();
    let pool = Pool::new(3).unwrap();
    let mut call = executable.prepare_with(0, &case.inputs, case.bind.clone()).unwrap();
    call.run(Some(&pool as &dyn Parallel)).unwrap();
    let planned = Planned::new(&case.graph, None);
    for way in planned.ways() {
        let answer = planned.call(way, &case.inputs, &case.bind).unwrap();
        for (ours, theirs) in answer.iter().zip(call.results()) {
            assert!(agree_up_to_order(ours, &theirs), "{way:?}");
        }
    }
}

/// Checks a graph of inputs of f32 under values of its symbols.
fn check_flow(what: &str, graph: &Graph, bind: &Bindings) {
    let mut rng = Rng::new(9);
    let input = |port: &smc::graph::Port| {
        let ty = graph.ty(port.node);
        let shape = ty.concrete(bind).unwrap();
        match ty.dtype {
            DType::I64 => Tensor::from_i64([], &[bind[&Symbol::new("which")]]),
            dtype => Tensor::from_fn(dtype, shape, |_| Scalar::F32(rng.unit() as f32)),
        }
    };
    let inputs: Vec<Tensor> = graph.inputs.iter().map(input).collect();
    let planned = Planned::new(graph, None);
    check(what, &planned, &planned.ways(), graph, &inputs, bind);
}

/// A loop that carries two values of five rows each; the body makes `%p` and `%q` of `%a` and `%b`.
fn loop_of(body: &str) -> Graph {
    graph(&format!(
        r#"
        input "a" %a
        input "b" %b
        %a = input : f32[5,2]
        %b = input : f32[5,2]
        regions 0 loop {{"carried":2,"count":"T","conditional":false,"step":"s"}}
        graph {{
        input "a" %a
        input "b" %b
        %a = input : f32[5,2]
        %b = input : f32[5,2]
        %row = const [7.0,8.0] : f32[1,2]
        {body}
        output "p" %p
        output "q" %q
        }}
        end
        %x = control {{"of":0,"result":0}} %a %b
        %y = control {{"of":0,"result":1}} %a %b
        output "x" %x
        output "y" %y"#
    ))
}

/// What changes a carried value may do so where it lies only if that is where the result belongs, and nobody else reads it.
#[test]
fn carried_values_keep_what_is_not_replaced() {
    let put = |name: &str, from: &str, at: &str| format!("{name} = put {{\"start\":[{at},0]}} {from} %row\n");
    let bodies = [
        ("in place", [put("%p", "%a", "\"s\""), put("%q", "%b", "1")].concat()),
        ("each the other's", [put("%p", "%b", "\"s\""), put("%q", "%a", "1")].concat()),
        ("twice", [put("%m", "%a", "\"s\""), put("%p", "%m", "0"), put("%q", "%m", "2")].concat()),
        ("one after the other", [put("%m", "%a", "\"s\""), put("%p", "%m", "0"), put("%q", "%b", "2")].concat()),
        ("one for both", [put("%p", "%a", "\"s\""), "%q = unary {\"f\":\"neg\"} %p\n".into()].concat()),
        ("given back", [put("%p", "%a", "\"s\""), "%q = unary {\"f\":\"neg\"} %a\n".into()].concat()),
    ];
    for (what, body) in bodies {
        let graph = loop_of(&body);
        for count in 0..4 {
            check_flow(what, &graph, &bindings(&[("T", count)]));
        }
    }
}

/// A value without elements may lie where another one lies.
#[test]
fn values_without_elements_do_not_hide_others() {
    for (conditional, condition) in [
        (false, ""),
        (
            true,
            "graph {\ninput \"a\" %a\ninput \"b\" %b\n%a = input : f32[N]\n%b = input : f32[3]\n%n = extent s\n\
             %most = const [2] : i64[]\n%on = compare {\"f\":\"lt\"} %n %most\noutput \"on\" %on\n}",
        ),
    ] {
        let graph = graph(&format!(
            r#"
            input "a" %a
            input "b" %b
            %a = input : f32[N]
            %b = input : f32[3]
            regions 0 loop {{"carried":2,"count":"T","conditional":{conditional},"step":"s"}}
            {condition}
            graph {{
            input "a" %a
            input "b" %b
            %a = input : f32[N]
            %b = input : f32[3]
            %p = unary {{"f":"neg"}} %a
            %q = unary {{"f":"exp"}} %b
            output "p" %p
            output "q" %q
            }}
            end
            %x = control {{"of":0,"result":0}} %a %b
            %y = control {{"of":0,"result":1}} %a %b
            %z = unary {{"f":"neg"}} %y
            %v = unary {{"f":"neg"}} %x
            output "v" %v
            output "z" %z"#
        ));
        for (n, count) in [(0, 0), (0, 1), (0, 2), (0, 3), (2, 0), (2, 3)] {
            check_flow(&format!("{conditional}"), &graph, &bindings(&[("N", n), ("T", count)]));
        }
    }
}

/// More branches than blocks may nest, and conditions within them that only formulas say.
#[test]
fn branches_may_be_many_and_have_conditions() {
    let branch = |n: usize| {
        format!(
            "graph {{\ninput \"x\" %x\n%x = input : f32[N]\n%zero = const [0.0] : f32[]\n\
             %wide = pad {{\"low\":[\"i32(f32((f32(N)*0.5f32)))-1\"],\"high\":[{n}]}} %x %zero\n\
             %sum = reduce {{\"f\":\"add\",\"axes\":[0]}} %wide\noutput \"y\" %sum\n}}\n"
        )
    };
    let text = |count: usize| {
        let branches: String = (0..count).map(branch).collect();
        format!(
            "input \"which\" %w\ninput \"x\" %x\n%w = input : i64[]\n%x = input : f32[N]\nregions 0 if\n{branches}end\n\
             %y = control {{\"of\":0,\"result\":0}} %w %x\noutput \"y\" %y"
        )
    };
    for (count, numbers) in [(3, &[-1, 0, 1, 2, 3][..]), (600, &[599])] {
        let graph = graph(&text(count));
        for &which in numbers {
            check_flow(&format!("{which} of {count}"), &graph, &bindings(&[("N", 4), ("which", which)]));
        }
    }
}

/// The state of a recurrence times weights that pass a near cache, in the interpreter and in machine code, by threads too.
#[test]
fn weights_of_a_loop_are_read_there_and_back() {
    there_and_back(false);
}

/// The same where the body finds a size: the number of the iteration is a symbol that nothing else in it names.
#[test]
fn weights_are_read_there_and_back_beside_sizes_that_data_decide() {
    there_and_back(true);
}

/// The number of elements above 0 is a size; numbers up to that are added up, and a little of the sum to every element.
fn with_found_size(net: &mut Net, x: NodeId) -> NodeId {
    let shape = net.graph.shape(x).to_vec();
    let zero = net.graph.constant(Tensor::from_f32([1, 1], &[0.0]));
    let zeros = net.add(Broadcast::to(shape.clone()), &[zero]);
    let above = net.add(Compare { f: CompareFn::Gt }, &[x, zeros]);
    let ones = net.add(Cast { to: DType::I64 }, &[above]);
    let count = net.add(Reduce { f: BinaryFn::Add, axes: vec![0, 1] }, &[ones]);
    let count = net.add(Reshape { shape: vec![] }, &[count]);
    let found = Symbol::new("found");
    net.add(Bind { symbol: found.clone(), bound: smc::tensor::count(&shape) }, &[count]);
    let numbers = net.add(Iota { shape: vec![Dim::from(&found)], axis: 0, dtype: DType::F32 }, &[]);
    let sum = net.add(Reduce { f: BinaryFn::Add, axes: vec![0] }, &[numbers]);
    let little = net.graph.constant(Tensor::from_f32([1], &[1e-9]));
    let little = net.add(Binary { f: BinaryFn::Mul }, &[sum, little]);
    let little = net.add(Reshape { shape: vec![Dim::one(), Dim::one()] }, &[little]);
    let little = net.add(Broadcast::to(shape), &[little]);
    net.add(Binary { f: BinaryFn::Add }, &[x, little])
}

fn there_and_back(finds: bool) {
    const UNITS: usize = 136;
    let mut net = Net::new(4);
    let state: TensorType = format!("f32[N,{UNITS}]").parse().unwrap();
    let x = net.graph.input("x", state.clone());
    let mut body = Net::new(5);
    let h = body.graph.input("h", state);
    // So small that differences in rounding do not grow from step to step.
    let mut small = Rng::new(6);
    let weight = |_: &[usize]| Scalar::F32((small.unit() as f32 - 0.5) / UNITS as f32);
    let weights = body.graph.constant(Tensor::from_fn(DType::F32, [UNITS, UNITS], weight));
    let product = body.add(Dot {}, &[h, weights]);
    let mut next = body.add(Unary { f: UnaryFn::Tanh }, &[product]);
    if finds {
        next = with_found_size(&mut body, next);
    }
    body.graph.output("h", next);
    let count = Some(Dim::from(&Symbol::new("T")));
    let repeat = Loop { carried: 1, count, condition: None, step: Symbol::new("s"), body: body.graph };
    let y = net.graph.control(Arc::new(repeat), &[x]).unwrap()[0];
    net.graph.output("y", y);

    let planned = Planned::new(&net.graph, None);
    for program in &planned.bodies.open {
        let turns = program.all().iter().flat_map(|p| &p.launches).filter(|l| l.kernel.turn.is_some()).count();
        assert_eq!(turns, 1, "the product reads its weights there and back");
    }
    let options = Options { name: "m".into(), cpu: Some(smc_tests::cpu()), ..Options::default() };
    let compiled = driver::compile_graphs(vec![("main".into(), net.graph.clone())], &options).unwrap();
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface).unwrap();
    let pool = Pool::new(3).unwrap();
    for (n, count) in [(0, 3), (1, 0), (1, 1), (1, 4), (3, 2), (40, 3)] {
        let bind = bindings(&[("N", n), ("T", count)]);
        check_flow(&format!("{n} rows, {count} times"), &net.graph, &bind);
        let mut rng = Rng::new(9);
        let inputs = [Tensor::from_fn(DType::F32, [n as usize, UNITS], |_| Scalar::F32(rng.unit() as f32))];
        let expected = evaluate(&net.graph, &inputs, &bind).unwrap();
        for threads in [None, Some(&pool as &dyn Parallel)] {
            let mut call = executable.prepare_with(0, &inputs, bind.clone()).unwrap();
            call.run(threads).unwrap();
            assert!(agree_up_to_order(&call.results()[0], &expected[0]), "{n} rows, {count} times");
        }
    }
}
