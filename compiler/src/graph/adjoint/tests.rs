//! Gradients against central differences in double precision: an example of every primitive, and random graphs.

use std::collections::BTreeSet;

use super::*;
use crate::{
    base::{Bindings, Rng, Symbol},
    graph::{random, text},
    loops::Combine,
    op::Kind,
};

/// Places of inputs, by input and element.
type Gradient = Vec<Vec<f64>>;

fn rng_weights(rng: &mut Rng, ty: &TensorType, bind: &Bindings) -> Tensor {
    let shape = ty.concrete(bind).expect("symbols are bound");
    Tensor::from_fn(ty.dtype, shape, |_| Scalar::from_f64(ty.dtype, rng.range(1, 9) as f64 / 4.0 - 1.1))
}

/// Floats that are a little apart. The least of equal ones has a slope on either side, of which differences give the mean,
/// whatever their step is.
fn apart(rng: &mut Rng, value: &Tensor) -> Tensor {
    if !value.dtype.is_float() {
        return value.clone();
    }
    let moved = value.scalars().map(|x| x.as_f64().expect("a float") + rng.unit() * 0.02);
    let moved: Vec<Scalar> = moved.map(|x| Scalar::from_f64(value.dtype, x)).collect();
    Tensor::from_scalars(value.dtype, value.shape.clone(), moved)
}

/// The weighted sum of all outputs of floats.
fn weighted(graph: &Graph, inputs: &[Tensor], weights: &[Tensor], bind: &Bindings) -> Option<f64> {
    let results = evaluate(graph, inputs, bind).ok()?;
    let floats = results.iter().filter(|value| value.dtype.is_float());
    let product = |(value, weight): (&Tensor, &Tensor)| -> f64 {
        value.scalars().zip(weight.scalars()).map(|(a, b)| a.as_f64().unwrap() * b.as_f64().unwrap()).sum()
    };
    Some(floats.zip(weights).map(product).sum())
}

/// The gradients of that sum by the inputs of floats: those of rules, and the differences of a graph in f64 for some step.
struct Compared<'a> {
    graph: &'a Graph,
    inputs: &'a [Tensor],
    weights: Vec<Tensor>,
    bind: &'a Bindings,
}

impl Compared<'_> {
    fn by_rule(&self) -> Result<Gradient, NoDerivative> {
        let mut graph = self.graph.clone();
        let floats: Vec<NodeId> = graph.outputs.iter().map(|port| port.node).collect();
        let floats = floats.into_iter().filter(|&id| graph.ty(id).dtype.is_float()).collect::<Vec<_>>();
        let by: Vec<NodeId> = graph.inputs.iter().map(|port| port.node).collect();
        // Differences have no half types either.
        let by: Vec<NodeId> = by.into_iter().filter(|&id| graph.ty(id).dtype == DType::F64).collect();
        let results: Vec<_> = floats
            .into_iter()
            .map(|id| {
                let ty = graph.ty(id).clone();
                (id, graph.input("weight", ty))
            })
            .collect();
        let gradients = graph.gradients(&results, &by)?;
        graph.outputs.clear();
        gradients.iter().for_each(|&g| graph.output("g", g));
        graph.verify().unwrap_or_else(|error| panic!("{error}\n{}", text::print(&graph).0));
        let inputs = [self.inputs, &self.weights].concat();
        let values = evaluate(&graph, &inputs, self.bind).expect("a gradient does not fault");
        Ok(values.iter().map(|value| value.scalars().map(|s| s.as_f64().unwrap()).collect()).collect())
    }
    fn by_differences(&self, step: f64) -> Option<Gradient> {
        self.between(-step, step)
    }
    /// The slopes between two steps.
    fn between(&self, from: f64, to: f64) -> Option<Gradient> {
        let floats = (0..self.inputs.len()).filter(|&n| self.inputs[n].dtype == DType::F64);
        let gradient = |n: usize| {
            let value = &self.inputs[n];
            let at = |element: usize, by: f64| {
                let moved = value.scalars().enumerate().map(|(i, s)| match i == element {
                    true => Scalar::F64(s.as_f64().unwrap() + by),
                    false => s,
                });
                let mut inputs = self.inputs.to_vec();
                inputs[n] = Tensor::from_scalars(DType::F64, value.shape.clone(), moved);
                // In a greater sum, what a step changes is lost.
                weighted(self.graph, &inputs, &self.weights, self.bind).filter(|sum| sum.abs() < 1e7)
            };
            (0..value.count()).map(|e| Some((at(e, to)? - at(e, from)?) / (to - from))).collect::<Option<Vec<f64>>>()
        };
        floats.map(gradient).collect()
    }
}

