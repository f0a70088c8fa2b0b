//! Decision forests as models carry them: folders that Yggdrasil Decision Forests wrote, among the assets.
//!
//! Numbers and names are those of Yggdrasil's messages (`proto/yggdrasil/forest.proto`). What a condition looks at is told by
//! the kind of the feature and its place among the features of that kind, as the operator gets them. What is not known is
//! refused; nothing is guessed.

mod condition;
mod nodes;

use std::sync::Arc;

use prost::Message;
use smc_proto::yggdrasil::{
    AbstractModel, Column, DataSpecification, GradientBoostedTreesHeader, IsolationForestHeader, RandomForestHeader,
    node::Output,
};

use self::nodes::Nodes;
use super::{
    files::{Files, read_all},
    graph::{Node, TfGraph},
    resources::Resources,
};
use crate::base::{Diagnostic, Id};

/// A forest, and what becomes of its leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    pub features: Features,
    pub trees: Vec<Tree>,
    pub kind: Kind,
    pub task: Task,
    /// The names of the classes, without the one for values that are not known.
    pub classes: Vec<Vec<u8>>,
    /// Whether classes have probabilities, and not the sums of trees.
    pub probabilities: bool,
}

/// The features of each kind, as many as there are columns in the operator's operands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    pub numerical: usize,
    pub boolean: usize,
    /// The number of values of each, of which 0 stands for those that are not known.
    pub categorical: Vec<i64>,
    /// The same of sets of values.
    pub sets: Vec<i64>,
}

/// A feature: its kind, and its place among those of that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    Numerical(usize),
    Boolean(usize),
    Categorical(usize),
    Set(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The sum of a value for each output, and of all trees; tree `n` adds to output `n % initial.len()`.
    Boosted { initial: Vec<f32>, link: Link },
    /// The mean of all trees.
    Random,
    /// By how deep leaves lie, of trees that were grown of so many examples each.
    Isolation { examples: i64 },
}

/// What becomes of the sum of boosted trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Identity,
    /// The probability of the second of two classes.
    Sigmoid,
    Softmax,
    /// Of the sum within -19 and 19.
    Exp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Classes,
    /// One number.
    Number,
    Anomaly,
    /// The effect of each treatment.
    Uplift,
}

