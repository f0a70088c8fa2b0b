//! Random cases are what they promise, and hold kernels, type inference, text and the shrinker to account.

use super::*;
use crate::{
    loops::{
        BinaryFn, Combine,
        interp::{Bytes, run_part},
        verify,
    },
    op,
    tensor::{DType, Text},
};

#[test]
fn cases_are_well_typed_varied_and_print() {
    let mut seen = BTreeSet::new();
    for seed in 0..2000 {
        let case = case(seed, 12);
        case.graph.verify().unwrap();
        for (value, (_, node)) in case.values().iter().zip(case.graph.iter()) {
            seen.insert(node.op.kind());
            if let Some(value) = value {
                assert_eq!((value.dtype, Some(&value.shape)), (node.ty.dtype, node.ty.concrete(&case.bind).as_ref()));
            }
        }
        let (text, constants) = text::print(&case.graph);
        let parsed = text::parse(&text, &constants).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        assert!(parsed == case.graph, "seed {seed}\n{text}");
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), op::Kind::ALL);
}

/// Every operator's own kernel computes what its evaluator says, from the same operands.
#[test]
fn kernels_agree_with_the_evaluator() {
    let (mut compared, mut passed_over) = (0, 0);
    for seed in 0..4000 {
        let case = case(seed, 10);
        let values = case.values();
        for (id, node) in case.graph.iter() {
            let Some(expected) = &values[id.index()] else { continue };
            if matches!(node.op.kind(), op::Kind::Input | op::Kind::Const | op::Kind::Extent | op::Kind::Control) {
                continue;
            }
            let operands: Vec<&Tensor> = node.inputs.iter().map(|i| values[i.index()].as_ref().unwrap()).collect();
            let result = match compute(&case, node, &operands) {
                Ok(result) => result,
                Err(e) => panic!("seed {seed}, %{}: {e}\n{}", id.index(), text::print(&case.graph).0),
            };
            match compare(&node.op, &operands, expected, &result) {
                Verdict::Same => compared += 1,
                Verdict::IllConditioned => passed_over += 1,
                Verdict::Differ(at) => panic!(
                    "seed {seed}, %{} at {at}: {result:?} should be {expected:?}\n{operands:?}\n{}",
                    id.index(),
                    text::print(&case.graph).0
                ),
            }
        }
    }
    assert!(passed_over * 20 < compared, "{passed_over} of {compared} were passed over");
}

fn compute(case: &Case, node: &Node, operands: &[&Tensor]) -> Result<Tensor, String> {
    let types: Vec<_> = node.inputs.iter().map(|&i| case.graph.ty(i)).collect();
    let kernel = op::kernel(&node.op, &types, &node.ty);
    verify(&kernel).map_err(|e| e.to_string())?;
    let shape = node.ty.concrete(&case.bind).unwrap();
    let mut bytes = vec![0; shape.iter().product::<usize>() * node.ty.dtype.size()];
    let mut text = Text::default();
    let operands: Vec<Tensor> = operands.iter().map(|t| text.place(t)).collect();
    let inputs = operands.iter().map(|t| Bytes::In(t.bytes()));
    let mut buffers = inputs.chain([Bytes::Out(&mut bytes)]).collect::<Vec<_>>();
    run_part(&kernel, &mut buffers, &case.bind, None, &mut text).map_err(|e| format!("{e:?}"))?;
    text.read(&Tensor::from_bytes(node.ty.dtype, shape, bytes)).ok_or_else(|| "a string leaves the text".into())
}

enum Verdict {
    Same,
    /// A fold of floats that may overflow, underflow or cancel in one precision and not in the other.
    IllConditioned,
    Differ(usize),
}

