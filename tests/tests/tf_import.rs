//! What the import makes of graphs as a whole: symbols, assumptions, branches, problems. Operators have their own cases.

use std::collections::BTreeMap;

use smc::{
    base::{Diagnostic, Problems},
    saved::{AttrValue as Value, DataType, Node, NodeOutput, Origin, Port, TfGraph, TfShape, TfType, Variable},
    tf::{self, Imported, Options},
};
use smc_proto::{AttrValue, TensorProto, TensorShapeProto, tensor_shape_proto::Dim};

/// A TF graph under construction; nodes are named by their position.
#[derive(Default)]
struct Builder(TfGraph);

type At = NodeOutput;

impl Builder {
    fn node(&mut self, name: &str, op: &str, inputs: &[At], attrs: &[(&str, Value)]) -> At {
        let attr = |(name, value): &(&str, Value)| (name.to_string(), AttrValue { value: Some(value.clone()) });
        let node = Node {
            name: name.into(),
            op: op.into(),
            inputs: inputs.to_vec(),
            controls: vec![],
            attrs: attrs.iter().map(attr).collect::<BTreeMap<_, _>>(),
            origin: Origin::Order,
        };
        At { node: self.0.nodes.push(node), index: 0 }
    }
    fn input(&mut self, key: &str, dtype: DataType, shape: Option<&[i64]>) -> At {
        let source = self.node(key, "Placeholder", &[], &[]);
        let shape = TfShape(shape.map(|s| s.iter().map(|&n| u64::try_from(n).ok()).collect()));
        self.0.inputs.push(Port { key: key.into(), source, ty: TfType { dtype, shape } });
        source
    }
    fn floats(&mut self, key: &str, shape: &[i64]) -> At {
        self.input(key, DataType::DtFloat, Some(shape))
    }
    fn constant(&mut self, name: &str, proto: TensorProto) -> At {
        self.node(name, "Const", &[], &[("value", Value::Tensor(proto))])
    }
    fn truth(&mut self, name: &str, value: bool) -> At {
        self.constant(name, TensorProto { dtype: 10, bool_val: vec![value], ..TensorProto::default() })
    }
    fn ints(&mut self, name: &str, values: &[i32]) -> At {
        let dim = vec![Dim { size: values.len() as i64 }];
        let tensor_shape = Some(TensorShapeProto { dim, unknown_rank: false });
        self.constant(name, TensorProto { dtype: 3, tensor_shape, int_val: values.to_vec(), ..TensorProto::default() })
    }
    fn import(mut self, outputs: &[At], options: &Options) -> Result<Imported, Problems> {
        for (n, &source) in outputs.iter().enumerate() {
            let ty = TfType { dtype: DataType::DtFloat, shape: TfShape::UNKNOWN };
            self.0.outputs.push(Port { key: format!("y{n}"), source, ty });
        }
        let refuse = |_: &Variable| Err(Problems::from(Diagnostic::error("there are no variables")));
        tf::import(&self.0, &refuse, options)
    }
}

fn types(imported: &Imported) -> String {
    let ports = imported.graph.inputs.iter().chain(&imported.graph.outputs);
    ports.map(|p| format!("{}: {}", p.name, imported.graph.ty(p.node))).collect::<Vec<_>>().join("; ")
}

fn assumed(imported: &Imported) -> Vec<String> {
    imported.graph.facts().assumed().iter().map(|(a, b)| format!("{a} == {b}")).collect()
}

#[test]
fn open_extents_that_have_to_be_equal_become_one() {
    let mut b = Builder::default();
    let (x, y) = (b.floats("x", &[-1, -1]), b.floats("y/a", &[-1, 4]));
    let sum = b.node("sum", "AddN", &[x, y], &[]);
    let imported = b.import(&[sum], &Options::default()).unwrap();
    assert_eq!(types(&imported), "x: f32[batch,4]; y/a: f32[batch,4]; y0: f32[batch,4]");
    assert!(assumed(&imported).is_empty() && imported.equal.is_none());
    let note = "the extent x_1 of input `x` is taken to be 4, because AddN `sum` needs both to be equal";
    assert_eq!((imported.notes.len(), imported.notes[0].message.as_str()), (2, note));
}

