//! Training entries for a signature that only infers: a step that learns, and an evaluation, over the signature's own
//! variables.
//!
//! Both are ordinary entries with state, made from the signature's graph as imported: nothing below the driver knows
//! learning. The variables that learn are state in all entries of the object; the others stay constants.

mod adafactor;
mod choice;
mod custom;
mod cut;
mod examples;
mod fit;
mod graft;
mod limit;
mod loss;
mod norms;
mod optimizer;
mod penalty;

use std::collections::BTreeMap;

pub use examples::{Examples, fixed_batch};
pub use fit::{Course, End, Epoch, Event, Fit, Heard, Learned, Mark, Progress, Score};
pub use graft::{Graft, grafted};
pub use limit::Memory;
pub use loss::Loss;
pub use norms::BatchNorm;
pub use optimizer::Optimizer;
pub use penalty::L2;

use self::norms::{Norm, Placed};
use super::{Entry, Options, initial, source, state::Keys};
use crate::{
    base::{Diagnostic, Problems, layer::Scopes},
    graph::{Graph, NodeId, Port},
    op::{Compose, Value},
    saved::{
        Model, Signature, TfGraph, TfShape, TfType, Variable,
        revise::{self, Head, Revised},
    },
    tensor::{DType, Scalar, Tensor, TensorType},
    tf::{self, Kept},
};

/// The names of the entries.
pub const STEP: &str = "train_step";
pub const EVALUATE: &str = "evaluate";
/// The beginning of the names of variables that only training has.
pub const OWN: &str = "training/";
/// Behind it, the name of the one by which users know and change the learning rate.
pub const LEARNING_RATE: &str = "learning_rate";

/// What a model is to learn, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    pub loss: Loss,
    pub optimizer: Optimizer,
    /// Patterns of names: only variables that one of them matches learn, if there is one.
    pub only: Vec<String>,
    /// Patterns of names of variables that do not learn.
    pub freeze: Vec<String>,
    /// Whether callers weigh each example.
    pub weights: bool,
    /// What weights add to the loss.
    pub l2: Option<L2>,
    pub batch_norm: BatchNorm,
    /// What the workspace of the step may take.
    pub memory: Option<Memory>,
}

impl Training {
    /// All that can be trained learns, and batch norms keep their statistics.
    pub fn new(loss: Loss, optimizer: Optimizer) -> Training {
        let batch_norm = BatchNorm::Frozen;
        Training { loss, optimizer, only: vec![], freeze: vec![], weights: false, l2: None, batch_norm, memory: None }
    }
    /// The same, where steps take so many examples.
    pub fn in_steps_of(self, batch: u64) -> Training {
        let memory = self.memory.map(|memory| Memory { batch: Some(batch), ..memory });
        Training { memory, ..self }
    }
}

/// A signature's graph made for training, and the variables of it that learn.
pub struct Trained {
    signature: Signature,
    source: TfGraph,
    /// Whether the output was a probability that is computed of the value taken now.
    from_logits: bool,
    /// Of the variables that a step changes.
    pub keys: Keys,
    /// Of those among them that learn.
    learning: Keys,
    /// The batch norms that use the statistics of the batch, if any do.
    norms: Vec<Norm>,
    /// What is said of variables that do not learn.
    note: Option<Diagnostic>,
}

/// Looks for the signature to be trained and its variables.
pub fn prepare(model: &Model, options: &Options, training: &Training) -> Result<Trained, Problems> {
    let signature = signature(model, options)?;
    let import = source::import_options(&signature, options, &Keys::new());
    let mut source = source::graph(model, &signature, &import)?;
    if let Some(node) = source.updates.values().next() {
        let what = format!("signature `{}` changes variables itself (node `{node}`)", signature.name);
        return Err(Diagnostic::error(what).help("name a signature that only infers: `--signature KEY`").into());
    }
    let from_logits = training.loss.asks_for_logits() && loss::take_logits(&mut source, training.loss);
    let all = match training.batch_norm {
        BatchNorm::Frozen => vec![],
        BatchNorm::Train { .. } => norms::find(model, &source)?,
    };
    let (learning, note) = choice::learning(model, &source, training, &all)?;
    custom::check(&source, &learning)?;
    let norms = match training.batch_norm {
        BatchNorm::Frozen => vec![],
        BatchNorm::Train { .. } => choice::moving(model, &source, training, all)?,
    };
    let statistics = norms.iter().flat_map(|norm| [norm.mean.clone(), norm.variance.clone()]);
    let keys = learning.iter().cloned().chain(statistics).collect();
    Ok(Trained { signature, source, from_logits, keys, learning, norms, note })
}