/// Elements are equal, but for the last bit of elementary functions (two bits in double precision, where two libraries
/// are compared with each other), the sign of zero in extremes, and rounding in
/// folds, which is measured against the greatest operand.
fn compare(op: &Op, operands: &[&Tensor], expected: &Tensor, result: &Tensor) -> Verdict {
    let folds = match op {
        Op::Reduce(op::Reduce { f, .. }) | Op::Window(op::Window { f, .. }) | Op::Scan(op::Scan { f, .. }) => {
            matches!(f, BinaryFn::Add | BinaryFn::Mul)
        }
        Op::Scatter(op::Scatter { f, .. }) => matches!(f, Combine::Add | Combine::Sub | Combine::Mul | Combine::Div),
        Op::Dot(_) | Op::Conv(_) => true,
        _ => false,
    };
    if expected.has_strings() {
        let (expected, result) = (expected.strings(), result.strings());
        let differs = (0..expected.len()).find(|&n| expected[n] != result[n]);
        return differs.map_or(Verdict::Same, Verdict::Differ);
    }
    let mut scale = 0.0;
    if folds && expected.dtype.is_float() {
        let magnitudes = operands.iter().flat_map(|t| t.scalars()).filter_map(|s| Some(s.as_f64()?.abs()));
        let mut finite = magnitudes.filter(|x| x.is_finite() && *x != 0.0);
        let greatest = finite.try_fold(1.0, |max: f64, x| (1e-3..1e3).contains(&x).then_some(max.max(x)));
        let Some(greatest) = greatest else { return Verdict::IllConditioned };
        scale = greatest * greatest * 64.0;
    }
    let epsilon = match expected.dtype {
        DType::F16 => 1e-3,
        DType::BF16 => 8e-3,
        DType::F32 => 1.2e-7,
        _ if matches!(op, Op::Unary(_)) => 9e-16,
        _ => 2.3e-16,
    };
    let is_same = |n: &usize| match (expected.get(*n).as_f64(), result.get(*n).as_f64()) {
        (Some(a), Some(b)) if expected.dtype.is_float() => {
            let rounding = epsilon * (a.abs() + scale) * if folds { 8.0 } else { 1.0 };
            a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= rounding && a.is_finite()
        }
        _ => expected.get(*n) == result.get(*n),
    };
    match (0..expected.count()).find(|n| !is_same(n)) {
        Some(n) => Verdict::Differ(n),
        None => Verdict::Same,
    }
}

#[test]
fn a_failing_case_shrinks_to_what_fails() {
    let has_scan = |case: &Case| {
        let values = case.values();
        case.graph.iter().any(|(id, n)| n.op.kind() == op::Kind::Scan && values[id.index()].is_some())
    };
    let seed = (0..).find(|&seed| has_scan(&case(seed, 12))).unwrap();
    let small = shrink(&case(seed, 12), has_scan);
    small.graph.verify().unwrap();
    // A scan, and what it scans.
    assert_eq!(small.graph.len(), 2);
}

/// No attributes make type inference panic, whatever the operands.
#[test]
fn infer_survives_any_attributes() {
    let mut rng = Rng::new(7);
    let numbers = ["0", "1", "-1", "2", "3", "7", "9223372036854775807", "-9223372036854775808", "4611686018427387905"];
    let symbols = ["\"N\"", "\"N*M-3\"", "\"floor(N,2)\"", "\"max(N,M)\"", "\"i32(f64(N))\"", "\"xor(N,M)\""];
    let mut accepted = 0;
    for seed in 0..3000 {
        let case = case(seed, 8);
        let ids: Vec<NodeId> = case.graph.ids().collect();
        for (_, node) in case.graph.iter() {
            let mut attrs = String::new();
            let mut digits = false;
            for c in node.op.attrs().chars() {
                let number = c.is_ascii_digit() || c == '-';
                if !number {
                    attrs.push(c);
                } else if !digits {
                    let symbol = rng.once_in(8) && attrs.ends_with(['[', ',']);
                    attrs.push_str(if symbol { rng.pick::<&str>(&symbols) } else { rng.pick::<&str>(&numbers) });
                }
                digits = number;
            }
            let Ok(op) = Op::parse(node.op.name(), &attrs) else { continue };
            let other = |rng: &mut Rng| case.graph.ty(rng.pick(&ids));
            let mut types: Vec<_> = node.inputs.iter().map(|&i| case.graph.ty(i)).collect();
            match rng.below(4) {
                0 => types.truncate(rng.below(types.len() + 1)),
                1 => types.push(other(&mut rng)),
                2 if !types.is_empty() => *types.last_mut().unwrap() = other(&mut rng),
                _ => {}
            }
            accepted += op.infer(&types, case.graph.facts()).is_ok() as usize;
        }
    }
    assert!(accepted > 1000);
}

/// Damaged text gives an error or a graph, never a panic.
#[test]
fn the_parser_survives_damaged_text() {
    let mut rng = Rng::new(3);
    for seed in 0..1500 {
        let (text, constants) = text::print(&case(seed, 6).graph);
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..rng.range(1, 3) {
            let at = rng.below(chars.len());
            match rng.below(4) {
                0 => drop(chars.remove(at)),
                1 => chars.insert(at, rng.pick(&['0', '9', '-', '[', ']', '"', '%', ' ', 'x', ':', '\n', 'é'])),
                2 => chars[at] = rng.pick(&chars.clone()),
                _ => chars.truncate(at.max(2)),
            }
        }
        if let Ok(graph) = text::parse(&chars.into_iter().collect::<String>(), &constants) {
            graph.verify().unwrap();
        }
    }
}
