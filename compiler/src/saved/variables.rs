//! Ties each variable of a graph to the stored tensor that holds its value, and finds out which are changed.
//!
//! Two witnesses: the object graph (what the saved objects say) and the restore subgraph (what TensorFlow would run).
//! Where both speak they must agree, or name tensors of equal content; one alone is believed; a variable of which
//! neither knows is an error. Names of variables prove nothing and are not used.

use std::collections::{BTreeMap, BTreeSet};

use smc_proto::{DataType, NameAttrList, attr_value::Value};

use super::{
    bundle::{Bundle, Slice},
    graph::{Builder, Library, Node, NodeOutput, Origin, Port, TfGraph, has_effect, is_functional},
    objects::Objects,
    restore::{Restored, Stored, is_variable, passed_through, resource_name},
    types::{TfShape, TfType, data_type},
};
use crate::base::{Diagnostic, Id, Problems};

/// How deep control flow may be nested in control flow.
const MAX_NESTING: usize = 30;

/// A variable that a graph uses.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// What the model calls it.
    pub name: String,
    /// Its type as stored; the shape is fixed.
    pub ty: TfType,
    /// The stored tensor with its value.
    pub key: String,
    /// The part of the stored tensor, when a large variable was split.
    pub part: Option<Slice>,
    /// A node that changes it, if one does: then its value is state, not a constant.
    pub assigned_by: Option<String>,
}

/// Both witnesses, and who overrides them.
pub(super) struct Sources {
    pub objects: Objects,
    pub restored: Restored,
    /// Why the restore graph says nothing, when it cannot be followed; told when a variable depends on it.
    pub restore_faults: Problems,
    /// The variables that initialisation changes after they were restored, by their nodes in the main graph, each with
    /// the node that does it.
    pub initialised: BTreeMap<String, String>,
}