/// The model with another last layer, in place of the one that the signature to be trained ends in. The seed is that of its
/// weights.
pub fn with_head(model: &Model, options: &Options, head: &Head, seed: u64) -> Result<Revised, Problems> {
    revise::with_head(model, &chosen(model, options)?, head, seed)
}

/// The first signature that was named, else `serving_default`, else the first.
fn chosen(model: &Model, options: &Options) -> Result<Signature, Problems> {
    let all = super::signatures(model, options)?;
    let default = all.iter().find(|s| s.name == "serving_default").filter(|_| options.signatures.is_empty());
    default.or(all.first()).cloned().ok_or_else(|| model.no_signature().into())
}

/// The chosen one, which has one output.
fn signature(model: &Model, options: &Options) -> Result<Signature, Problems> {
    let signature = chosen(model, options)?;
    match &signature.outputs[..] {
        [_] => {}
        outputs => {
            let names: Vec<_> = outputs.iter().map(|slot| format!("`{}`", slot.key)).collect();
            let what = format!(
                "signature `{}` has {} outputs, {}: which of them is compared with the targets is not known",
                signature.name,
                names.len(),
                names.join(", ")
            );
            return Err(Diagnostic::error(what).help("name one of them: `--output NAME`").into());
        }
    }
    Ok(signature)
}

impl Trained {
    /// The step and the evaluation.
    pub fn entries(&self, model: &Model, options: &Options, training: &Training) -> Result<Vec<Entry>, Problems> {
        let import = tf::Options {
            state: Some(self.keys.clone()),
            differentiable: true,
            ..source::import_options(&self.signature, options, &self.keys)
        };
        let imported = tf::import(&self.source, &|variable| initial::read(model, variable), &import)?;
        let evaluation = self.entry(EVALUATE, imported.clone(), options, training, false)?;
        let mut step = self.entry(STEP, imported, options, training, true)?;
        step.notes.extend(self.note.clone());
        Ok(vec![step, evaluation])
    }

    fn entry(
        &self,
        name: &str,
        imported: tf::Imported,
        options: &Options,
        training: &Training,
        learns: bool,
    ) -> Result<Entry, Problems> {
        let tf::Imported { graph, equal, state, sizes, notes } = imported;
        // What is repeated where an extent is 1 has no gradient: extents that meet are equal in a step, and are one symbol.
        let graph = equal.map_or(graph, |equal| equal.graph);
        let told = |why: String| Problems::from(Diagnostic::error(format!("cannot make `{name}`: {why}")));
        let (keys, norms) = (&self.learning, &self.norms[..]);
        let mut build = Build { graph, state, keys, norms, from_logits: self.from_logits };
        let fresh = build.extend(training, learns).map_err(told)?;
        let Build { graph, state, .. } = build;
        let scopes = Scopes::new(self.source.variables.values().map(|v| v.name.as_str()));
        let imported = tf::Imported { graph, equal: None, state, sizes, notes };
        Ok(Entry { scopes, fresh, ..super::from_import(name.into(), imported, options) })
    }
}

/// A graph on its way from an inference to an entry that learns or evaluates.
struct Build<'a> {
    graph: Graph,
    state: Vec<Kept>,
    /// Of the variables that learn.
    keys: &'a Keys,
    norms: &'a [Norm],
    from_logits: bool,
}