/// `operands` are types, separated by `;`; those of floats are inputs between `low` and `high`, others constants with
/// elements.
fn check(operator: &str, operands: &str, low: f64, high: f64) -> Kind {
    let operands: Vec<&str> = operands.split(';').map(str::trim).filter(|o| !o.is_empty()).collect();
    let mut source = String::new();
    for (n, operand) in operands.iter().enumerate() {
        source += &match operand.split_once(' ') {
            Some((ty, elements)) => format!("%{n} = const {elements} : {ty}\n"),
            None => format!("input \"x{n}\" %{n}\n%{n} = input : {operand}\n"),
        };
    }
    let names: Vec<String> = (0..operands.len()).map(|n| format!("%{n}")).collect();
    source += &format!("%y = {operator} {}\noutput \"y\" %y\n", names.join(" "));
    let graph = text::parse(&source, &Default::default()).unwrap_or_else(|error| panic!("{}\n{source}", error.what));
    agrees(&graph, low, high);
    graph.op(graph.outputs[0].node).kind()
}

/// The gradients of a graph by all its inputs of floats are those of differences, for values between `low` and `high`.
fn agrees(graph: &Graph, low: f64, high: f64) {
    let mut rng = Rng::new(7);
    let source = text::print(graph).0;
    let bind = Bindings::from([(Symbol::new("N"), 3)]);
    let value = |rng: &mut Rng, ty: &TensorType| {
        let shape = ty.concrete(&bind).unwrap();
        Tensor::from_fn(ty.dtype, shape, |_| Scalar::F64(low + (high - low) * rng.range(1, 1000) as f64 / 1000.0))
    };
    let inputs: Vec<Tensor> = graph.inputs.iter().map(|port| value(&mut rng, graph.ty(port.node))).collect();
    let weights = graph.outputs.iter().map(|port| rng_weights(&mut rng, graph.ty(port.node), &bind)).collect();
    let compared = Compared { graph, inputs: &inputs, weights, bind: &bind };
    let (rule, differences) =
        (compared.by_rule().unwrap_or_else(|e| panic!("{source}{e:?}")), compared.by_differences(1e-5));
    let differences = differences.expect("an example does not fault");
    for (rule, difference) in rule.iter().flatten().zip(differences.iter().flatten()) {
        assert!((rule - difference).abs() <= 1e-6 * (1.0 + difference.abs()), "{source}{rule:?} {difference:?}");
    }
}

/// What has no gradient, and why that is right.
const WITHOUT: &[Kind] = &[
    // No operands, or none of floats.
    Kind::Input,
    Kind::Const,
    Kind::Extent,
    Kind::Iota,
    Kind::Philox,
    Kind::TruncatedNormal,
    Kind::TextRaw,
    Kind::TextFloat,
    // Results of other types.
    Kind::Compare,
    Kind::Bitcast,
    Kind::ArgReduce,
    Kind::TopK,
    Kind::Bind,
    Kind::Within,
    Kind::Forest,
    Kind::TextEqual,
    Kind::TextLength,
    Kind::TextHash,
    Kind::TextPart,
    Kind::TextStrip,
    Kind::TextCount,
    Kind::TextSplit,
    Kind::TextPlace,
    Kind::TextInt,
    Kind::TextMatches,
    Kind::TextCase,
    Kind::TextJoin,
    Kind::TextNumber,
    Kind::TextCodes,
    Kind::TextDecode,
    Kind::TextTrail,
    Kind::TextReplace,
    Kind::Find,
    Kind::Features,
    Kind::ListCount,
    Kind::ListValues,
    // Numbers that are drawn until one fits.
    Kind::Sample,
];

