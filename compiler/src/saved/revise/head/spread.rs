//! What is of another extent where the last layer has other units: from the layer's variables through the main graph and all
//! functions, operator by operator. An operator that no rule is for stops it, and the change is refused.
//!
//! The extent of the units is always the last one.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use smc_proto::{MetaGraphDef, NodeDef, VariableDef, attr_value::Value, collection_def::Kind as Collected};

use super::{
    activation::Activation,
    cells::{Cells, Role},
    find::{hands_on, is_map, is_pair},
};
use crate::{
    base::{Diagnostic, Problems},
    saved::{
        graph::{Attrs, Library, Reference, Scope, control_inputs, data_inputs},
        op_defs::op_def,
        restore::is_variable,
        tensor_proto,
        types::TfShape,
    },
    tensor::Tensor,
};

/// What a tensor has to do with the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The handle of a variable.
    Handle(Role),
    /// Its value, or one made of that element by element.
    Value(Role),
    /// The product with the kernel.
    Product,
    /// With the bias.
    Sum,
    /// The activation, and what is made of it element by element.
    Result,
    /// Numbers of classes, which are no longer those that they were.
    Class,
}

impl Kind {
    /// Whether its last extent is that of the units.
    pub fn has_units(self) -> bool {
        !matches!(self, Kind::Handle(_) | Kind::Class)
    }
    fn is_output(self) -> bool {
        matches!(self, Kind::Product | Kind::Sum | Kind::Result)
    }
}

/// By main graph (an empty name) or function.
pub type Scopes<T> = BTreeMap<String, T>;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// What the function's arguments are.
    pub args: Vec<Option<Kind>>,
    /// Arguments that no caller in the model gives, only whoever loads it.
    free: Vec<bool>,
    /// Outputs of nodes.
    pub outputs: BTreeMap<(usize, u32), Kind>,
    /// Outputs that restored values pass on their way to the layer's variables.
    pub restored: BTreeMap<(usize, u32), Kind>,
    pub results: Vec<Option<Kind>>,
}

/// Nodes that a new head concerns beside their shapes.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// The activations of the layer, of one node each.
    pub activations: BTreeSet<(String, usize)>,
    /// What gives the sums.
    pub sums: BTreeSet<(String, usize)>,
    /// Assignments of first values, of the old extents.
    pub initial: BTreeSet<(String, usize)>,
    products: BTreeSet<(String, usize)>,
    problems: Vec<Diagnostic>,
    /// Nodes of the main graph that nothing which is served needs, and that cannot stay.
    pub removed: BTreeSet<usize>,
}

/// The arguments of a call; one that the caller does not know is `None`.
type Call = Vec<Option<Option<Kind>>>;

pub struct Spread<'a, 'm> {
    library: &'a Library<'m>,
    cells: &'a Cells,
    has_bias: bool,
    units: usize,
    needed: BTreeSet<usize>,
    pub scopes: Scopes<Found>,
    /// All calls of each function in a pass.
    calls: RefCell<Scopes<Vec<Call>>>,
    /// What a function does with arguments that are free.
    wanted: RefCell<BTreeMap<(String, usize), Kind>>,
    marks: RefCell<Marks>,
}

/// Where a tensor of a scope comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Arg(usize),
    Output(usize, u32),
}

const MOST_PASSES: usize = 64;

impl<'a, 'm> Spread<'a, 'm> {
    pub fn find(
        meta: &'m MetaGraphDef,
        library: &'a Library<'m>,
        cells: &'a Cells,
        has_bias: bool,
        units: usize,
    ) -> Result<(Scopes<Found>, Marks), Problems> {
        let needed = needed(meta, library);
        let mut spread = Spread {
            library,
            cells,
            has_bias,
            units,
            needed,
            scopes: BTreeMap::from([(String::new(), Found::default())]),
            calls: RefCell::default(),
            wanted: RefCell::default(),
            marks: RefCell::default(),
        };
        for _ in 0..MOST_PASSES {
            let before = spread.scopes.clone();
            spread.pass(meta);
            if spread.scopes == before {
                return spread.finish();
            }
        }
        Err(Diagnostic::error("what a new head changes has no end: a loop hands it round").into())
    }