/// Nodes in preorder, a node's negative child before its positive one; the first is the root.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    pub nodes: Vec<TreeNode>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TreeNode {
    Leaf(Leaf),
    /// `missing` is the answer where the feature has no value.
    Split {
        test: Test,
        missing: bool,
        negative: usize,
        positive: usize,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Leaf {
    /// A number for each output of the tree.
    Values(Vec<f32>),
    /// A vote for a class, by its place among `classes`.
    Vote(usize),
    /// How many examples of an isolation forest's tree came here.
    Examples(i64),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// A number is at least so much; a boolean is at least 1/2.
    AtLeast {
        feature: Feature,
        threshold: f32,
    },
    /// No number is as great.
    Never {
        feature: Feature,
    },
    Missing {
        feature: Feature,
    },
    /// The value, or one of a set, has its bit here, the least of a byte first; what lies behind the last byte has none.
    Contains {
        feature: Feature,
        items: Vec<u8>,
    },
    /// A sum of products is at least so much, added in f32 in this order. A missing value is replaced, or else decides.
    Sum {
        terms: Vec<Term>,
        threshold: f32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    pub feature: Feature,
    pub weight: f32,
    pub replacement: Option<f32>,
}

/// What an operator of a forest is given besides the features: the forest, or why there is none.
pub type Held = Result<Arc<Forest>, Diagnostic>;

/// Whether an operator runs a forest.
pub(super) fn runs(op: &str) -> bool {
    matches!(op, "SimpleMLInferenceOp" | "SimpleMLInferenceOpWithHandle" | "SimpleMLInferenceLeafIndexOpWithHandle")
}

/// Gives each node of a graph that runs a forest the forest, in place of its handle.
pub(super) fn resolve(graph: &mut TfGraph, resources: &Resources<'_>, files: &dyn Files, folder: &str) {
    let ids: Vec<Id<Node>> = graph.nodes.iter().filter(|(_, n)| runs(&n.op)).map(|(id, _)| id).collect();
    for id in ids {
        let held = of_node(graph, &graph.nodes[id], resources, files, folder);
        graph.forests.insert(id, held.map(Arc::new).map_err(|d| d.at_node(&graph.nodes[id].name)));
        graph.nodes[id].inputs.truncate(OPERANDS);
    }
}

/// The operands that are features; a handle comes behind.
const OPERANDS: usize = 6;

fn of_node(
    graph: &TfGraph,
    node: &Node,
    resources: &Resources<'_>,
    files: &dyn Files,
    folder: &str,
) -> Result<Forest, Diagnostic> {
    let unknown = |what: &str| node.fault(format!("the forest of {} is not known: {what}", node.op));
    let loaders: Vec<&Node> = match node.inputs.get(OPERANDS) {
        Some(&handle) => {
            let all = resources.fillers(graph, handle).into_iter().map(|id| &resources.init.nodes[id]);
            all.filter(|n| n.op == "SimpleMLLoadModelFromPathWithHandle").collect()
        }
        None => {
            let name = node.attr_str("model_identifier")?;
            let is_it = |n: &&Node| {
                n.op == "SimpleMLLoadModelFromPath" && n.attr_str("model_identifier").is_ok_and(|other| other == name)
            };
            resources.with_effects().map(|(_, n)| n).filter(is_it).collect()
        }
    };
    let [loader] = loaders[..] else {
        return Err(unknown(match loaders.len() {
            0 => "initialisation loads none behind its handle",
            _ => "initialisation loads several",
        }));
    };
    let path = loader.inputs.last().and_then(|&path| resources.asset(path));
    let asset = path.ok_or_else(|| unknown("its folder does not follow from the path of an asset"))?;
    let prefix = match loader.op.as_str() {
        "SimpleMLLoadModelFromPath" => "",
        _ => loader.attr_str("file_prefix")?,
    };
    let below = asset.path.rsplit_once('/').map_or("", |(below, _)| below);
    if !asset.present || prefix.contains(['/', '\\']) {
        return Err(unknown("its files are not among the assets"));
    }
    Forest::read(files, &format!("{folder}{below}/{prefix}"))
}

/// A message in a file, or nothing when there is no such file.
fn message<T: Message + Default>(files: &dyn Files, path: &str) -> Result<Option<T>, Diagnostic> {
    let damaged = |e| Diagnostic::error(format!("the file does not decode: {e}")).in_file(files.shown(path));
    read_all(files, path)?.map(|bytes| T::decode(&bytes[..]).map_err(damaged)).transpose()
}

fn required<T: Message + Default>(files: &dyn Files, path: &str) -> Result<T, Diagnostic> {
    let missing = || Diagnostic::error("the forest lacks this file").in_file(files.shown(path));
    message(files, path)?.ok_or_else(missing)
}

/// What the header of a kind of forest says.
struct Header {
    kind: Kind,
    trees: i64,
    shards: i32,
    format: String,
    /// Whether the leaves of a random forest vote.
    votes: bool,
}

impl Forest {
    /// The forest whose files' paths begin like this.
    pub fn read(files: &dyn Files, prefix: &str) -> Result<Forest, Diagnostic> {
        let at = |name: &str| format!("{prefix}{name}");
        let path = at("header.pb");
        let model: AbstractModel = required(files, &path)?;
        let spec: DataSpecification = required(files, &at("data_spec.pb"))?;
        let wrong = |what: String| Diagnostic::error(what).in_file(files.shown(&path));
        let task = match model.task() {
            1 => Task::Classes,
            // Regression, ranking, and the logarithm of a hazard.
            2 | 3 | 7 => Task::Number,
            4 | 5 => Task::Uplift,
            6 => Task::Anomaly,
            other => return Err(wrong(format!("task {other} of a forest is not supported"))),
        };
        let classes = match task {
            Task::Classes => classes(&model, &spec).map_err(wrong)?,
            _ => vec![],
        };
        let header = header(files, prefix, &model, classes.len())?;
        let columns = condition::Columns::new(&model, &spec.columns).map_err(wrong)?;
        let mut nodes = Nodes::open(files, &at("nodes"), header.shards, &header.format)?;
        let leaf = |output: Option<Output>| leaf(output, &header, task, classes.len());
        let mut trees = vec![];
        for _ in 0..header.trees {
            trees.push(tree(&mut nodes, &columns, &leaf)?);
        }
        if trees.is_empty() {
            return Err(wrong("a forest without trees is not supported".into()));
        }
        let probabilities = model.classification_outputs_probabilities();
        Ok(Forest { features: columns.features, trees, kind: header.kind, task, classes, probabilities })
    }
}

/// The names of the label's values, but for 0, which stands for those that are not known.
fn classes(model: &AbstractModel, spec: &DataSpecification) -> Result<Vec<Vec<u8>>, String> {
    let label = usize::try_from(model.label_col_idx()).ok().and_then(|at| spec.columns.get(at));
    let missing = || "the forest's label has no values".to_string();
    let label: &Column = label.ok_or_else(missing)?;
    let values = label.categorical.as_ref().ok_or_else(missing)?;
    let count = values.number_of_unique_values().saturating_sub(1);
    if !(1..=condition::MAX_VALUES).contains(&count) {
        return Err(format!("a label of {count} classes is not supported"));
    }
    let mut names: Vec<Vec<u8>> = (1..=count).map(|n| n.to_string().into_bytes()).collect();
    if !values.is_already_integerized() {
        for item in &values.items {
            let at = item.value.as_ref().and_then(|value| usize::try_from(value.index().saturating_sub(1)).ok());
            if let Some(name) = at.and_then(|at| names.get_mut(at)) {
                *name = item.key().to_vec();
            }
        }
    }
    Ok(names)
}

/// The header of the kind of forest there is.
fn header(files: &dyn Files, prefix: &str, model: &AbstractModel, classes: usize) -> Result<Header, Diagnostic> {
    let at = |name: &str| format!("{prefix}{name}_header.pb");
    let path = at("gradient_boosted_trees");
    if let Some(header) = message::<GradientBoostedTreesHeader>(files, &path)? {
        let wrong = |what: String| Diagnostic::error(what).in_file(files.shown(&path));
        let outputs = header.initial_predictions.len();
        let steps = usize::try_from(header.num_trees_per_iter()).ok();
        let link = match header.loss() {
            1 | 6 if outputs == 1 && classes == 2 => Link::Sigmoid,
            3 if outputs == classes && outputs > 0 => Link::Softmax,
            2 | 4 | 5 | 8 | 9 | 10 if outputs == 1 => Link::Identity,
            7 if outputs == 1 => Link::Exp,
            loss => {
                return Err(wrong(format!("loss {loss} with {outputs} outputs and {classes} classes is not known")));
            }
        };
        if steps != Some(outputs) || header.num_trees() % outputs as i64 != 0 {
            return Err(wrong(format!("{} trees for {outputs} outputs do not fit", header.num_trees())));
        }
        let (format, shards) = (header.node_format().to_string(), header.num_node_shards());
        let trees = header.num_trees();
        let kind = Kind::Boosted { initial: header.initial_predictions, link };
        return Ok(Header { kind, trees, shards, format, votes: false });
    }
    let path = at("random_forest");
    if let Some(header) = message::<RandomForestHeader>(files, &path)? {
        let (format, shards) = (header.node_format().to_string(), header.num_node_shards());
        let votes = header.winner_take_all_inference();
        return Ok(Header { kind: Kind::Random, trees: header.num_trees(), shards, format, votes });
    }
    let path = at("isolation_forest");
    if let Some(header) = message::<IsolationForestHeader>(files, &path)? {
        let (format, shards) = (header.node_format().to_string(), header.num_node_shards());
        let kind = Kind::Isolation { examples: header.num_examples_per_trees() };
        return Ok(Header { kind, trees: header.num_trees(), shards, format, votes: false });
    }
    Err(Diagnostic::error(format!("a model of the kind {} is not supported", model.name()))
        .in_file(files.shown(prefix)))
}

fn leaf(output: Option<Output>, header: &Header, task: Task, classes: usize) -> Result<Leaf, String> {
    match (output, &header.kind, task) {
        (Some(Output::Regressor(leaf)), Kind::Boosted { .. }, _)
        | (Some(Output::Regressor(leaf)), Kind::Random, Task::Number) => Ok(Leaf::Values(vec![leaf.top_value()])),
        (Some(Output::Classifier(leaf)), Kind::Random, Task::Classes) if header.votes => {
            let class = usize::try_from(i64::from(leaf.top_value()) - 1).ok().filter(|&class| class < classes);
            class.map(Leaf::Vote).ok_or_else(|| format!("a leaf votes for class {}", leaf.top_value()))
        }
        (Some(Output::Classifier(leaf)), Kind::Random, Task::Classes) => {
            let shares = leaf.distribution.unwrap_or_default();
            let sum = shares.sum();
            let fits = shares.counts.len() == classes + 1 && sum > 0.0;
            let share = |count: &f64| (count / sum) as f32;
            fits.then(|| Leaf::Values(shares.counts[1..].iter().map(share).collect()))
                .ok_or_else(|| "a leaf has no share for each class".into())
        }
        (Some(Output::Uplift(leaf)), Kind::Random, Task::Uplift) => Ok(Leaf::Values(leaf.treatment_effect)),
        (Some(Output::AnomalyDetection(leaf)), Kind::Isolation { .. }, Task::Anomaly) => {
            Ok(Leaf::Examples(leaf.num_examples_without_weight()))
        }
        _ => Err("a leaf has not what its forest needs".into()),
    }
}

/// The next tree, without recursion.
fn tree(
    nodes: &mut Nodes<'_>,
    columns: &condition::Columns<'_>,
    leaf: &dyn Fn(Option<Output>) -> Result<Leaf, String>,
) -> Result<Tree, Diagnostic> {
    let mut tree: Vec<TreeNode> = vec![];
    // The nodes whose positive child is still to come.
    let mut open: Vec<Option<usize>> = vec![None];
    while let Some(parent) = open.pop() {
        let node = nodes.next()?;
        let at = tree.len();
        if let Some(TreeNode::Split { positive, .. }) = parent.and_then(|parent| tree.get_mut(parent)) {
            *positive = at;
        }
        tree.push(match node.condition {
            None => TreeNode::Leaf(leaf(node.output).map_err(Diagnostic::error)?),
            Some(condition) => {
                let (test, missing) = columns.test(condition).map_err(Diagnostic::error)?;
                open.push(Some(at));
                open.push(None);
                TreeNode::Split { test, missing, negative: at + 1, positive: 0 }
            }
        });
    }
    Ok(Tree { nodes: tree })
}