#[test]
fn open_extents_that_are_broadcast_may_be_one() {
    let mut b = Builder::default();
    let (x, y, z) = (b.floats("x", &[-1, -1]), b.floats("y", &[-1, 4]), b.floats("z", &[-1, 1]));
    let sum = b.node("sum", "AddV2", &[x, y], &[]);
    let product = b.node("product", "Mul", &[sum, z], &[]);
    let imported = b.import(&[product, sum], &Options::default()).unwrap();
    let all = "broadcast(batch,y_0,z_0)";
    let inputs = "x: f32[batch,x_1]; y: f32[y_0,4]; z: f32[z_0,1]";
    assert_eq!(types(&imported), format!("{inputs}; y0: f32[{all},4]; y1: f32[broadcast(batch,y_0),4]"));
    let repeated = imported.graph.facts().repeated().iter().map(|(a, b)| format!("{a} {b}")).collect::<Vec<_>>();
    let both = "broadcast(batch,y_0)";
    let expected = [format!("batch {both}"), format!("y_0 {both}"), "x_1 4".into()];
    assert_eq!(repeated[..3], expected);
    assert_eq!(repeated[3..], ["batch", "y_0", "z_0"].map(|from| format!("{from} {all}")));
    assert!(imported.notes.is_empty());
    let equal = imported.equal.expect("equal extents have a graph of their own");
    let when: Vec<_> = equal.when.iter().map(|(a, b)| format!("{a} == {b}")).collect();
    assert_eq!(when, ["x_1 == 4", "y_0 == batch", "z_0 == batch"]);
    let sum = equal.graph.ty(equal.graph.outputs[1].node).to_string();
    assert_eq!(sum, "f32[batch,4]");
}

/// In whatever order the operators come.
#[test]
fn what_an_operator_needs_to_be_equal_is_not_broadcast() {
    for first in ["Add", "AddN"] {
        let mut b = Builder::default();
        let (x, y) = (b.floats("x", &[-1, 4]), b.floats("y", &[-1, 4]));
        let sums = ["Add", "AddN"].map(|op| b.node(op, op, &[x, y], &[]));
        let outputs = if first == "Add" { sums } else { [sums[1], sums[0]] };
        let imported = b.import(&outputs, &Options::default()).unwrap();
        assert_eq!(types(&imported), "x: f32[batch,4]; y: f32[batch,4]; y0: f32[batch,4]; y1: f32[batch,4]");
        assert!(imported.equal.is_none());
    }
}

#[test]
fn where_equality_alone_compiles_the_note_says_how_to_choose() {
    let mut b = Builder::default();
    let (x, y) = (b.floats("x", &[-1, 4]), b.floats("y", &[-1, 4]));
    let sum = b.node("sum", "Add", &[x, y], &[]);
    let shapes = [x, y].map(|t| b.node(&format!("shape{}", t.node.index()), "Shape", &[t], &[]));
    let axes = b.node("axes", "BroadcastGradientArgs", &shapes, &[]);
    let imported = b.import(&[sum, axes], &Options::default()).unwrap();
    assert_eq!(types(&imported), "x: f32[batch,4]; y: f32[batch,4]; y0: f32[batch,4]; y1: i32[0]");
    assert!(imported.equal.is_none());
    let note = "the extent y_0 of input `y` is taken to be batch, because Add `sum` needs both to be equal";
    assert_eq!(imported.notes[0].message, note);
    let help = "where it is 1 and is to be repeated, compile with `--input y=1,4`";
    assert_eq!(imported.notes[0].help.as_deref(), Some(help));
}

#[test]
fn open_extents_that_never_meet_stay_apart() {
    let mut b = Builder::default();
    let (x, y) = (b.floats("i", &[-1, -1]), b.floats("i0", &[-1]));
    let imported = b.import(&[x, y], &Options::default()).unwrap();
    assert_eq!(types(&imported), "i: f32[batch,i_1]; i0: f32[i0_0]; y0: f32[batch,i_1]; y1: f32[i0_0]");
}

#[test]
fn options_fix_extents_and_ranks() {
    let mut b = Builder::default();
    let (x, y) = (b.floats("x", &[-1, -1]), b.input("y", DataType::DtFloat, None));
    let shapes = [("y".to_string(), vec![None, Some(3)])].into();
    let options = Options { batch: Some(7), shapes, ..Options::default() };
    let imported = b.import(&[x, y], &options).unwrap();
    assert_eq!(types(&imported), "x: f32[7,x_1]; y: f32[7,3]; y0: f32[7,x_1]; y1: f32[7,3]");

    let mut b = Builder::default();
    let y = b.input("y", DataType::DtFloat, None);
    let problems = b.import(&[y], &Options::default()).unwrap_err();
    assert!(problems.to_string().contains("--input y=SHAPE"), "{problems}");

    let mut b = Builder::default();
    let x = b.floats("x", &[-1]);
    let options = Options { shapes: [("z".to_string(), vec![None])].into(), ..Options::default() };
    assert!(b.import(&[x], &options).unwrap_err().to_string().contains("the inputs are `x`"));
}