    fn finish(self) -> Result<(Scopes<Found>, Marks), Problems> {
        let mut marks = self.marks.take();
        let mut problems = Problems::default();
        marks.problems.dedup();
        problems.0.append(&mut marks.problems);
        for (function, calls) in self.calls.take() {
            let own = &self.scopes[&function].args;
            let differs =
                |call: &Call| call.iter().zip(own).any(|(given, own)| given.is_some_and(|given| given != *own));
            if calls.iter().any(differs) {
                let what = format!("function `{function}` is called with the last layer's values and with others too");
                problems.push(Diagnostic::error(what).help("its shapes cannot be those of both"));
            }
        }
        let in_one = |scope: &str| marks.products.iter().filter(|(own, _)| own == scope).count();
        if let Some((scope, at)) = marks.products.iter().find(|(scope, _)| in_one(scope) > 1) {
            let node = &self.library_scope(scope).nodes[*at].name;
            let what = "the kernel of the last layer is used twice";
            problems.push(
                Diagnostic::error(what).at_node(node).help("another layer shares it, and cannot have other units"),
            );
        }
        problems.or((self.scopes, marks))
    }

    fn library_scope(&self, name: &str) -> &'a Scope<'m> {
        match name {
            "" => &self.library.main,
            name => self.library.function(name).expect("functions are looked up before they are entered"),
        }
    }

    fn pass(&mut self, meta: &MetaGraphDef) {
        self.calls.take();
        self.wanted.take();
        self.marks.take();
        // What objects export may be called by whoever loads the model.
        let concrete = meta.object_graph_def.iter().flat_map(|graph| &graph.concrete_functions);
        for (name, function) in concrete {
            let Some(def) = self.library.function(name).and_then(|scope| scope.function?.signature.as_ref()) else {
                continue;
            };
            let kind = |object: &i32| {
                usize::try_from(*object).ok().and_then(|n| self.cells.objects.get(&n)).map(|r| Kind::Handle(*r))
            };
            let bound = function.bound_inputs.iter().map(kind).map(Some);
            let given = def.input_arg.len().saturating_sub(function.bound_inputs.len());
            self.call(name, vec![None; given].into_iter().chain(bound).collect());
        }
        let names: Vec<String> = self.scopes.keys().cloned().collect();
        for name in names {
            let found = self.scope(&name);
            self.scopes.insert(name, found);
        }
        for (name, calls) in &*self.calls.borrow() {
            let count = calls.iter().map(Vec::len).max().unwrap_or(0);
            let found = self.scopes.entry(name.clone()).or_default();
            (found.args, found.free) = (vec![], vec![]);
            for at in 0..count {
                let mut given = calls.iter().filter_map(|call| call.get(at).copied().flatten()).peekable();
                let is_free = given.peek().is_none();
                let wanted = || self.wanted.borrow().get(&(name.clone(), at)).copied().filter(|_| is_free);
                found.args.push(given.flatten().next().or_else(wanted));
                found.free.push(is_free);
            }
        }
    }

    /// Notes a call.
    fn call(&self, function: &str, args: Call) {
        self.calls.borrow_mut().entry(function.into()).or_default().push(args);
    }

    /// One pass over a scope.
    fn scope(&self, name: &str) -> Found {
        let scope = self.library_scope(name);
        let mut found = self.scopes[name].clone();
        let mut gone = BTreeSet::new();
        for (at, node) in scope.nodes.iter().enumerate() {
            let is_needed = !name.is_empty() || self.needed.contains(&at);
            let places: Vec<Option<Place>> = data_inputs(node).map(|text| self.place(scope, text)).collect();
            let before = || {
                places
                    .iter()
                    .flatten()
                    .filter_map(|place| if let Place::Output(n, _) = place { Some(*n) } else { None })
            };
            let controls = || control_inputs(node).filter_map(|name| scope.find(name));
            if !is_needed && (before().any(|n| gone.contains(&n)) || controls().any(|n| gone.contains(&n))) {
                gone.insert(at);
                continue;
            }
            found.outputs.retain(|(own, _), _| *own != at);
            let outputs = self.node(name, scope, at, &places, &mut found, is_needed);
            match outputs {
                Ok(outputs) => {
                    let numbered = outputs.into_iter().enumerate();
                    found.outputs.extend(numbered.filter_map(|(n, kind)| Some(((at, n as u32), kind?))));
                }
                Err(_) if !is_needed => drop(gone.insert(at)),
                Err(why) => self.marks.borrow_mut().problems.push(self.told(name, node, why)),
            }
        }
        if name.is_empty() {
            self.marks.borrow_mut().removed = gone;
        }
        let results = scope.function.iter().filter_map(|function| Some((function, function.signature.as_ref()?)));
        let results = results
            .flat_map(|(function, signature)| signature.output_arg.iter().map(move |arg| function.ret.get(&arg.name)));
        found.results = results.map(|text| self.kind(&found, self.place(scope, text?)?)).collect();
        found
    }