#[test]
fn every_primitive_has_its_gradient() {
    let mut seen = BTreeSet::new();
    let mut check = |operator: &str, operands: &str, low: f64, high: f64| {
        seen.insert(check(operator, operands, low, high));
    };
    for f in ["neg", "abs", "exp", "expm1", "sin", "cos", "tan", "atan", "sinh", "cosh", "tanh", "asinh", "erf", "erfc"]
    {
        check(&format!(r#"unary {{"f":"{f}"}}"#), "f64[2,3]", -1.3, 1.4);
    }
    for f in ["sqrt", "log", "log1p"] {
        check(&format!(r#"unary {{"f":"{f}"}}"#), "f64[N]", 0.3, 2.0);
    }
    for f in ["asin", "acos", "atanh"] {
        check(&format!(r#"unary {{"f":"{f}"}}"#), "f64[]", -0.8, 0.8);
    }
    check(r#"unary {"f":"acosh"}"#, "f64[4]", 1.2, 3.0);
    for f in ["floor", "ceil", "trunc", "round"] {
        check(&format!(r#"unary {{"f":"{f}"}}"#), "f64[4]", 0.1, 0.4);
    }
    for f in ["add", "sub", "mul", "max", "min", "atan2"] {
        check(&format!(r#"binary {{"f":"{f}"}}"#), "f64[2,N]; f64[2,N]", -2.0, 2.0);
    }
    for f in ["div", "pow"] {
        check(&format!(r#"binary {{"f":"{f}"}}"#), "f64[2,3]; f64[2,3]", 0.5, 2.0);
    }
    check(r#"binary {"f":"rem"}"#, "f64[3]; f64[3] [0.7,-0.9,1.3]", 0.1, 0.6);
    check("select {}", "bool[3] [true,false,true]; f64[3]; f64[3]", -1.0, 1.0);
    check(r#"cast {"to":"f64"}"#, "f64[3]", -1.0, 1.0);
    check(r#"broadcast {"shape":[2,"N",4],"open":[]}"#, "f64[1,N,1]", -1.0, 1.0);
    check(r#"reshape {"shape":["3*N",2]}"#, "f64[2,N,3]", -1.0, 1.0);
    check(r#"transpose {"perm":[2,0,1]}"#, "f64[2,N,3]", -1.0, 1.0);
    check(r#"slice {"start":[1,0],"stride":[2,1],"shape":[3,2]}"#, "f64[7,3]", -1.0, 1.0);
    check(r#"slice {"start":[5,"N-1"],"stride":[-2,-1],"shape":[3,"N"]}"#, "f64[7,N]", -1.0, 1.0);
    check(r#"slice {"start":[4],"stride":[2],"shape":[0]}"#, "f64[7]", -1.0, 1.0);
    check(r#"pad {"low":[1,0],"high":[2,"N"]}"#, "f64[2,3]; f64[]", -1.0, 1.0);
    check(r#"concat {"axis":1}"#, "f64[2,1]; f64[2,N]; f64[2,2]", -1.0, 1.0);
    for f in ["add", "mul", "max", "min"] {
        check(&format!(r#"reduce {{"f":"{f}","axes":[0,2]}}"#), "f64[2,3,N]", 0.5, 1.5);
        check(&format!(r#"reduce {{"f":"{f}","axes":[]}}"#), "f64[2]", 0.5, 1.5);
    }
    for flags in [r#""exclusive":false,"reverse":false"#, r#""exclusive":true,"reverse":true"#] {
        for f in ["add", "mul"] {
            check(&format!(r#"scan {{"f":"{f}","axis":1,{flags}}}"#), "f64[2,N,2]", 0.5, 1.5);
        }
    }
    for f in ["add", "max", "min"] {
        let window = |rest: &str| format!(r#"window {{"f":"{f}",{rest}}}"#);
        check(
            &window(r#""size":[1,2,2],"stride":[1,2,2],"dilation":[1,1,1],"low":[0,0,0],"high":[0,0,1]"#),
            "f64[2,4,5]",
            -1.0,
            1.0,
        );
        check(
            &window(r#""size":[3,2],"stride":[2,3],"dilation":[1,1],"low":[1,0],"high":[1,0]"#),
            "f64[6,8]",
            -1.0,
            1.0,
        );
        check(
            &window(r#""size":[3,1],"stride":[1,2],"dilation":[2,1],"low":[2,0],"high":[2,0]"#),
            "f64[N,5]",
            -1.0,
            1.0,
        );
        check(&window(r#""size":[2],"stride":[3],"dilation":[2],"low":[1],"high":[2]"#), "f64[N]", -1.0, 1.0);
    }
    check("dot {}", "f64[2,N,4]; f64[2,4,3]", -1.0, 1.0);
    let conv = |rest: &str| format!("conv {{{rest}}}");
    check(
        &conv(r#""stride":[1],"dilation":[1],"input_dilation":[1],"low":[1],"high":[1],"groups":1"#),
        "f64[2,N,3]; f64[3,3,2]",
        -1.0,
        1.0,
    );
    check(
        &conv(r#""stride":[2,1],"dilation":[1,2],"input_dilation":[1,1],"low":[0,1],"high":[1,2],"groups":2"#),
        "f64[2,7,6,4]; f64[3,2,2,6]",
        -1.0,
        1.0,
    );
    check(
        &conv(r#""stride":[2],"dilation":[1],"input_dilation":[3],"low":[2],"high":[-1],"groups":4"#),
        "f64[2,5,4]; f64[3,1,8]",
        -1.0,
        1.0,
    );
    check(r#"gather {"axis":1,"batch":0,"checked":true}"#, "f64[2,3,2]; i32[2,2] [0,2,2,2]", -1.0, 1.0);
    check(r#"gather {"axis":2,"batch":1,"checked":true}"#, "f64[2,2,3]; i64[2,2] [0,2,2,2]", -1.0, 1.0);
    for f in ["add", "sub", "set"] {
        let scatter = format!(r#"scatter {{"f":"{f}","depth":2,"below":"drop","above":"drop"}}"#);
        check(&scatter, "f64[2,3,2]; i32[3,2] [0,2,1,1,5,0]; f64[3,2]", -1.0, 1.0);
        let scatter = format!(r#"scatter {{"f":"{f}","depth":1,"below":"fault","above":"fault"}}"#);
        check(&scatter, "f64[3]; i64[2,1] [2,0]; f64[2]", -1.0, 1.0);
    }
    check(r#"put {"start":[1,0]}"#, "f64[4,2]; f64[2,2]", -1.0, 1.0);
    let missing: Vec<_> = Kind::ALL.iter().filter(|kind| !seen.contains(kind) && !WITHOUT.contains(kind)).collect();
    assert_eq!(missing, [&Kind::Control], "loops and branches are looked at below");
    assert!(WITHOUT.iter().all(|kind| !seen.contains(kind)));
}

/// A loop over a list: what it carries meets what stays and its own elements, one of the results is a list, and one has no
/// gradient.
const LOOP: &str = r#"
    input "x" %x
    input "w" %w
    input "list" %list
    %x = input : f64[2]
    %w = input : f64[2]
    %list = input : f64[N,2]
    %none = const [0.0] : f64[1,1]
    %empty = broadcast {"shape":["N",2],"open":[]} %none
    %zero = const [0] : i32[]
    regions 0 loop {"carried":3,"count":"N","conditional":false,"step":"i"}
    graph {
    input "n" %n
    input "x" %x
    input "out" %out
    input "w" %w
    input "list" %list
    %n = input : i32[]
    %x = input : f64[2]
    %out = input : f64[N,2]
    %w = input : f64[2]
    %list = input : f64[N,2]
    %more_n = binary {"f":"add"} %n %n
    %at = slice {"start":["i",0],"stride":[1,1],"shape":[1,2]} %list
    %row = reshape {"shape":[2]} %at
    %product = binary {"f":"mul"} %x %w
    %sum = binary {"f":"add"} %product %row
    %next = unary {"f":"tanh"} %sum
    %wide = reshape {"shape":[1,2]} %next
    %more = put {"start":["i",0]} %out %wide
    output "n" %more_n
    output "x" %next
    output "out" %more
    }
    end
    %n = control {"of":0,"result":0} %zero %x %empty %w %list
    %y = control {"of":0,"result":1} %zero %x %empty %w %list
    %all = control {"of":0,"result":2} %zero %x %empty %w %list
    %twice = binary {"f":"mul"} %y %x
    output "y" %twice
    output "all" %all
"#;

/// A branch that data choose, in a loop that carries what it gives.
const BRANCH: &str = r#"
    input "x" %x
    input "w" %w
    %x = input : f64[]
    %w = input : f64[]
    regions 0 loop {"carried":1,"count":3,"conditional":false,"step":"i"}
    graph {
    input "x" %x
    input "w" %w
    %x = input : f64[]
    %w = input : f64[]
    %half = const [0.5] : f64[]
    %above = compare {"f":"gt"} %x %half
    %which = cast {"to":"i64"} %above
    regions 0 if
    graph {
    input "x" %x
    input "w" %w
    %x = input : f64[]
    %w = input : f64[]
    %y = binary {"f":"mul"} %x %w
    output "y" %y
    }
    graph {
    input "x" %x
    input "w" %w
    %x = input : f64[]
    %w = input : f64[]
    %z = unary {"f":"sin"} %x
    output "z" %z
    }
    end
    %y = control {"of":0,"result":0} %which %x %w
    output "y" %y
    }
    end
    %y = control {"of":0,"result":0} %x %w
    output "y" %y
"#;

/// A cell with two gates, which reads two parts of a sequence.
const CELL: &str = r#"
    input "h" %h
    input "u" %u
    input "x" %x
    %h = input : f64[2,8]
    %u = input : f64[8,16]
    %x = input : f64[4,2,8]
    regions 0 loop {"carried":1,"count":3,"conditional":false,"step":"i"}
    graph {
    input "h" %h
    input "u" %u
    input "x" %x
    %h = input : f64[2,8]
    %u = input : f64[8,16]
    %x = input : f64[4,2,8]
    %at = slice {"start":["i",0,0],"stride":[1,1,1],"shape":[1,2,8]} %x
    %row = reshape {"shape":[2,8]} %at
    %after = slice {"start":["i+1",0,0],"stride":[1,1,1],"shape":[1,2,8]} %x
    %other = reshape {"shape":[2,8]} %after
    %gates = dot %h %u
    %a = slice {"start":[0,0],"stride":[1,1],"shape":[2,8]} %gates
    %b = slice {"start":[0,8],"stride":[1,1],"shape":[2,8]} %gates
    %f = unary {"f":"tanh"} %a
    %g = unary {"f":"sin"} %b
    %fg = binary {"f":"mul"} %f %g
    %fx = binary {"f":"mul"} %fg %row
    %next = binary {"f":"add"} %fx %other
    output "h" %next
    }
    end
    %y = control {"of":0,"result":0} %h %u %x
    output "y" %y
"#;

/// Data end it, and its first result is of integers.
const ENDLESS: &str = r#"
    input "x" %x
    %x = input : f64[]
    %zero = const [0] : i32[]
    regions 0 loop {"carried":2,"count":null,"conditional":true,"step":"i"}
    graph {
    input "n" %n
    input "x" %x
    %n = input : i32[]
    %x = input : f64[]
    %most = const [100.0] : f64[]
    %more = compare {"f":"lt"} %x %most
    output "more" %more
    }
    graph {
    input "n" %n
    input "x" %x
    %n = input : i32[]
    %x = input : f64[]
    %twice = binary {"f":"add"} %x %x
    output "n" %n
    output "x" %twice
    }
    end
    %n = control {"of":0,"result":0} %zero %x
    %y = control {"of":0,"result":1} %zero %x
    output "y" %y
"#;

#[test]
fn loops_and_branches_have_their_gradients() {
    let parsed = |text: &str| text::parse(text, &Default::default()).unwrap_or_else(|error| panic!("{}", error.what));
    agrees(&parsed(LOOP), -0.9, 0.9);
    agrees(&parsed(BRANCH), 0.6, 1.4);
    agrees(&parsed(BRANCH), -0.4, 0.4);
    agrees(&parsed(CELL), -0.9, 0.9);
    let mut endless = parsed(ENDLESS);
    let [x, y] = [endless.inputs[0].node, endless.outputs[0].node];
    let refused = endless.gradients(&[(y, x)], &[x]).unwrap_err();
    assert!(refused.why.contains("a loop that data end"), "{}", refused.why);
}

/// Iterations backwards make no product again, put what gates got side by side, and add to a sequence what its parts got.
#[test]
fn iterations_backwards_do_not_do_things_twice() {
    let mut graph = text::parse(CELL, &Default::default()).unwrap_or_else(|error| panic!("{}", error.what));
    let by: Vec<NodeId> = graph.inputs.iter().map(|port| port.node).collect();
    let y = graph.outputs[0].node;
    let gradients = graph.gradients(&[(y, by[0])], &by).unwrap();
    let Some(Regions::Loop(back)) = graph.regions(gradients[0]) else { panic!("no loop") };
    let live = back.body.live();
    let nodes: Vec<&Node> = back.body.iter().filter(|(id, _)| live[id.index()]).map(|(_, node)| node).collect();
    let count = |is: fn(&Op) -> bool| nodes.iter().filter(|node| is(&node.op)).count();
    assert_eq!(count(|op| matches!(op, Op::Dot(_))), 2);
    assert_eq!([count(|op| matches!(op, Op::Concat(_))), count(|op| matches!(op, Op::Pad(_)))], [1, 0]);
    let sums = nodes.iter().filter(|node| node.op == SUM.into() && node.ty.rank() == 3);
    let rows: Vec<&Dim> = sums.map(|node| &node.ty.shape[0]).collect();
    assert!(rows.len() == 2 && rows.iter().all(|n| n.is(1)), "{}", text::print(&back.body).0);
}

/// Whether an operator is like that, of the graph or of its regions.
fn any_node(graph: &Graph, is: &dyn Fn(&Op) -> bool) -> bool {
    let inside = |id| graph.regions(id).is_some_and(|regions| regions.graphs().into_iter().any(|g| any_node(g, is)));
    graph.iter().any(|(id, node)| is(&node.op) || inside(id))
}

/// Where slopes jump, differences of two steps differ, and nothing is compared.
#[test]
fn random_graphs_have_the_gradients_that_differences_say() {
    let (mut compared, mut singular, mut refused) = (0, 0, 0);
    for seed in 0..400 {
        let case = random::case(seed, 12);
        let Some(graph) = widened(&case.graph) else { continue };
        let mut rng = Rng::new(seed);
        let inputs: Vec<Tensor> = case
            .inputs
            .iter()
            .zip(&graph.inputs)
            .map(|(value, port)| apart(&mut rng, &widen(value, graph.ty(port.node).dtype)))
            .collect();
        // What is given from outside has no extents that are found inside.
        if graph.outputs.iter().any(|port| graph.shape(port.node).iter().any(|dim| graph.is_found(dim))) {
            continue;
        }
        let floats = graph.outputs.iter().map(|port| graph.ty(port.node)).filter(|ty| ty.dtype.is_float());
        let weights: Vec<Tensor> = floats.map(|ty| rng_weights(&mut rng, ty, &case.bind)).collect();
        if weights.is_empty() || !inputs.iter().any(|value| value.dtype == DType::F64) {
            continue;
        }
        let pair = Compared { graph: &graph, inputs: &inputs, weights, bind: &case.bind };
        // At a factor of 0, a running product's gradient is another one; and of updates that set one element the last one
        // counts, but all of them get its gradient.
        let is_another = |op: &Op| match op {
            Op::Scan(scan) => scan.f == BinaryFn::Mul,
            Op::Scatter(scatter) => scatter.f == Combine::Set,
            _ => false,
        };
        if any_node(&graph, &is_another) {
            continue;
        }
        let Ok(rule) = pair.by_rule() else {
            refused += 1;
            continue;
        };
        let steps = [1e-4, 5e-5].map(|step| pair.by_differences(step));
        let [Some(wide), Some(narrow)] = steps else { continue };
        // At the very place of a jump, steps of any size say the mean of the slopes on either side.
        let sides = [(-5e-5, 0.0), (0.0, 5e-5)].map(|(from, to)| pair.between(from, to));
        let [Some(before), Some(behind)] = sides else { continue };
        let flat = |gradient: &Gradient| gradient.iter().flatten().copied().collect::<Vec<f64>>();
        let [rule, wide, narrow, before, behind] = [&rule, &wide, &narrow, &before, &behind].map(flat);
        for n in 0..rule.len() {
            let (rule, wide, narrow) = (rule[n], wide[n], narrow[n]);
            let scale = 1.0 + narrow.abs();
            let even = (before[n] - behind[n]).abs() < 1e-2 * scale && (wide - narrow).abs() < 1e-6 * scale;
            let smooth = wide.is_finite() && narrow.is_finite() && even && scale < 1e6;
            // An infinite slope times one that is 0.
            singular += usize::from(smooth && rule.is_nan());
            if smooth && !rule.is_nan() {
                compared += 1;
                assert!(
                    (rule - narrow).abs() <= 1e-4 * scale,
                    "seed {seed}: {rule} {narrow}\n{}",
                    text::print(&graph).0
                );
            }
        }
    }
    let enough = compared > 500 && singular < compared / 20 && refused < 200;
    assert!(enough, "{compared} compared, {singular} are NaN, {refused} refused");
}
