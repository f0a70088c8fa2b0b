//! The values of symbolic extents, found by laying an entry's declared shapes over actual ones.

use crate::{
    base::{Bindings, Diagnostic, Dim, Problems, Symbol, dim::Atom},
    graph::{Graph, Node},
    tensor::{Tensor, TensorType},
};

/// The bindings under which each declared type is the value's. Every disagreement is reported, by the input's name.
///
/// A bare symbol takes the extent it stands for; a sum of one symbol and a constant is solved for it. What is left is
/// only compared.
pub fn bind(declared: &[(&str, &TensorType)], values: &[Tensor]) -> Result<Bindings, Problems> {
    let mut bindings = Bindings::new();
    let mut problems = Problems::default();
    for (&(name, ty), value) in declared.iter().zip(values) {
        if ty.dtype != value.dtype {
            problems.push(Diagnostic::error(format!("input `{name}` is {}, expected {}", value.dtype, ty.dtype)));
        } else if ty.rank() != value.rank() {
            let problem = Diagnostic::error(format!("input `{name}` has shape {:?}, expected {ty}", value.shape));
            problems.push(problem.help(rank_help(ty.rank(), value.rank())));
        } else {
            for (extent, &n) in ty.shape.iter().zip(&value.shape) {
                if let Some((symbol, n)) = solve(extent, n as i64) {
                    bindings.entry(symbol).or_insert(n);
                }
            }
        }
    }
    if problems.has_errors() {
        return Err(problems);
    }
    for (&(name, ty), value) in declared.iter().zip(values) {
        let fits = ty.concrete(&bindings).is_some_and(|shape| shape == value.shape);
        if !fits {
            let known: Vec<_> = bindings.iter().map(|(s, n)| format!("{s} = {n}")).collect();
            let given = if known.is_empty() { String::new() } else { format!(" where {}", known.join(", ")) };
            problems
                .push(Diagnostic::error(format!("input `{name}` has shape {:?}, expected {ty}{given}", value.shape)));
        }
    }
    problems.or(bindings)
}

fn rank_help(expected: usize, given: usize) -> String {
    let axes = |n: usize| if n == 1 { "1 axis".to_string() } else { format!("{n} axes") };
    let how = match expected.checked_sub(given) {
        Some(1) => ": a single sample becomes a batch of one by array[None]",
        None if given == expected + 1 => ": array[0] takes the first of a batch",
        _ => "",
    };
    format!("the array has {}, and the input {}{how}", axes(given), axes(expected))
}

/// Whether a graph means anything under `bind`: its assumptions hold and every extent has a value. The evaluator takes
/// this for granted; compiled code checks it at entry.
pub fn check_assumptions(graph: &Graph, bind: &Bindings) -> Result<(), Diagnostic> {
    // What waits for data is checked when they are there.
    if let Some(broken) = graph.broken(bind) {
        return Err(Diagnostic::error(format!("the model needs that {broken}, which these shapes break")));
    }
    let waits = |node: &Node| node.ty.shape.iter().any(|dim| graph.is_found(dim));
    match graph.iter().find(|(_, node)| node.ty.concrete(bind).is_none() && !waits(node)) {
        Some((_, node)) => Err(Diagnostic::error(format!("these shapes leave {} without a size", node.ty))),
        None => Ok(()),
    }
}

/// The symbol and its value when `extent == n` says so by itself.
fn solve(extent: &Dim, n: i64) -> Option<(Symbol, i64)> {
    let [symbol] = &extent.symbols()[..] else { return None };
    let linear = extent.terms().iter().find(|t| t.atoms == [Atom::Sym(symbol.clone())])?;
    let rest = extent - Dim::from(symbol) * linear.k;
    let value = (n - rest.as_int()?).checked_div(linear.k)?;
    Some((symbol.clone(), value))
}

#[test]
fn extents_are_found_or_the_input_is_named() {
    let ty = |text: &str| text.parse::<TensorType>().unwrap();
    let (x, y) = (ty("f32[batch,3]"), ty("f32[2*n+1,batch]"));
    let f32 = |shape: &[usize]| Tensor::zeros(crate::tensor::DType::F32, shape);
    let found = bind(&[("x", &x), ("y", &y)], &[f32(&[4, 3]), f32(&[7, 4])]).unwrap();
    assert_eq!(found, Bindings::from([(Symbol::new("batch"), 4), (Symbol::new("n"), 3)]));
    let e = bind(&[("x", &x), ("y", &y)], &[f32(&[4, 3]), f32(&[8, 4])]).unwrap_err();
    assert_eq!(e.to_string(), "error: input `y` has shape [8, 4], expected f32[2*n+1,batch] where batch = 4, n = 3");
    let e = bind(&[("x", &x)], &[f32(&[4])]).unwrap_err();
    assert!(e.to_string().contains("expected f32[batch,3]"), "{e}");
}

#[test]
fn broken_assumptions_are_told() {
    let mut graph = Graph::default();
    graph.input("x", "f32[T]".parse().unwrap());
    graph.assume_equal("T".parse().unwrap(), "2*floor(T,2)".parse().unwrap());
    let check = |n| check_assumptions(&graph, &Bindings::from([(Symbol::new("T"), n)])).map_err(|d| d.message);
    assert_eq!(check(4), Ok(()));
    assert_eq!(check(5), Err("the model needs that T is a multiple of 2, which these shapes break".into()));
    assert!(check_assumptions(&graph, &Bindings::new()).is_err());
}