    fn told(&self, scope: &str, node: &NodeDef, why: String) -> Diagnostic {
        let place = if scope.is_empty() { String::new() } else { format!(" in function `{scope}`") };
        Diagnostic::error(format!("a new head cannot have other units: {why}{place}")).at_node(&node.name)
    }

    fn kind(&self, found: &Found, place: Place) -> Option<Kind> {
        match place {
            Place::Arg(n) => found.args.get(n).copied().flatten(),
            Place::Output(node, index) => found.outputs.get(&(node, index)).copied(),
        }
    }

    /// What a node's input refers to.
    fn place(&self, scope: &Scope<'m>, text: &str) -> Option<Place> {
        let reference = Reference::parse(text)?;
        let args = scope.function.and_then(|f| f.signature.as_ref()).map_or(&[][..], |s| &s.input_arg);
        if let Some(at) = args.iter().position(|arg| arg.name == reference.name) {
            return Some(Place::Arg(at));
        }
        let at = scope.find(reference.name)?;
        let node = &scope.nodes[at];
        let Some(output) = reference.output else { return Some(Place::Output(at, reference.index.unwrap_or(0))) };
        let attrs = Attrs { own: &node.attr, outer: None, op: &node.op };
        let mut first = 0;
        for (name, count) in self.library.outputs_of(&node.op, &attrs)? {
            if name == output {
                return Some(Place::Output(at, first + reference.index.unwrap_or(0)));
            }
            first += u32::try_from(count?).ok()?;
        }
        None
    }

