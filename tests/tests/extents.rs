//! Sizes that a model computes of extents, against what TensorFlow computes (`tests/models/extents.py`): by the evaluator,
//! by the interpreter of the loop IR and by machine code, from one model whose extents are open.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;
use smc::{
    base::Bindings,
    driver::{self, Executable, bind, check_assumptions},
    graph::{Graph, evaluate},
    plan::{self, Weights},
    saved::{Model, Options},
    tensor::{DType, Scalar, Tensor, TensorType},
    tf,
};

/// A call and its answer, if there is one.
#[derive(Deserialize)]
struct Recorded {
    shape: Vec<usize>,
    value: Option<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    dtype: String,
    shape: Vec<usize>,
    data: Vec<f64>,
}

impl Recorded {
    /// 0, 1, 2, ...
    fn input(&self) -> Tensor {
        let count: usize = self.shape.iter().product();
        Tensor::from_scalars(DType::F32, self.shape.clone(), (0..count).map(|n| Scalar::F32(n as f32)))
    }
    fn answer(&self) -> Option<Tensor> {
        let answer = self.value.as_ref()?;
        let dtype: DType = answer.dtype.parse().unwrap();
        let scalar = |&x: &f64| match dtype {
            DType::I32 => Scalar::Int(x as i64),
            _ => Scalar::F32(x as f32),
        };
        Some(Tensor::from_scalars(dtype, answer.shape.clone(), answer.data.iter().map(scalar)))
    }
}

/// Calls that are refused though there is an answer: a float that no integer holds becomes the least integer there.
const REFUSED: &[(&str, &[usize])] = &[("of_infinity", &[0, 2])];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models/extents")
}

fn graph(model: &Model, name: &str) -> Graph {
    let signature = model.signature(name).unwrap();
    let graph = model.graph(&signature).unwrap();
    let imported = tf::import(&graph, &|v| model.read(v), &tf::Options::default());
    imported.unwrap_or_else(|problems| panic!("{name}: {problems}")).graph
}

/// The result, or `None` where the call is refused.
type Execution<'a> = &'a dyn Fn(&Tensor, &Bindings) -> Option<Tensor>;

/// What an execution answers, where the extents fit what the graph assumes.
fn run(graph: &Graph, input: &Tensor, execution: Execution<'_>) -> Option<Tensor> {
    let declared: Vec<(&str, &TensorType)> = vec![("x", graph.ty(graph.inputs[0].node))];
    let bindings = bind(&declared, std::slice::from_ref(input)).ok()?;
    execution(input, &bindings)
}

#[test]
fn sizes_are_what_they_are_in_tensorflow() {
    let mut recorded: BTreeMap<String, Vec<Recorded>> =
        serde_json::from_str(&fs::read_to_string(folder().join("recorded.json")).unwrap()).unwrap();
    recorded.retain(|_, cases| !cases.is_empty());
    let model = Model::open(folder(), &Options::default()).unwrap();
    let graphs: Vec<(String, Graph)> = recorded.keys().map(|name| (name.clone(), graph(&model, name))).collect();
    let options = driver::Options { name: "m".into(), cpu: Some(smc_tests::cpu()), ..driver::Options::default() };
    let compiled = driver::compile_graphs(graphs.clone(), &options).unwrap_or_else(|problems| panic!("{problems}"));
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface).unwrap();
    let target = smc::native::Target::new(None, Some(&smc_tests::cpu())).unwrap();
    let mut failures = vec![];
    for (number, (name, graph)) in graphs.iter().enumerate() {
        let mut weights = Weights::default();
        let program =
            plan::plan(name, &plan::prepare(graph.clone(), &Default::default()), &target.best().info, &mut weights);
        let evaluated = |input: &Tensor, bind: &Bindings| {
            check_assumptions(graph, bind).ok()?;
            evaluate(graph, std::slice::from_ref(input), bind).ok()?.pop()
        };
        let interpreted = |input: &Tensor, bind: &Bindings| {
            check_assumptions(graph, bind).ok()?;
            plan::interpret(&program, &weights, std::slice::from_ref(input), bind).ok()?.pop()
        };
        let executed = |input: &Tensor, bind: &Bindings| {
            let mut call = executable.prepare_with(number, std::slice::from_ref(input), bind.clone()).ok()?;
            call.run(None).ok()?;
            call.results().pop()
        };
        let executions: [(&str, Execution<'_>); 3] =
            [("evaluator", &evaluated), ("interpreter", &interpreted), ("machine code", &executed)];
        for case in &recorded[name] {
            let refused = REFUSED.contains(&(name.as_str(), case.shape.as_slice()));
            let (input, expected) = (case.input(), case.answer().filter(|_| !refused));
            for (what, execution) in executions {
                let found = run(graph, &input, execution);
                let same = match (&found, &expected) {
                    (Some(a), Some(b)) => (a.dtype, &a.shape) == (b.dtype, &b.shape) && a.bytes() == b.bytes(),
                    (a, b) => a.is_none() && b.is_none(),
                };
                if !same {
                    let show = |t: &Option<Tensor>| t.as_ref().map(|t| format!("{}{:?}", t.dtype, t.shape));
                    let (found, expected) = (show(&found), show(&expected));
                    failures.push(format!("{name} {:?}, {what}: {found:?} instead of {expected:?}", case.shape));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// What no dim says is computed by the call: a size that data decide, unless all extents are fixed.
#[test]
fn what_no_dim_says_is_found_by_the_call() {
    let model = Model::open(folder(), &Options::default()).unwrap();
    let open = tf::Options::default();
    let fixed = tf::Options { shapes: [("x".into(), vec![Some(5), Some(2)])].into(), ..tf::Options::default() };
    let found = |name: &str, options| {
        let graph = model.graph(&model.signature(name).unwrap()).unwrap();
        let imported = tf::import(&graph, &|v| model.read(v), options).unwrap_or_else(|e| panic!("{name}: {e}"));
        imported.graph.binds().count() > 0
    };
    assert!(found("logarithm", &open) && !found("logarithm", &fixed));
    assert!(found("by_value", &open) && found("by_value", &fixed));
}
