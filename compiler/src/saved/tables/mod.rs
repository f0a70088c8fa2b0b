//! Tables that a graph looks something up in: what initialisation fills them with.
//!
//! A table that a graph only reads is what it is after the initialisation. Its pairs are tensors that the initialisation
//! computes, or lines of an asset. What changes a table, or fills it otherwise, is refused by name.

mod lines;

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use smc_proto::{DataType, MetaGraphDef};

use super::{
    files::{Files, read_all},
    graph::{Node, NodeOutput, Port, TfGraph},
    lent,
    resources::Resources,
    restore::handed_on,
    types::{TfShape, TfType},
};
use crate::{
    base::{Arena, Diagnostic, Id},
    tensor::Tensor,
};

/// A table that is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub pairs: Pairs,
    /// Whether it is of a kind that may change once it was initialised.
    pub mutable: bool,
}

/// What is in a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Pairs {
    /// Of keys and values, `[n]` each.
    Known { keys: Tensor, values: Tensor },
    /// A graph without inputs that computes keys and values.
    Computed(TfGraph),
}

/// What a node that reads a table is given in place of its handle: the table, or why it is not known.
pub type Held = Result<Arc<Table>, Diagnostic>;

/// Whether an operator reads a table and changes none.
pub(super) fn reads(op: &str) -> bool {
    matches!(op, "LookupTableFind" | "LookupTableFindV2" | "LookupTableSize" | "LookupTableSizeV2")
}

/// An operator of the model that changes a table, if there is one; what restores a table is none.
pub(super) fn changer(meta: &MetaGraphDef) -> Option<&str> {
    let main = meta.graph_def.as_ref();
    let functions = main.and_then(|graph| graph.library.as_ref()).map_or(&[][..], |library| &library.function);
    let inside = functions.iter().flat_map(|function| &function.node_def);
    let mut ops = main.map_or(&[][..], |graph| &graph.node).iter().chain(inside).map(|node| node.op.as_str());
    ops.find(|op| op.starts_with("LookupTableInsert") || op.starts_with("LookupTableRemove"))
}

/// Whether a graph reads a table, itself or in a branch or loop.
pub(super) fn has_readers(graph: &TfGraph) -> bool {
    let inside = || graph.bodies.values().flatten().any(|body| has_readers(body));
    graph.nodes.iter().any(|(_, node)| reads(&node.op)) || inside()
}

/// Gives each node that reads a table the table, in place of its handle, in a graph and in its branches and loops; these are
/// not lent handles any more. `changer` is an operator by which a signature of the model, this one or another, changes some table.
pub(super) fn resolve(
    graph: &mut TfGraph,
    resources: &Resources<'_>,
    files: &dyn Files,
    folder: &str,
    changer: Option<&str>,
) {
    let known: RefCell<HashMap<Vec<Id<Node>>, Held>> = RefCell::default();
    let find = |graph: &TfGraph, handle: NodeOutput| {
        let mutable = is_mutable(graph, handle, resources);
        if let Some(op) = changer.filter(|_| mutable) {
            return Err(unknown(&format!("a signature of the model changes tables by {op}")));
        }
        let fillers = resources.fillers(graph, handle);
        let table = || {
            let pairs = pairs(graph, handle, &fillers, resources, files, folder)?;
            Ok(Arc::new(Table { pairs, mutable }))
        };
        known.borrow_mut().entry(fillers.clone()).or_insert_with(table).clone()
    };
    resolve_by(graph, &find);
}

/// The same by what is behind a handle of the graph.
fn resolve_by(graph: &mut TfGraph, find: &dyn Fn(&TfGraph, NodeOutput) -> Held) {
    let ids: Vec<Id<Node>> = graph.nodes.iter().filter(|(_, n)| reads(&n.op)).map(|(id, _)| id).collect();
    for id in ids {
        let Some(&handle) = graph.nodes[id].inputs.first() else { continue };
        let held = find(graph, handle).map_err(|d| d.at_node(&graph.nodes[id].name));
        graph.tables.insert(id, held);
        graph.nodes[id].inputs.remove(0);
    }
    let readers = graph.bodies.iter().filter(|(_, body)| body.as_ref().is_ok_and(|body| has_readers(body)));
    let readers: Vec<(Id<Node>, usize)> = readers.map(|(&place, _)| place).collect();
    for (id, which) in &readers {
        let Some(Ok(body)) = graph.bodies.get(&(*id, *which)) else { continue };
        let mut body = (**body).clone();
        let (outer, node) = (&*graph, &graph.nodes[*id]);
        let before = usize::from(!node.op.ends_with("While"));
        resolve_by(&mut body, &|body, handle| {
            let at = handed_on(body, handle);
            let argument = body.inputs.iter().position(|port| port.source == at);
            match argument.map(|n| node.inputs.get(n + before)) {
                Some(Some(&given)) => find(outer, given),
                Some(None) => Err(unknown("its handle is no argument of the branch or loop")),
                None => find(body, handle),
            }
        });
        graph.bodies.insert((*id, *which), Ok(Arc::new(body)));
    }
    if !readers.is_empty() {
        lent::leave_out(graph);
    }
}