#[test]
fn what_cannot_be_substituted_is_assumed() {
    let mut b = Builder::default();
    let x = b.floats("x", &[-1, -1]);
    let shape = b.ints("shape", &[-1, 6]);
    let y = b.node("y", "Reshape", &[x, shape], &[]);
    let imported = b.import(&[y], &Options::default()).unwrap();
    assert_eq!(types(&imported), "x: f32[batch,x_1]; y0: f32[floor(batch*x_1,6),6]");
    assert_eq!(assumed(&imported).len(), 1, "{:?}", assumed(&imported));
}

#[test]
fn what_is_never_equal_is_an_error_at_its_node() {
    let mut b = Builder::default();
    let (x, y) = (b.floats("x", &[-1, 3]), b.floats("y", &[-1, 4]));
    let sum = b.node("layer/sum", "AddV2", &[x, y], &[]);
    let after = b.node("after", "Relu", &[sum], &[]);
    let problems = b.import(&[after], &Options::default()).unwrap_err();
    assert_eq!(problems.0.len(), 1, "{problems}");
    assert_eq!(problems.0[0].place.node.as_deref(), Some("layer/sum"));
    assert_eq!(problems.0[0].place.layer.as_deref(), Some("layer"));
}

#[test]
fn all_unsupported_operators_are_told_together() {
    let mut b = Builder::default();
    let x = b.floats("x", &[-1]);
    let one = b.node("a/one", "Fancy", &[x], &[]);
    let two = b.node("b/two", "Fancy", &[one], &[]);
    let other = b.node("c/other", "Stranger", &[two], &[]);
    let problems = b.import(&[other], &Options::default()).unwrap_err();
    let text = problems.to_string();
    assert_eq!(problems.0.len(), 1, "{text}");
    let told = "Fancy, Stranger are no TensorFlow operators: another library defines them; 3 nodes need it";
    assert!(text.contains(told) && text.contains("a, b, c"), "{text}");
    // With declarations to begin with.
    for line in ["name = \"Stranger\"", "{ name = \"x\", type = \"float32\" }, # here f32[batch]", "symbol = \"fancy\""]
    {
        assert!(text.contains(line), "{text}");
    }
}

/// `cond(predicate, x + x, Strange(x))` as TensorFlow 1 writes it.
fn branches(predicate: impl Fn(&mut Builder) -> At) -> Result<Imported, Problems> {
    let mut b = Builder::default();
    let x = b.floats("x", &[-1]);
    let predicate = predicate(&mut b);
    let switch = b.node("switch", "Switch", &[x, predicate], &[]);
    let taken = At { index: 1, ..switch };
    let sum = b.node("sum", "AddV2", &[taken, taken], &[]);
    let strange = b.node("strange", "Strange", &[switch], &[]);
    let merge = b.node("merge", "Merge", &[strange, sum], &[]);
    b.import(&[merge], &Options::default())
}

#[test]
fn dead_branches_are_not_imported() {
    assert_eq!(types(&branches(|b| b.truth("yes", true)).unwrap()), "x: f32[batch]; y0: f32[batch]");
    let negated = |b: &mut Builder| {
        let no = b.node("keras_learning_phase", "Placeholder", &[], &[]);
        b.node("not", "LogicalNot", &[no], &[])
    };
    assert!(branches(negated).is_ok());
    assert!(branches(|b| b.truth("no", false)).unwrap_err().to_string().contains("Strange"));
    let open = branches(|b| b.input("p", DataType::DtBool, Some(&[]))).unwrap_err().to_string();
    assert!(open.contains("the branch depends on the values of input `p`"), "{open}");
}

#[test]
fn constants_of_a_dead_branch_hang_on_their_pivot() {
    let mut b = Builder::default();
    let x = b.floats("x", &[2]);
    let predicate = b.truth("yes", true);
    let pivot = b.node("pivot", "Switch", &[predicate, predicate], &[]);
    let no = b.node("switch_f", "Identity", &[pivot], &[]);
    let dead = b.ints("dead", &[1, 2]);
    b.0.nodes[dead.node].controls.push(no.node);
    b.0.gates.insert(dead.node, vec![no.node]);
    let switch = b.node("switch", "Switch", &[x, predicate], &[]);
    let merge = b.node("merge", "Merge", &[dead, At { index: 1, ..switch }], &[]);
    assert_eq!(types(&b.import(&[merge], &Options::default()).unwrap()), "x: f32[2]; y0: f32[2]");
}

#[test]
fn assertions_vanish_or_are_noted_and_effects_are_refused() {
    let with = |op: &str, known: bool| {
        let mut b = Builder::default();
        let x = b.floats("x", &[2]);
        let condition = if known { b.truth("yes", true) } else { b.input("p", DataType::DtBool, Some(&[])) };
        let effect = b.node("effect", op, &[condition], &[]);
        let y = b.node("y", "Identity", &[x], &[]);
        b.0.nodes[y.node].controls.push(effect.node);
        b.import(&[y], &Options::default())
    };
    assert!(with("Assert", true).unwrap().notes.is_empty());
    assert_eq!(with("Assert", false).unwrap().notes.len(), 1);
    assert!(
        with("ResourceAccumulatorApplyGradient", false)
            .unwrap_err()
            .to_string()
            .contains("changes a variable by ResourceAccumulator")
    );
    assert!(with("AssignVariableOp", false).unwrap_err().to_string().contains("lacks its operand 1"));
}