    /// The kinds of a node's outputs.
    fn node(
        &self,
        name: &str,
        scope: &Scope<'m>,
        at: usize,
        places: &[Option<Place>],
        found: &mut Found,
        is_needed: bool,
    ) -> Result<Vec<Option<Kind>>, String> {
        let node = &scope.nodes[at];
        let here = (name.to_string(), at);
        if name.is_empty()
            && let Some(&role) = self.cells.handles.get(&node.name)
        {
            let kind = if node.op == "VarHandleOp" { Kind::Handle(role) } else { Kind::Value(role) };
            return Ok(vec![Some(kind)]);
        }
        let given: Vec<Option<Kind>> = places.iter().map(|place| self.kind(found, (*place)?)).collect();
        if let Some(callee) = self.library.callee(node)
            && is_needed
            && self.library.function(callee.function).is_some()
        {
            let known = self.scopes.get(callee.function);
            let argument = |(n, kind): (usize, &Option<Kind>)| match places[n] {
                Some(Place::Arg(own)) if found.free.get(own) == Some(&true) => {
                    let wanted = known.and_then(|callee| callee.args.get(n).copied().flatten());
                    if let Some(kind) = wanted.filter(|kind| kind.has_units()) {
                        self.wanted.borrow_mut().insert((name.into(), own), kind);
                    }
                    None
                }
                _ => Some(*kind),
            };
            self.call(callee.function, given.iter().enumerate().map(argument).collect());
            return Ok(known.map(|callee| callee.results.clone()).unwrap_or_default());
        }
        if given.iter().all(Option::is_none) {
            return Ok(vec![]);
        }
        let units = self.units;
        let uses = |what: &str| Err(format!("node `{}` ({}) {what}", node.name, node.op));
        let first = given.first().copied().flatten();
        let second = given.get(1).copied().flatten();
        let mut marks = self.marks.borrow_mut();
        let attr = |name: &str| {
            let own = node.attr.get(name).and_then(|attr| attr.value.as_ref());
            own.or_else(|| op_def(&node.op)?.defaults.get(name)?.value.as_ref())
        };
        let is_true = |name: &str| matches!(attr(name), Some(Value::B(true)));
        // Where there is no bias, the product is the sum.
        let is_sum = |kind: Kind| kind == Kind::Sum || !self.has_bias && kind == Kind::Product;
        match node.op.as_str() {
            "ReadVariableOp" => {
                Ok(vec![first.map(|kind| if let Kind::Handle(role) = kind { Kind::Value(role) } else { kind })])
            }
            "VarIsInitializedOp"
            | "IsVariableInitialized"
            | "DisableCopyOnRead"
            | "NoOp"
            | "DestroyResourceOp"
            | "SaveV2"
            | "Save" => Ok(vec![]),
            "Assign" | "AssignVariableOp" => {
                let role = match first {
                    Some(Kind::Handle(role) | Kind::Value(role)) => role,
                    _ => return uses("assigns what is made of the layer to another variable"),
                };
                match second {
                    Some(Kind::Value(own)) if own == role => {}
                    Some(_) => return uses("assigns something else to a variable of the layer"),
                    None if self.is_restored(scope, found, places.get(1).copied().flatten(), role) => {}
                    None if name.is_empty() => drop(marks.initial.insert(here)),
                    None => return uses("assigns a value of the old extents to a variable of the layer"),
                }
                Ok(vec![first.filter(|_| node.op == "Assign")])
            }
            "MatMul" => {
                if !matches!((first, second), (None, Some(Kind::Value(Role::Kernel)))) || is_true("transpose_b") {
                    return uses(&format!("multiplies by the layer's {units} results or by its kernel in another way"));
                }
                marks.products.insert(here.clone());
                if !self.has_bias {
                    marks.sums.insert(here);
                }
                Ok(vec![Some(Kind::Product)])
            }
            "BiasAdd" | "Add" | "AddV2"
                if matches!(
                    (first, second),
                    (Some(Kind::Product), Some(Kind::Value(Role::Bias)))
                        | (Some(Kind::Value(Role::Bias)), Some(Kind::Product))
                ) =>
            {
                marks.sums.insert(here);
                Ok(vec![Some(Kind::Sum)])
            }
            "IdentityN" if matches!(attr("_gradient_op_type"), Some(Value::S(own)) if own.starts_with(b"CustomGradient")) => {
                uses("has a gradient of its own, which the model keeps in a function of the old extents")
            }
            "IdentityN" => Ok(given),
            op if hands_on(op) => Ok(vec![first]),
            "ArgMax" if first.is_some_and(Kind::is_output) && self.is_last(scope, places) => {
                Ok(vec![Some(Kind::Class)])
            }
            _ if given.contains(&Some(Kind::Class)) => uses("looks up what belongs to one of the old classes"),
            op if Activation::one(op).is_some() && first.is_some_and(is_sum) => {
                marks.activations.insert(here);
                Ok(vec![Some(Kind::Result)])
            }
            op if is_map(op) => Ok(vec![first.map(made_of)]),
            op if is_pair(op) => {
                let kinds: BTreeSet<Kind> = given.iter().flatten().map(|kind| made_of(*kind)).collect();
                if kinds.len() != 1 {
                    return uses("puts the layer's results and its variables together");
                }
                for (place, kind) in places.iter().zip(&given) {
                    if kind.is_none() && !place.is_some_and(|place| self.is_repeated(scope, place)) {
                        return uses(&format!("puts the layer's {units} numbers together with others, one for each"));
                    }
                }
                Ok(vec![kinds.first().copied()])
            }
            "L2Loss" => Ok(vec![]),
            "Sum" | "Mean" | "Max" | "Min" | "Prod" if first.is_some_and(Kind::has_units) && second.is_none() => {
                match self.is_last(scope, places) {
                    true => Ok(vec![]),
                    false => uses(&format!("keeps the layer's {units} numbers apart where it reduces others")),
                }
            }
            "RestoreV2" | "RestoreSlice" | "Restore" => Ok(vec![]),
            "Reshape" => uses(&format!("arranges the layer's {units} numbers in another shape")),
            op if is_variable(op) => Ok(vec![]),
            _ => uses(&format!("takes the layer's {units} numbers, and what it makes of another count is not known")),
        }
    }

    /// Whether a value comes from the checkpoint; what hands it on is marked where it says extents.
    fn is_restored(&self, scope: &Scope<'m>, found: &mut Found, place: Option<Place>, role: Role) -> bool {
        let mut place = place;
        let mut chain = vec![];
        for _ in 0..100 {
            let Some(Place::Output(at, index)) = place else { return false };
            let node = &scope.nodes[at];
            chain.push((at, index));
            match node.op.as_str() {
                "RestoreV2" | "Restore" | "RestoreSlice" => {
                    found.restored.extend(chain.into_iter().map(|at| (at, Kind::Value(role))));
                    return true;
                }
                "Identity" => place = data_inputs(node).next().and_then(|text| self.place(scope, text)),
                _ => return false,
            }
        }
        false
    }

