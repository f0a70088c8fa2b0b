//! Rules by their examples, the pipeline by what it makes of small graphs and by the meaning of random ones.

use super::*;
use crate::{
    base::{Bindings, Symbol},
    graph::{NodeId, evaluate, random, text},
    op::{Kind, Op},
    tensor::{DType, Scalar, Tensor},
};

fn parse(text: &str) -> Graph {
    text::parse(text, &Default::default()).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn optimised(graph: &Graph) -> Graph {
    optimise(graph.clone(), Options::default(), &mut |_, _| {})
        .unwrap_or_else(|e| panic!("{e}\n{}", text::print(graph).0))
}

/// What the pipeline makes of a graph.
fn check(before: &str, after: &str) {
    let (before, after) = (parse(before), parse(after));
    let got = optimised(&before);
    assert_eq!(text::print(&got).0, text::print(&after).0);
    compare(&before, &got);
}

fn compare(a: &Graph, b: &Graph) {
    compare_at(a, b, &Bindings::from([(Symbol::new("N"), 3)]));
}

/// Both graphs compute the same from some inputs of these sizes.
pub(super) fn compare_at(a: &Graph, b: &Graph, bind: &Bindings) {
    let mut rng = crate::base::Rng::new(1);
    let inputs: Vec<Tensor> = a.inputs.iter().map(|p| random::tensor(&mut rng, a.ty(p.node), bind)).collect();
    let [x, y] = [a, b].map(|g| evaluate(g, &inputs, bind).unwrap());
    for (x, y) in x.iter().zip(&y) {
        assert!(is_close(x, y), "{}\n{}\n{x:?}\n{y:?}", text::print(a).0, text::print(b).0);
    }
}

/// A rule alone makes the right side of the left one, and then nothing more.
#[test]
fn every_rule_has_its_example() {
    for rule in RULES.iter().copied().flatten() {
        let [left, right] = rule.example.map(parse);
        let mut current = left.clone();
        while let (next, true) = rules::round(&current, &[rule], &mut Fuel::unlimited()) {
            current = next;
        }
        // Nodes that the rule left without a use are gone in the text.
        let live = Rewrite::of(&current).run(|_, _| None);
        assert_eq!(text::print(&live).0, text::print(&right).0, "rule {}", rule.name);
        compare(&left, &live);
    }
}

/// Random graphs mean the same after the pipeline as before, also when the fuel runs out on the way.
#[test]
fn passes_keep_the_meaning() {
    for seed in 0..4000 {
        let case = random::case(seed, 14);
        let before = evaluate(&case.graph, &case.inputs, &case.bind).unwrap();
        let fuel = if seed % 4 == 0 { Fuel::of(seed % 11) } else { Fuel::unlimited() };
        let options = Options { fuel, stop_after: None };
        let better = match optimise(case.graph.clone(), options, &mut |_, _| {}) {
            Ok(better) => better,
            Err(e) => panic!("seed {seed}: {e}\n{}", text::print(&case.graph).0),
        };
        let context = || format!("seed {seed}\n{}\n{}", text::print(&case.graph).0, text::print(&better).0);
        let after = evaluate(&better, &case.inputs, &case.bind).unwrap_or_else(|e| panic!("{e:?}, {}", context()));
        for (a, b) in before.iter().zip(&after) {
            assert!(is_close(a, b), "{}\n{a:?}\n{b:?}", context());
        }
    }
}

/// A division of repeated values is none where they are repeated no times.
#[test]
fn nothing_is_divided_for_nothing() {
    let text = r#"input "x" %0
                  input "y" %1
                  %0 = input : i32[1]
                  %1 = input : i32[1]
                  %2 = broadcast {"shape":["N"]} %0
                  %3 = broadcast {"shape":["N"]} %1
                  %4 = binary {"f":"div"} %2 %3
                  output "z" %4"#;
    let better = optimised(&parse(text));
    let of = |n| {
        let inputs = [
            Tensor::from_scalars(DType::I32, [1], [Scalar::Int(6)]),
            Tensor::from_scalars(DType::I32, [1], [Scalar::Int(0)]),
        ];
        evaluate(&better, &inputs, &Bindings::from([(Symbol::new("N"), n)])).is_ok()
    };
    assert_eq!([of(0), of(1)], [true, false]);
}

/// The same elements, but for what constants in weights round differently.
fn is_close(a: &Tensor, b: &Tensor) -> bool {
    if a.has_strings() {
        return a == b;
    }
    let epsilon = match a.dtype {
        DType::F32 => 1e-5,
        DType::F64 => 1e-13,
        _ => 0.0,
    };
    a.ty() == b.ty()
        && a.scalars().zip(b.scalars()).all(|(x, y)| match (x.as_f64(), y.as_f64()) {
            (Some(x), Some(y)) if a.dtype.is_float() => {
                x == y || x.is_nan() && y.is_nan() || (x - y).abs() <= epsilon * x.abs().max(1.0)
            }
            _ => x == y,
        })
}

#[test]
fn batch_normalisation_vanishes_into_the_convolution() {
    check(
        r#"input "x" %0
           %0 = input : f32[N,3,1]
           %1 = const [1.0,2.0] : f32[1,1,2]
           %2 = conv {"stride":[1],"dilation":[1],"input_dilation":[1],"low":[0],"high":[0],"groups":1} %0 %1
           %3 = const [0.5,0.25] : f32[1,1,2]
           %4 = broadcast {"shape":["N",3,2]} %3
           %5 = binary {"f":"add"} %2 %4
           %mean = const [1.0,1.0] : f32[2]
           %mean3 = reshape {"shape":[1,1,2]} %mean
           %mean4 = broadcast {"shape":["N",3,2]} %mean3
           %6 = binary {"f":"sub"} %5 %mean4
           %scale = const [4.0,16.0] : f32[1,1,2]
           %root = unary {"f":"sqrt"} %scale
           %scale4 = broadcast {"shape":["N",3,2]} %root
           %7 = binary {"f":"mul"} %6 %scale4
           %offset = const [10.0,20.0] : f32[1,1,2]
           %offset4 = broadcast {"shape":["N",3,2]} %offset
           %8 = binary {"f":"add"} %7 %offset4
           output "y" %8"#,
        r#"input "x" %0
           %0 = input : f32[N,3,1]
           %1 = const [2.0,8.0] : f32[1,1,2]
           %2 = conv {"stride":[1],"dilation":[1],"input_dilation":[1],"low":[0],"high":[0],"groups":1} %0 %1
           %3 = const [9.0,17.0] : f32[1,1,2]
           %4 = broadcast {"shape":["N",3,2]} %3
           %5 = binary {"f":"add"} %2 %4
           output "y" %5"#,
    );
}

#[test]
fn channels_first_becomes_channels_last() {
    let graph = parse(
        r#"input "x" %0
           %0 = input : f32[N,2,6]
           %1 = transpose {"perm":[0,2,1]} %0
           %2 = const [1.0,2.0,3.0,4.0] : f32[1,2,2]
           %3 = conv {"stride":[1],"dilation":[1],"input_dilation":[1],"low":[0],"high":[0],"groups":1} %1 %2
           %4 = transpose {"perm":[0,2,1]} %3
           %5 = const [0.5,0.25] : f32[2]
           %6 = reshape {"shape":[1,2,1]} %5
           %7 = broadcast {"shape":["N",2,6]} %6
           %8 = binary {"f":"mul"} %4 %7
           %9 = binary {"f":"add"} %8 %7
           %10 = const [0.0] : f32[]
           %11 = reshape {"shape":[1,1,1]} %10
           %12 = broadcast {"shape":["N",2,6]} %11
           %13 = binary {"f":"max"} %9 %12
           %14 = window {"f":"max","size":[1,1,2],"stride":[1,1,2],"dilation":[1,1,1],"low":[0,0,0],"high":[0,0,0]} %13
           %15 = transpose {"perm":[0,2,1]} %14
           %16 = conv {"stride":[1],"dilation":[1],"input_dilation":[1],"low":[0],"high":[0],"groups":1} %15 %2
           output "y" %16"#,
    );
    let better = optimised(&graph);
    let count = |kind: Kind| better.iter().filter(|(_, n)| n.op.kind() == kind).count();
    assert_eq!(count(Kind::Transpose), 1, "{}", text::print(&better).0);
    compare(&graph, &better);
}

#[test]
fn constants_are_folded_unless_they_grow() {
    let kinds = |text: &str| -> Vec<Kind> { optimised(&parse(text)).iter().map(|(_, n)| n.op.kind()).collect() };
    let copies = r#"%0 = const [1.0] : f32[1]
                    %1 = broadcast {"shape":[99999]} %0
                    output "y" %1"#;
    assert_eq!(kinds(copies), [Kind::Const, Kind::Broadcast]);
    let squares = r#"%0 = iota {"shape":[99999],"axis":0,"dtype":"f32"}
                     %1 = binary {"f":"mul"} %0 %0
                     output "y" %1"#;
    assert_eq!(kinds(squares), [Kind::Iota, Kind::Binary]);
    // Neither is a detour by way of something large worth its time.
    let detour = r#"%2 = slice {"start":[1],"stride":[1],"shape":[2]} %1"#;
    assert_eq!(kinds(&format!("{squares}\n{detour}\noutput \"z\" %2")), [Kind::Iota, Kind::Binary, Kind::Slice]);
    // A fault stays where it is.
    let division = r#"%0 = const [1] : i32[1]
                      %1 = const [0] : i32[1]
                      %2 = binary {"f":"div"} %0 %1
                      output "y" %2"#;
    assert_eq!(kinds(division), [Kind::Const, Kind::Const, Kind::Binary]);
    check(
        r#"%0 = iota {"shape":[3],"axis":0,"dtype":"i32"}
           %1 = const [2] : i32[]
           %2 = reshape {"shape":[1]} %1
           %3 = broadcast {"shape":[3]} %2
           %4 = binary {"f":"mul"} %0 %3
           output "y" %4"#,
        r#"%0 = const [0,2,4] : i32[3]
           output "y" %0"#,
    );
}

#[test]
fn equal_operators_are_computed_once() {
    check(
        r#"input "x" %0
           %0 = input : f32[N]
           %1 = const [1] : i64[]
           %2 = const [1] : i64[]
           %3 = unary {"f":"exp"} %0
           %4 = unary {"f":"exp"} %0
           %5 = binary {"f":"add"} %3 %4
           %6 = extent N
           %7 = extent N
           %8 = binary {"f":"add"} %6 %1
           %9 = binary {"f":"add"} %7 %2
           output "y" %5
           output "a" %8
           output "b" %9"#,
        r#"input "x" %0
           %0 = input : f32[N]
           %1 = const [1] : i64[]
           %2 = unary {"f":"exp"} %0
           %3 = binary {"f":"add"} %2 %2
           %4 = extent N
           %5 = binary {"f":"add"} %4 %1
           output "y" %3
           output "a" %5
           output "b" %5"#,
    );
}

#[test]
fn fuel_and_stops_cut_the_pipeline() {
    let graph = parse(RULES[0][0].example[0]);
    let operators = |g: &Graph| g.ids().filter(|id: &NodeId| !matches!(g.op(*id), Op::Input | Op::Const(_))).count();
    let mut left = vec![];
    for fuel in 0..5 {
        let options = Options { fuel: Fuel::of(fuel), stop_after: None };
        left.push(operators(&optimise(graph.clone(), options, &mut |_, _| {}).unwrap()));
    }
    assert!(left.is_sorted_by(|a, b| a >= b) && left[0] == 5 && left[4] < 5, "{left:?}");
    let mut seen = vec![];
    let options = Options { stop_after: Some("rules".into()), ..Options::default() };
    optimise(graph.clone(), options, &mut |name, _| seen.push(name.to_string())).unwrap();
    assert_eq!(seen, ["again", "regions", "sums", "carried", "hoist", "share", "rules"]);
}