fn unknown(what: &str) -> Diagnostic {
    Diagnostic::error(format!("what the table holds is not known: {what}"))
}

/// Whether a table may change once it was initialised.
fn is_mutable(graph: &TfGraph, handle: NodeOutput, resources: &Resources<'_>) -> bool {
    !resources.makers(graph, handle).any(|node| matches!(node.op.as_str(), "HashTable" | "HashTableV2"))
}

fn pairs(
    graph: &TfGraph,
    handle: NodeOutput,
    fillers: &[Id<Node>],
    resources: &Resources<'_>,
    files: &dyn Files,
    folder: &str,
) -> Result<Pairs, Diagnostic> {
    let fillers: Vec<&Node> = fillers.iter().map(|&id| &resources.init.nodes[id]).collect();
    let [filler] = fillers[..] else {
        return Err(unknown(match fillers.len() {
            0 => "initialisation puts nothing into it",
            _ => "initialisation fills it several times",
        }));
    };
    match (filler.op.as_str(), &filler.inputs[..]) {
        ("InitializeTable" | "InitializeTableV2" | "LookupTableImport" | "LookupTableImportV2", &[_, keys, values]) => {
            let [of_keys, of_values] = if filler.op.starts_with("Init") { ["Tkey", "Tval"] } else { ["Tin", "Tout"] };
            let types = [filler.attr_type(of_keys)?, filler.attr_type(of_values)?];
            computed(resources.init, [keys, values], types).map_err(|why| unknown(&why))
        }
        ("InitializeTableFromTextFile" | "InitializeTableFromTextFileV2", &[_, path]) => {
            let asset = resources.asset(path).ok_or_else(|| unknown("its file does not follow from an asset"))?;
            let path = format!("{folder}{}", asset.path);
            let missing = || Diagnostic::error("the table's file is missing").in_file(files.shown(&path));
            let bytes = read_all(files, &path)?.filter(|_| asset.present).ok_or_else(missing)?;
            let (key, value) = resources.types(graph, handle).ok_or_else(|| unknown("its types are not stated"))?;
            let lines = lines::Lines::of(filler)?;
            let (keys, values) =
                lines.pairs(&bytes, key, value).map_err(|d| d.in_file(files.shown(&path)).at_node(&filler.name))?;
            Ok(Pairs::Known { keys, values })
        }
        (op, _) => Err(unknown(&format!("`{}` ({op}) fills it", filler.name))),
    }
}

/// What computes two tensors of the initialisation: their nodes and all that these need.
fn computed(init: &TfGraph, outputs: [NodeOutput; 2], types: [DataType; 2]) -> Result<Pairs, String> {
    let (mut needed, mut open) = (BTreeSet::new(), outputs.map(|output| output.node).to_vec());
    while let Some(id) = open.pop() {
        if needed.insert(id) {
            open.extend(init.nodes[id].inputs.iter().map(|input| input.node));
        }
    }
    let fed: BTreeSet<Id<Node>> = init.inputs.iter().map(|port| port.source.node).collect();
    if let Some(id) = needed.iter().find(|id| fed.contains(id) || init.variables.contains_key(id)) {
        return Err(format!("it is made of `{}`, which is no constant", init.nodes[*id].name));
    }
    // Operands come first in a graph.
    let (mut nodes, mut places): (Arena<Node>, HashMap<Id<Node>, Id<Node>>) = Default::default();
    for &id in &needed {
        let node = &init.nodes[id];
        let inputs = node.inputs.iter().map(|input| NodeOutput { node: places[&input.node], ..*input }).collect();
        places.insert(id, nodes.push(Node { inputs, controls: vec![], ..node.clone() }));
    }
    let port = |(key, (output, dtype)): (&str, (NodeOutput, DataType))| Port {
        key: key.into(),
        source: NodeOutput { node: places[&output.node], ..output },
        ty: TfType { dtype, shape: TfShape::UNKNOWN },
    };
    let outputs = ["keys", "values"].into_iter().zip(outputs.into_iter().zip(types)).map(port).collect();
    Ok(Pairs::Computed(TfGraph { nodes, outputs, ..TfGraph::default() }))
}
