use super::*;
use crate::{
    graph::{evaluate, random, text},
    tensor::{DType, Tensor},
};

fn parse(text: &str) -> Graph {
    text::parse(text, &Default::default()).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// The rule alone makes the right side of the left one, and then nothing more.
#[test]
fn every_rule_has_its_example() {
    for rule in RULES.iter().copied().flatten() {
        let [left, right] = rule.example.map(parse);
        let mut current = left;
        while let (next, true) = rules::round(&current, &[rule], &mut Fuel::unlimited()) {
            current = next;
        }
        // Nodes that the rule left without a use are gone in the text.
        let live = Rewrite::of(&current).run(|_, _| None);
        assert_eq!(text::print(&live).0, text::print(&right).0, "rule {}", rule.name);
    }
}

/// Every example, and a thousand random graphs, mean the same after the pipeline as before.
#[test]
fn passes_keep_the_meaning() {
    for seed in 0..3000 {
        let case = random::case(seed, 14);
        let before = evaluate(&case.graph, &case.inputs, &case.bind).unwrap();
        let better = match optimise(&case.graph, Options::default(), &mut |_, _| {}) {
            Ok(better) => better,
            Err(e) => panic!("seed {seed}: {e}\n{}", text::print(&case.graph).0),
        };
        let after = evaluate(&better, &case.inputs, &case.bind).unwrap();
        for (a, b) in before.iter().zip(&after) {
            let context = || format!("seed {seed}\n{}\n{}", text::print(&case.graph).0, text::print(&better).0);
            assert!(is_close(a, b), "{}\n{a:?}\n{b:?}", context());
        }
    }
}

/// The same elements, but for what constants in weights round differently.
fn is_close(a: &Tensor, b: &Tensor) -> bool {
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
