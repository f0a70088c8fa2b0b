//! Entries that run other kernels where open extents are equal: which ones run, what is refused, what callers see.

use smc::{
    base::{Bindings, Symbol},
    driver::{self, Compiled, Executable, Options},
    graph::{evaluate, random, text},
    tensor::Tensor,
    tf::{Equal, Imported},
};
use smc_tests::{compare::agree_up_to_order, nets::OPEN_ROWS};

/// Tells by its sign that it ran.
const EQUAL: &str = r#"
    input "x" %x
    input "y" %y
    %x = input : f32[a,5]
    %y = input : f32[a,5]
    %sum = binary {"f":"add"} %x %y
    %exp = unary {"f":"exp"} %sum
    %out = unary {"f":"neg"} %exp
    output "z" %out"#;

fn imported() -> Imported {
    let graph = |text: &str| text::parse(text, &Default::default()).unwrap_or_else(|e| panic!("{e}"));
    let when = vec![("b".parse().unwrap(), "a".parse().unwrap())];
    Imported {
        graph: graph(OPEN_ROWS),
        equal: Some(Equal { graph: graph(EQUAL), when }),
        state: vec![],
        sizes: Default::default(),
        notes: vec![],
    }
}

fn compile(cpu: Option<String>) -> Compiled {
    let options = Options { name: "m".into(), cpu, ..Options::default() };
    driver::compile_imported("main", imported(), &options).unwrap_or_else(|e| panic!("{e}"))
}

fn bindings(a: i64, b: i64) -> Bindings {
    [("a", a), ("b", b)].map(|(name, n)| (Symbol::new(name), n)).into()
}

/// The values of a call, or the code of its refusal.
fn run(executable: &Executable, a: i64, b: i64) -> Result<(Vec<Tensor>, Vec<Tensor>), String> {
    let bind = bindings(a, b);
    let graph = imported().graph;
    let mut rng = smc::base::Rng::new(7);
    let inputs: Vec<Tensor> = graph.inputs.iter().map(|p| random::tensor(&mut rng, graph.ty(p.node), &bind)).collect();
    let mut call = executable.prepare_with(0, &inputs, bind.clone()).map_err(|e| e.to_string())?;
    call.run(None).map_err(|e| e.to_string())?;
    Ok((call.results(), evaluate(&graph, &inputs, &bind).map_err(|e| format!("{e:?}"))?))
}

#[test]
fn a_call_runs_the_kernels_for_its_extents() {
    for cpu in [None, Some(smc_tests::cpu())] {
        let compiled = compile(cpu);
        let executable = Executable::new(&compiled.object.bytes(), compiled.interface).unwrap();
        for (a, b) in [(3, 3), (1, 1), (0, 0), (3, 1), (1, 3), (17, 1), (0, 1), (1, 0)] {
            let (mut ours, theirs) = run(&executable, a, b).unwrap_or_else(|e| panic!("{a} {b}: {e}"));
            if a == b {
                let negated = ours[0].scalars().map(|s| smc::tensor::Scalar::F32(-s.as_f64().unwrap() as f32));
                ours = vec![Tensor::from_scalars(ours[0].dtype, ours[0].shape.clone(), negated.collect::<Vec<_>>())];
            }
            assert!(agree_up_to_order(&ours[0], &theirs[0]), "{a} {b}: {ours:?} {theirs:?}");
        }
        for (a, b) in [(3, 2), (2, 3), (0, 2), (4, 0)] {
            let refusal = run(&executable, a, b).unwrap_err();
            assert!(refusal.contains("a and b are equal, or one of them is 1"), "{refusal}");
        }
    }
}

#[test]
fn a_profile_shows_the_kernels_that_a_call_runs() {
    let compiled = compile(Some(smc_tests::cpu()));
    let symbols =
        |a, b| compiled.steps[0].of(&bindings(a, b)).steps.iter().map(|s| s.symbol.clone()).collect::<Vec<_>>();
    assert_eq!(symbols(4, 4), symbols(1, 1));
    assert!(symbols(4, 4).iter().all(|s| !s.contains("_open")), "{:?}", symbols(4, 4));
    assert!(symbols(4, 1).iter().all(|s| s.contains("_open")), "{:?}", symbols(4, 1));
}

#[test]
fn the_header_says_what_is_served() {
    let header = compile(None).header;
    for line in [
        "  const float *x;                          /* input `x`: f32[a,5] */",
        "  float *z;                                /* output `z`: f32[broadcast(a,b),5] */",
        "  int64_t b;                               /* extent `b`, at least 0 */",
        " * Served only where a and b are equal, or one of them is 1.",
    ] {
        assert!(header.lines().any(|l| l == line), "{line}\n{header}");
    }
}

/// One entry function, one size function, and kernels once, where nothing is broadcast.
#[test]
fn an_entry_without_open_broadcasts_has_one_body() {
    let graph = text::parse(&EQUAL.replace("[a,5]", "[3,5]"), &Default::default()).unwrap();
    let options = Options { name: "m".into(), ..Options::default() };
    let compiled = driver::compile_graphs(vec![("main".into(), graph)], &options).unwrap();
    assert!(compiled.report.entries[0].equal.is_none());
    assert!(compiled.steps[0].of(&Bindings::new()).steps.iter().all(|s| !s.symbol.contains("_open")));
}