#[test]
fn deep_graphs_do_not_overflow_the_stack() {
    let mut b = Builder::default();
    let mut x = b.floats("x", &[-1]);
    let predicate = b.truth("yes", true);
    for n in 0..20_000 {
        x = b.node(&format!("n{n}"), "Relu", &[x], &[]);
    }
    let switch = b.node("switch", "Switch", &[x, predicate], &[]);
    let merge = b.node("merge", "Merge", &[switch, At { index: 1, ..switch }], &[]);
    let started = std::time::Instant::now();
    let imported = b.import(&[merge], &Options::default()).unwrap();
    assert!(imported.graph.len() >= 20_000 && started.elapsed().as_secs() < 20);
}

/// What a row does not give is told, and so is every output that needs it.
#[test]
fn outputs_that_a_row_does_not_give_are_told() {
    let mut b = Builder::default();
    let x = b.floats("x", &[2]);
    let relu = b.node("relu", "Relu", &[x], &[]);
    let beyond = At { index: 1, ..relu };
    let after = b.node("after", "Neg", &[beyond], &[]);
    let problems = b.import(&[after, relu, beyond], &Options::default()).unwrap_err();
    assert_eq!(problems.0.len(), 1, "{problems}");
    assert!(problems.to_string().contains("output 1 of Relu is not supported yet\n  node: relu"), "{problems}");
}

#[test]
fn loops_are_reported_as_they_stand() {
    let mut b = Builder::default();
    let x = b.floats("x", &[2]);
    let enter = b.node("enter", "Enter", &[x], &[]);
    let merge = b.node("merge", "Merge", &[enter], &[]);
    let next = b.node("next", "NextIteration", &[merge], &[]);
    b.0.nodes[merge.node].inputs.push(next);
    let exit = b.node("exit", "Exit", &[merge], &[]);
    let text = b.import(&[exit], &Options::default()).unwrap_err().to_string();
    assert!(text.contains("Enter") && text.contains("NextIteration"), "{text}");
}

#[test]
fn an_index_into_an_open_extent_is_guarded() {
    let mut b = Builder::default();
    let x = b.floats("x", &[-1, 2]);
    let (zero, one) = (b.ints("zero", &[2]), b.ints("one", &[1]));
    let mask = |name| (name, Value::I(0));
    let masks = [mask("begin_mask"), mask("end_mask"), mask("ellipsis_mask"), mask("new_axis_mask")];
    let attrs = [&masks[..], &[("shrink_axis_mask", Value::I(1))]].concat();
    let y = b.node("y", "StridedSlice", &[x, zero, one, one], &attrs);
    let imported = b.import(&[y], &Options::default()).unwrap();
    assert_eq!(types(&imported), "x: f32[batch,2]; y0: f32[2]");
    assert_eq!(assumed(&imported), ["max(3,batch) == batch"]);
}

#[test]
fn a_bin_count_that_is_clipped_to_a_constant_is_known() {
    let counted = |low: i32, high: i32| {
        let mut b = Builder::default();
        let x = b.input("x", DataType::DtInt32, Some(&[-1, 3]));
        let axes = b.ints("axes", &[0, 1]);
        let max = b.node("max", "Max", &[x, axes], &[("T", Value::Type(3))]);
        let [low, high] = [("low", low), ("high", high)].map(|(name, n)| {
            let proto = TensorProto { dtype: 3, int_val: vec![n], ..TensorProto::default() };
            b.constant(name, proto)
        });
        let at_least = b.node("at_least", "Maximum", &[low, max], &[]);
        let size = b.node("size", "Minimum", &[high, at_least], &[]);
        let none = TensorShapeProto { dim: vec![Dim { size: 0 }], unknown_rank: false };
        let weights =
            b.constant("weights", TensorProto { dtype: 1, tensor_shape: Some(none), ..TensorProto::default() });
        let counts = b.node("counts", "DenseBincount", &[x, size, weights], &[]);
        b.import(&[counts], &Options::default())
    };
    assert_eq!(types(&counted(5, 5).unwrap()), "x: i32[batch,3]; y0: f32[batch,5]");
    // Otherwise the values decide, and there are at most so many.
    let decided = counted(4, 5).unwrap();
    let bounds: Vec<String> = decided.graph.binds().map(|(_, bind)| bind.bound.to_string()).collect();
    assert_eq!(bounds, ["5"], "{}", types(&decided));
}