impl Build<'_> {
    /// Adds targets, loss, metric and, where it learns, the changes of the variables. What comes back are the first values of
    /// the variables that the model does not have.
    fn extend(&mut self, training: &Training, learns: bool) -> Result<BTreeMap<String, Tensor>, String> {
        let batches = if learns { self.by_batch()? } else { vec![] };
        // Those of variables come last.
        let own = self.graph.inputs.len() - self.state.len();
        let kept: Vec<Port> = self.graph.inputs.split_off(own);
        let y = self.graph.outputs[0].node;
        if self.graph.shape(y).iter().any(|dim| self.graph.is_found(dim)) {
            return Err(format!("data decide how large the output {} is", self.graph.ty(y)));
        }
        self.graph.outputs.clear();
        let ty = self.graph.ty(y).clone();
        let target = self.graph.input(self.free_name("target"), training.loss.target(&ty)?);
        let weights = training.weights.then(|| {
            let ty = TensorType::new(DType::F32, vec![ty.shape[0].clone()]);
            self.graph.input(self.free_name("sample_weight"), ty)
        });
        let first_kept = self.graph.inputs.len();
        self.graph.inputs.extend(kept);
        for kept in &mut self.state {
            kept.input = kept.input - own + first_kept;
        }
        let at = |id: NodeId| Value(id.index());
        self.graph.set_origin(Some("loss".into()));
        let compared = training.loss.compare(
            &mut Compose(&mut self.graph),
            at(y),
            at(target),
            weights.map(at),
            self.from_logits,
        )?;
        let node = |value: Value| NodeId::new(value.0);
        let is_learning = |&n: &usize| self.keys.contains(&self.state[n].variable.key);
        let learning: Vec<usize> = (0..self.state.len()).filter(is_learning).collect();
        let variables: Vec<NodeId> = learning.iter().map(|&n| self.graph.inputs[self.state[n].input].node).collect();
        let mut results = vec![(node(compared.result), node(compared.seed))];
        let mut loss = compared.loss;
        if let Some(l2) = &training.l2 {
            let weights = learning.iter().map(|&n| &self.state[n].variable).zip(variables.iter().copied().map(at));
            let weights: Vec<_> = weights.collect();
            let c = &mut Compose(&mut self.graph);
            let dtype = c.dtype(loss);
            let cost = l2.cost(c, &weights, dtype)?;
            results.push((node(cost), node(L2::one(c, cost)?)));
            loss = c.sum(loss, cost)?;
        }
        self.graph.output("loss", node(loss));
        if let Some(accuracy) = compared.accuracy {
            self.graph.output("accuracy", node(accuracy));
        }
        let mut fresh = BTreeMap::new();
        if !learns {
            return Ok(fresh);
        }
        let gradients = self.graph.gradients(&results, &variables).map_err(|none| match none.origin {
            Some(origin) => format!("{} (node `{origin}`)", none.why),
            None => none.why,
        })?;
        self.graph.set_origin(Some("optimizer".into()));
        let mut slots =
            Slots { graph: &mut self.graph, state: &mut self.state, fresh: &mut fresh, changes: BTreeMap::new() };
        training.optimizer.update(&mut slots, &learning, &variables, &gradients)?;
        if let BatchNorm::Train { momentum } = training.batch_norm {
            slots.move_statistics(&batches, momentum)?;
        }
        // In the order of the variables, as everywhere.
        for (variable, value) in slots.changes {
            let kept = &mut self.state[variable];
            (kept.output, kept.varies) = (Some(self.graph.outputs.len()), true);
            self.graph.output(kept.variable.short_key(), node(value));
        }
        Ok(fresh)
    }

    /// Lets batch norms use the statistics of the batch: the number of each stored one, and what it moves towards.
    fn by_batch(&mut self) -> Result<Vec<(usize, NodeId)>, String> {
        if self.norms.is_empty() {
            return Ok(vec![]);
        }
        let number = |key: &str| {
            let found = self.state.iter().position(|kept| kept.variable.key == key);
            found.ok_or_else(|| format!("the statistics `{key}` are no state"))
        };
        let (mut numbers, mut placed) = (vec![], vec![]);
        for norm in self.norms {
            let [mean, variance] = [number(&norm.mean)?, number(&norm.variance)?];
            let node = |n: usize| self.graph.inputs[self.state[n].input].node;
            placed.push(Placed { norm: norm.clone(), mean: node(mean), variance: node(variance) });
            numbers.push([mean, variance]);
        }
        let given = self.graph.inputs.len() - self.state.len();
        let own: Vec<NodeId> = self.graph.inputs[..given].iter().map(|port| port.node).collect();
        let (graph, statistics) = norms::by_batch(&self.graph, &placed, &own)?;
        self.graph = graph;
        Ok(numbers.concat().into_iter().zip(statistics.concat()).collect())
    }

    fn free_name(&self, wanted: &str) -> String {
        let taken = |name: &str| self.graph.inputs.iter().any(|port| port.name == name);
        let numbered = (1..).map(|n| if n == 1 { wanted.to_string() } else { format!("{wanted}_{n}") });
        numbered.into_iter().find(|name| !taken(name)).unwrap_or_else(|| wanted.into())
    }
}