    /// Whether a reduction's axes have the last one among them.
    fn is_last(&self, scope: &Scope<'m>, places: &[Option<Place>]) -> bool {
        let Some(Some(Place::Output(at, _))) = places.get(1) else { return false };
        let Some(axes) = constant(&scope.nodes[*at]).and_then(|axes| axes.to_i64s()) else { return false };
        // Everything with the extent of the units behind an output is a matrix.
        let rank = places.first().copied().flatten().and_then(|place| self.shape(scope, place)?.rank());
        axes.iter().any(|&axis| axis == -1 || rank.is_some_and(|rank| axis + 1 == rank as i64))
    }

    /// Whether a tensor has one number for all units.
    fn is_repeated(&self, scope: &Scope<'m>, place: Place) -> bool {
        let shape = self.shape(scope, place).and_then(|shape| shape.0);
        shape.is_some_and(|extents| extents.last().is_none_or(|extent| *extent == Some(1)))
    }

    fn shape(&self, scope: &Scope<'m>, place: Place) -> Option<TfShape> {
        let listed = |attr: Option<&Value>, n: usize| match attr {
            Some(Value::List(list)) => list.shape.get(n).map(|shape| TfShape::from_proto(Some(shape))),
            _ => None,
        };
        match place {
            Place::Arg(n) => listed(scope.function?.attr.get("_input_shapes")?.value.as_ref(), n),
            Place::Output(at, index) => {
                let node = &scope.nodes[at];
                if let Some(tensor) = constant(node) {
                    return Some(TfShape(Some(tensor.shape.iter().map(|&n| Some(n as u64)).collect())));
                }
                listed(node.attr.get("_output_shapes")?.value.as_ref(), index as usize)
            }
        }
    }
}

/// What a map makes of a kind.
fn made_of(kind: Kind) -> Kind {
    if kind.is_output() { Kind::Result } else { kind }
}

fn constant(node: &NodeDef) -> Option<Tensor> {
    match node.attr.get("value")?.value.as_ref()? {
        Value::Tensor(tensor) if node.op == "Const" => tensor_proto::decode(tensor).ok(),
        _ => None,
    }
}

/// The nodes of the main graph that signatures, savers, initialisers, assets, objects and the collections of variables name,
/// and all that those need.
fn needed(meta: &MetaGraphDef, library: &Library) -> BTreeSet<usize> {
    let mut names: Vec<String> = vec![];
    for signature in meta.signature_def.values() {
        for info in signature.inputs.values().chain(signature.outputs.values()) {
            if let Some(smc_proto::tensor_info::Encoding::Name(name)) = &info.encoding {
                names.push(name.clone());
            }
        }
    }
    if let Some(saver) = &meta.saver_def {
        names.extend([&saver.filename_tensor_name, &saver.save_tensor_name, &saver.restore_op_name].map(String::clone));
    }
    for asset in meta.asset_file_def.iter().filter_map(|asset| asset.tensor_info.as_ref()) {
        if let Some(smc_proto::tensor_info::Encoding::Name(name)) = &asset.encoding {
            names.push(name.clone());
        }
    }
    for object in meta.object_graph_def.iter().flat_map(|graph| &graph.nodes) {
        match &object.kind {
            Some(smc_proto::saved_object::Kind::Constant(constant)) => names.push(constant.operation.clone()),
            Some(smc_proto::saved_object::Kind::CapturedTensor(tensor)) => names.push(tensor.name.clone()),
            _ => {}
        }
    }
    const INITIALISERS: &[&str] = &["saved_model_main_op", "legacy_init_op", "table_initializer"];
    for (key, collection) in &meta.collection_def {
        match &collection.kind {
            Some(Collected::NodeList(list)) if INITIALISERS.contains(&key.as_str()) => names.extend(list.value.clone()),
            Some(Collected::BytesList(list)) if key.contains("variables") => {
                let defs =
                    list.value.iter().filter_map(|bytes| <VariableDef as prost::Message>::decode(&bytes[..]).ok());
                names.extend(defs.flat_map(|def| {
                    [def.variable_name, def.initializer_name, def.snapshot_name, def.initial_value_name]
                }));
            }
            _ => {}
        }
    }
    let main = &library.main;
    let position = |text: &str| Reference::parse(text).and_then(|reference| main.find(reference.name));
    let mut todo: Vec<usize> = names.iter().filter_map(|name| position(name)).collect();
    let mut seen = BTreeSet::new();
    while let Some(at) = todo.pop() {
        if seen.insert(at) {
            todo.extend(main.nodes[at].input.iter().filter_map(|text| position(text)));
        }
    }
    seen
}