/// Every variable of a graph, by its node.
pub(super) fn resolve(
    graph: &TfGraph,
    library: &Library,
    sources: &Sources,
    bundle: Option<&Bundle>,
) -> Result<BTreeMap<Id<Node>, Variable>, Problems> {
    let mut problems = Problems::default();
    let mut assigned = assignments(graph, library)?;
    let mut found = BTreeMap::new();
    for (id, node) in graph.nodes.iter().filter(|(_, n)| is_variable(&n.op)) {
        match resolve_one(node, sources, bundle) {
            Ok(variable) => drop(found.insert(id, Variable { assigned_by: assigned.remove(&id), ..variable })),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.has_errors() {
        problems.extend(sources.restore_faults.clone());
    }
    problems.or(found)
}

fn resolve_one(node: &Node, sources: &Sources, bundle: Option<&Bundle>) -> Result<Variable, Diagnostic> {
    let name = match node.attr_str("shared_name") {
        Ok(shared) if !shared.is_empty() => shared,
        _ => &node.name,
    };
    if let Origin::Defined { function, node: defined } = &node.origin
        && let Some(writer) = sources.initialised.get(defined).filter(|_| function.is_empty())
    {
        let what = format!("variable `{name}` is set when the model is initialised, by `{writer}`");
        return Err(node.fault(what).help("values that are computed at start-up are not supported yet"));
    }
    let bundle = bundle.ok_or_else(|| {
        node.fault(format!("variable `{name}` has no value: the model has no file variables/variables.index"))
            .help("copy the model's `variables` folder beside saved_model.pb")
    })?;
    let Stored { key, part } = stored(node, sources, bundle)?.ok_or_else(|| {
        node.fault(format!("variable `{name}` has no value: neither the saved objects nor the restore graph name one"))
            .help("export the model again; smc never guesses by names which weights belong to a variable")
    })?;
    let stored_ty = bundle.ty(&key).ok_or_else(|| {
        node.fault(format!("variable `{name}` is not in the checkpoint, which lacks the key `{key}`"))
            .help("the checkpoint belongs to another model, or was truncated")
    })?;
    let whole = stored_ty.shape.fixed().unwrap_or_default();
    let extents = match &part {
        None => Some(whole.clone()),
        Some(part) => part.within(&whole).map(|axes| axes.into_iter().map(|(_, n)| n).collect()),
    };
    let wanted =
        TfType { dtype: node.attr_type("dtype")?, shape: node.attr_shape("shape").unwrap_or(TfShape::UNKNOWN) };
    match extents.filter(|extents| wanted.shape.admits(extents) && wanted.dtype == stored_ty.dtype) {
        Some(extents) => {
            let shape = TfShape(Some(extents.into_iter().map(|n| Some(n as u64)).collect()));
            let ty = TfType { dtype: stored_ty.dtype, shape };
            Ok(Variable { name: name.into(), ty, key, part, assigned_by: None })
        }
        None => {
            let what = format!("variable `{name}` is {wanted}, but the checkpoint's `{key}` is {stored_ty}");
            Err(node.fault(what).help("the checkpoint belongs to another model"))
        }
    }
}

/// What the witnesses say of a variable.
fn stored(node: &Node, sources: &Sources, bundle: &Bundle) -> Result<Option<Stored>, Diagnostic> {
    let Sources { objects, restored, .. } = sources;
    let (by_object, by_node) = match &node.origin {
        Origin::Object(number) => (objects.keys.get(number).map(String::as_str).into_iter().collect(), None),
        Origin::Defined { function, node } if function.is_empty() => {
            (objects.keys_of_handle(node), restored.of_node.get(node))
        }
        _ => (vec![], None),
    };
    let disagree = |a: &str, b: &str| {
        let what = format!("the model names two different values for this variable: `{a}` and `{b}`");
        Err(node.fault(what).help("the model contradicts itself; export it again"))
    };
    if let Some((first, others)) = by_object.split_first() {
        let different = |other: &str| !bundle.same_content(first, other);
        if let Some(other) = others.iter().find(|other| different(other)) {
            return disagree(first, other);
        }
        return match by_node {
            Some(other) if other.part.is_some() || different(&other.key) => disagree(first, &other.key),
            _ => Ok(Some(Stored { key: first.to_string(), part: None })),
        };
    }
    // Another node of the same run-time variable may be the one that is restored.
    let by_resource = || restored.of_resource.get(&resource_name(node)?);
    Ok(by_node.or_else(by_resource).cloned())
}

/// A function's body as a graph, with its arguments as inputs.
pub(super) fn body(library: &Library, function: &NameAttrList) -> Result<TfGraph, Problems> {
    let unknown = || Diagnostic::error(format!("the model has no function `{}`", function.name));
    let scope = library.function(&function.name).ok_or_else(unknown)?;
    let def = scope.function.ok_or_else(unknown)?;
    let signature = def.signature.as_ref().ok_or_else(unknown)?;
    let mut builder = Builder::new(library);
    let mut inputs = Vec::new();
    for (at, arg) in signature.input_arg.iter().enumerate() {
        let lists = || Diagnostic::error(format!("function `{}` takes lists, which is not supported", function.name));
        if !arg.number_attr.is_empty() || !arg.type_list_attr.is_empty() {
            return Err(lists().into());
        }
        let by_attr = || match function.attr.get(&arg.type_attr)?.value.as_ref()? {
            Value::Type(t) => Some(data_type(*t)),
            _ => None,
        };
        let dtype = if arg.type_attr.is_empty() { Some(data_type(arg.r#type)) } else { by_attr() };
        let shapes = def.arg_attr.get(&(at as u32)).and_then(|a| a.attr.get("_output_shapes")?.value.as_ref());
        let shape = match shapes {
            Some(Value::List(list)) => TfShape::from_proto(list.shape.first()),
            _ => TfShape::UNKNOWN,
        };
        let ty = TfType { dtype: dtype.unwrap_or(DataType::DtInvalid), shape };
        inputs.push(builder.input(&arg.name, &arg.name, ty));
    }
    let args: Vec<_> = inputs.iter().map(|port| port.source).collect();
    let results = builder.call(function, args)?;
    let keys = signature.output_arg.iter().map(|arg| (arg.name.clone(), data_type(arg.r#type)));
    let port = |((key, dtype), source): ((String, DataType), NodeOutput)| Port {
        key,
        source,
        ty: TfType { dtype, shape: TfShape::UNKNOWN },
    };
    let outputs = keys.zip(results).map(port).collect();
    builder.finish(inputs, outputs)
}

/// The variables that some node of the graph changes, with the name of such a node.
fn assignments(graph: &TfGraph, library: &Library) -> Result<BTreeMap<Id<Node>, String>, Problems> {
    let mut memo = BTreeMap::new();
    let mut assigned = BTreeMap::new();
    for (source, writer) in writes(graph, library, &mut memo, 0)? {
        if is_variable(&graph.nodes[source].op) {
            assigned.entry(source).or_insert(writer);
        }
    }
    Ok(assigned)
}

/// The variables of the main graph that a graph changes, by name, each with the name of a node that does.
pub(super) fn assigned_by_name(graph: &TfGraph, library: &Library) -> Result<BTreeMap<String, String>, Problems> {
    let named = assignments(graph, library)?.into_iter().filter_map(|(id, writer)| match &graph.nodes[id].origin {
        Origin::Defined { function, node } if function.is_empty() => Some((node.clone(), writer)),
        _ => None,
    });
    Ok(named.collect())
}

/// The nodes at which handles start that a graph writes through, each with the writing node's name.
fn writes(
    graph: &TfGraph,
    library: &Library,
    memo: &mut BTreeMap<String, BTreeSet<usize>>,
    nesting: usize,
) -> Result<Vec<(Id<Node>, String)>, Problems> {
    let mut found = Vec::new();
    for (_, node) in graph.nodes.iter() {
        if has_effect(&node.op) {
            let origins = node.inputs.iter().map(|&input| passed_through(graph, input).node);
            found.extend(origins.map(|origin| (origin, node.name.clone())));
        }
        if !is_functional(&node.op) {
            continue;
        }
        // A loop hands all of its operands on; the others keep one for the condition.
        let first = usize::from(!node.op.contains("While"));
        for function in functions_of(node).filter(|f| library.has_effect(&f.name)) {
            for arg in written_args(function, library, memo, nesting)? {
                if let Some(&input) = node.inputs.get(arg + first) {
                    found.push((passed_through(graph, input).node, node.name.clone()));
                }
            }
        }
    }
    Ok(found)
}

fn functions_of(node: &Node) -> impl Iterator<Item = &NameAttrList> {
    node.attrs.values().flat_map(|attr| match &attr.value {
        Some(Value::Func(f)) => std::slice::from_ref(f),
        Some(Value::List(list)) => &list.func[..],
        _ => &[],
    })
}

/// The arguments through which a function writes.
fn written_args(
    function: &NameAttrList,
    library: &Library,
    memo: &mut BTreeMap<String, BTreeSet<usize>>,
    nesting: usize,
) -> Result<BTreeSet<usize>, Problems> {
    if let Some(known) = memo.get(&function.name) {
        return Ok(known.clone());
    }
    if nesting > MAX_NESTING {
        return Err(Diagnostic::error(format!("control flow is nested more than {MAX_NESTING} deep")).into());
    }
    // A function that reaches itself adds nothing on the way round.
    memo.insert(function.name.clone(), BTreeSet::new());
    let graph = body(library, function)?;
    let origins = writes(&graph, library, memo, nesting + 1)?;
    let is_arg = |id: Id<Node>| graph.inputs.iter().position(|port| port.source.node == id);
    let args: BTreeSet<usize> = origins.into_iter().filter_map(|(id, _)| is_arg(id)).collect();
    memo.insert(function.name.clone(), args.clone());
    Ok(args)
}