/// Variables that only training has, and changes of all.
pub struct Slots<'a> {
    graph: &'a mut Graph,
    state: &'a mut Vec<Kept>,
    fresh: &'a mut BTreeMap<String, Tensor>,
    changes: BTreeMap<usize, Value>,
}

impl Slots<'_> {
    pub fn compose(&mut self) -> Compose<'_> {
        Compose(&mut *self.graph)
    }
    /// The name of the variable with this number.
    pub fn name(&self, variable: usize) -> String {
        self.state[variable].variable.short_key().into()
    }
    /// A variable that begins with a value in all elements: its number and its value before the call. [`OWN`] comes before
    /// its name.
    pub fn variable(
        &mut self,
        name: &str,
        dtype: DType,
        shape: &[usize],
        value: f64,
    ) -> Result<(usize, Value), String> {
        let name = &format!("{OWN}{name}")[..];
        let known = type_of(dtype).ok_or_else(|| format!("a variable of {dtype} does not learn"))?;
        let shape_of = TfShape(Some(shape.iter().map(|&n| Some(n as u64)).collect()));
        let key = name.to_string();
        let variable = Variable {
            name: name.into(),
            ty: TfType { dtype: known, shape: shape_of },
            key: key.clone(),
            part: None,
            initial: None,
            begins: None,
            unset: false,
            assigned_by: None,
        };
        let scalar =
            if dtype.is_float() { Scalar::from_f64(dtype, value) } else { Scalar::from_i64(dtype, value as i64) };
        self.fresh.insert(key, Tensor::from_fn(dtype, shape, |_| scalar));
        let extents: Vec<_> = shape.iter().map(|&n| n.into()).collect();
        let input = self.graph.input(name, TensorType::new(dtype, extents));
        let number = self.state.len();
        let input_number = self.graph.inputs.len() - 1;
        self.state.push(Kept { variable, input: input_number, output: None, varies: false });
        Ok((number, Value(input.index())))
    }
    /// Lets stored statistics move towards those of the batch.
    fn move_statistics(&mut self, batches: &[(usize, NodeId)], momentum: f64) -> Result<(), String> {
        for &(variable, batch) in batches {
            let stored = self.graph.inputs[self.state[variable].input].node;
            let value = norms::moved(&mut self.compose(), Value(stored.index()), Value(batch.index()), momentum)?;
            self.assign(variable, value);
        }
        Ok(())
    }
    /// Lets a variable have this value behind the call.
    pub fn assign(&mut self, variable: usize, value: Value) {
        self.changes.insert(variable, value);
    }
}

fn type_of(dtype: DType) -> Option<smc_proto::DataType> {
    use smc_proto::DataType;
    Some(match dtype {
        DType::F32 => DataType::DtFloat,
        DType::F64 => DataType::DtDouble,
        DType::F16 => DataType::DtHalf,
        DType::BF16 => DataType::DtBfloat16,
        DType::I64 => DataType::DtInt64,
        _ => return None,
    })
}
