//! In which order the nodes of a graph read and assign variables.
//!
//! TensorFlow runs a node after those that it gets data from, and those that it waits for. So a read sees what the last
//! assignment before it left, where edges lead from that one to the read, and from the read to the next one. Where they do
//! not, TensorFlow may run both in either order, and nobody knows what the read sees: that is a fault of whoever asks.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
    sync::Arc,
};

use crate::{
    base::Id,
    saved::{
        Node, NodeOutput, TfGraph, Variable,
        graph::{has_effect, is_branch, is_functional},
        handed_on, op_def,
    },
};

/// The number of a variable among those that are state.
pub(super) type Number = usize;

/// What the nodes of one graph do with variables: by node and variable, whether it assigns.
pub(super) type Accesses = BTreeMap<Id<Node>, Uses>;

/// By variable, whether it is assigned.
pub(super) type Uses = BTreeMap<Number, bool>;

/// The variables that are state, each once.
pub(super) type All<'a> = Arc<[&'a Variable]>;

/// A variable, as an edge carries it: by a handle, or by a reference whose users read it where they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Carried {
    pub variable: Number,
    pub by_reference: bool,
}

/// What an argument of a body is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Arg {
    pub carried: Option<Carried>,
    /// The variables in whose memory it may lie.
    pub lent: Vec<Number>,
}

/// The arguments of the graph that is looked at.
type Args = [Arg];

/// A graph and what its arguments are.
type Place = (*const TfGraph, Vec<Arg>);

/// What the arguments of the bodies of nodes are.
type Given = HashMap<(Place, Id<Node>), Rc<[Arg]>>;

/// Which variables the nodes of graphs touch.
#[derive(Default)]
pub(super) struct Finder<'a> {
    all: All<'a>,
    /// By body, what it does.
    uses: RefCell<HashMap<Place, Uses>>,
    /// By node of a graph, the arguments of its bodies.
    given: RefCell<Given>,
}

impl<'a> Finder<'a> {
    pub fn new(all: All<'a>) -> Finder<'a> {
        Finder { all, ..Finder::default() }
    }

    /// What each node does.
    pub fn accesses(&self, tf: &TfGraph, args: &Args) -> Accesses {
        let mut found = Accesses::new();
        if self.all.is_empty() {
            return found;
        }
        for (id, node) in tf.nodes.iter().filter(|(_, node)| !hands_on(node)) {
            let mut here = if node.regions().is_empty() {
                let assigns = has_effect(&node.op);
                let operands = node.inputs.iter().filter_map(|&edge| self.carried(tf, args, edge));
                operands.map(|carried| (carried.variable, assigns)).collect()
            } else {
                self.of_bodies(tf, args, id)
            };
            // A generator moves on.
            let own = tf.variables.get(&id).filter(|variable| variable.begins.is_some());
            let own = own.and_then(|own| self.all.iter().position(|known| known.is_stored_as(own)));
            here.extend(own.map(|own| (own, true)));
            // Who uses memory that a variable lends must run before that changes.
            for (_, variable) in node.inputs.iter().flat_map(|&edge| self.lent(tf, args, edge)) {
                here.entry(variable).or_default();
            }
            if !here.is_empty() {
                found.insert(id, here);
            }
        }
        found
    }

    /// What a node does that runs bodies.
    fn of_bodies(&self, tf: &TfGraph, args: &Args, id: Id<Node>) -> Uses {
        // What becomes a value before the bodies run is read here.
        let operands = tf.nodes[id].inputs.iter().enumerate().filter(|(n, _)| !keeps_reference(tf, id, *n));
        let read = operands.filter_map(|(_, &edge)| self.carried(tf, args, edge).filter(|c| c.by_reference));
        let mut here: Uses = read.map(|carried| (carried.variable, false)).collect();
        let given = self.given(tf, args, id);
        // What is wrong with a body is told by who imports it.
        for (_, body) in bodies(tf, id) {
            let place = (std::ptr::from_ref(body), given.to_vec());
            let known = self.uses.borrow().get(&place).cloned();
            let uses = known.unwrap_or_else(|| {
                let mut uses = Uses::new();
                for (variable, assigns) in self.accesses(body, &given).into_values().flatten() {
                    *uses.entry(variable).or_default() |= assigns;
                }
                self.uses.borrow_mut().insert(place, uses.clone());
                uses
            });
            for (variable, assigns) in uses {
                *here.entry(variable).or_default() |= assigns;
            }
        }
        here
    }

    /// The nodes that read a variable of the old kind and hand its memory on to this edge. An input stands for those of
    /// the graph around.
    pub fn lent(&self, tf: &TfGraph, args: &Args, edge: NodeOutput) -> Vec<(Id<Node>, Number)> {
        let (mut found, mut todo) = (vec![], vec![edge]);
        while let Some(edge) = todo.pop() {
            let node = &tf.nodes[edge.node];
            if is_functional(&node.op) && self.carried(tf, args, edge).is_none() {
                found.extend(self.lent_by_bodies(tf, args, edge).into_iter().map(|variable| (edge.node, variable)));
            }
            let arg = tf.inputs.iter().position(|port| port.source == edge).and_then(|n| args.get(n));
            found.extend(arg.iter().flat_map(|arg| &arg.lent).map(|&variable| (edge.node, variable)));
            for (n, &input) in node.inputs.iter().enumerate().filter(|_| lends(&node.op)) {
                let read = self.carried(tf, args, input).filter(|carried| carried.by_reference);
                match read.filter(|_| !takes_reference(&node.op, n)) {
                    Some(carried) => found.push((edge.node, carried.variable)),
                    None if input.node < edge.node => todo.push(input),
                    None => {}
                }
            }
        }
        found
    }

    /// The variables in whose memory a result of a branch or a loop may lie. A loop may run no iteration.
    fn lent_by_bodies(&self, tf: &TfGraph, args: &Args, edge: NodeOutput) -> Vec<Number> {
        let given = self.given(tf, args, edge.node);
        let before = given.get(edge.index as usize).filter(|_| !is_branch(&tf.nodes[edge.node].op));
        let mut found = before.map_or(vec![], |arg| arg.lent.clone());
        for (body, result) in results(tf, edge) {
            match self.carried(body, &given, result).filter(|carried| carried.by_reference) {
                Some(carried) => found.push(carried.variable),
                None => found.extend(self.lent(body, &given, result).into_iter().map(|(_, variable)| variable)),
            }
        }
        found
    }

    /// The arguments of a node's bodies.
    pub fn given(&self, tf: &TfGraph, args: &Args, id: Id<Node>) -> Rc<[Arg]> {
        let key = ((std::ptr::from_ref(tf), args.to_vec()), id);
        if let Some(known) = self.given.borrow().get(&key) {
            return known.clone();
        }
        let arg = |(n, &edge): (usize, &NodeOutput)| {
            let carried = self.carried(tf, args, edge);
            let becomes_value = carried.filter(|carried| carried.by_reference && !keeps_reference(tf, id, n));
            let mut lent: Vec<Number> = self.lent(tf, args, edge).into_iter().map(|(_, variable)| variable).collect();
            lent.extend(becomes_value.map(|carried| carried.variable));
            Arg { carried: carried.filter(|_| becomes_value.is_none()), lent }
        };
        let first = usize::from(is_branch(&tf.nodes[id].op));
        let given: Rc<[Arg]> = tf.nodes[id].inputs.iter().enumerate().skip(first).map(arg).collect();
        self.given.borrow_mut().insert(key, given.clone());
        given
    }

    /// The variable that an edge carries.
    pub fn carried(&self, tf: &TfGraph, args: &Args, edge: NodeOutput) -> Option<Carried> {
        let source = self.made(tf, args, behind_references(tf, handed_on(tf, edge)))?;
        // What hands on the value behind a reference hands on no reference.
        if source.by_reference { self.made(tf, args, behind_references(tf, edge)) } else { Some(source) }
    }

    /// The variable that a node makes, an input carries, or all bodies of a branch give.
    fn made(&self, tf: &TfGraph, args: &Args, source: NodeOutput) -> Option<Carried> {
        let node = &tf.nodes[source.node];
        if let Some(variable) = tf.variables.get(&source.node).filter(|variable| variable.begins.is_none()) {
            let variable = self.all.iter().position(|known| known.is_stored_as(variable))?;
            return Some(Carried { variable, by_reference: is_reference(node) });
        }
        if is_branch(&node.op) {
            let given = self.given(tf, args, source.node);
            let mut all = results(tf, source).map(|(body, result)| self.carried(body, &given, result));
            let first = all.next()??;
            return all.all(|other| other == Some(first)).then_some(first);
        }
        let arg = tf.inputs.iter().position(|port| port.source == source)?;
        args.get(arg)?.carried
    }
}

/// The bodies of a node.
fn bodies(tf: &TfGraph, id: Id<Node>) -> impl Iterator<Item = (usize, &TfGraph)> {
    let all = tf.bodies.range((id, 0)..=(id, usize::MAX));
    all.filter_map(|(&(_, which), body)| Some((which, &**body.as_ref().ok()?)))
}

/// What an edge out of a branch or a loop is in each of the bodies that give it.
fn results(tf: &TfGraph, edge: NodeOutput) -> impl Iterator<Item = (&TfGraph, NodeOutput)> {
    let first = usize::from(!is_branch(&tf.nodes[edge.node].op));
    let giving = bodies(tf, edge.node).filter(move |(which, _)| *which >= first);
    giving.filter_map(move |(_, body)| Some((body, body.outputs.get(edge.index as usize)?.source)))
}

/// Whether a node makes a variable of the old kind, whose users read it where they run.
pub(super) fn is_reference(node: &Node) -> bool {
    matches!(node.op.as_str(), "VariableV2" | "Variable")
}

/// Whether the results of an operator may lie in the memory of its operands, whoever else uses that.
fn lends(op: &str) -> bool {
    matches!(
        op,
        "Identity"
            | "IdentityN"
            | "Snapshot"
            | "StopGradient"
            | "PreventGradient"
            | "CheckNumerics"
            | "EnsureShape"
            | "Reshape"
            | "ExpandDims"
            | "Squeeze"
            | "Bitcast"
            | "Switch"
            | "Merge"
    )
}

/// Whether an operator's operand is a reference, and not the value behind it.
pub(super) fn takes_reference(op: &str, operand: usize) -> bool {
    op_def(op).is_some_and(|def| def.inputs.get(operand).is_some_and(|arg| arg.is_ref))
}

/// Whether a node's operand stays a reference for the node, or for its bodies. What a loop changes is a value.
pub(super) fn keeps_reference(tf: &TfGraph, id: Id<Node>, operand: usize) -> bool {
    let node = &tf.nodes[id];
    if !is_functional(&node.op) {
        return takes_reference(&node.op, operand);
    }
    if is_branch(&node.op) {
        return operand > 0;
    }
    let Some((_, body)) = bodies(tf, id).find(|(which, _)| *which == 1) else { return false };
    let ports = body.inputs.get(operand).zip(body.outputs.get(operand));
    ports.is_some_and(|(input, output)| handed_on(body, output.source) == input.source)
}

/// Whether a node only hands handles or references on, or asks nothing that changes.
fn hands_on(node: &Node) -> bool {
    matches!(
        node.op.as_str(),
        "VariableShape"
            | "DisableCopyOnRead"
            | "NoOp"
            | "RefIdentity"
            | "RefSwitch"
            | "RefMerge"
            | "RefEnter"
            | "RefExit"
    )
}

/// Follows a reference back through nodes that give again what they got.
fn behind_references(tf: &TfGraph, edge: NodeOutput) -> NodeOutput {
    reference_chain(tf, edge).last().unwrap_or(edge)
}

/// A reference, the one that its node got, and so on.
pub(super) fn reference_chain(tf: &TfGraph, edge: NodeOutput) -> impl Iterator<Item = NodeOutput> {
    // Operands precede their users, so this ends.
    std::iter::successors(Some(edge), |edge| {
        let node = &tf.nodes[edge.node];
        let gives = edge.index == 0 && gives_reference(node);
        node.inputs.first().copied().filter(|before| gives && before.node < edge.node)
    })
}

/// Whether a node's first output is the reference that its first operand is.
fn gives_reference(node: &Node) -> bool {
    takes_reference(&node.op, 0) && !matches!(node.op.as_str(), "CountUpTo" | "IsVariableInitialized")
}

/// The accesses of a graph in the order of its edges.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    pub accesses: Accesses,
    /// By access, the assignment whose value it sees; none where that is the value before the graph.
    before: BTreeMap<(Id<Node>, Number), Option<Id<Node>>>,
    /// Accesses that TensorFlow may run before or after an assignment.
    open: BTreeMap<(Id<Node>, Number), Id<Node>>,
    /// By variable, the last assignment.
    last: BTreeMap<Number, Id<Node>>,
}

impl Order {
    pub fn of(tf: &TfGraph, accesses: Accesses) -> Order {
        let mut order = Order { accesses, ..Order::default() };
        let ancestors = Ancestors::of(tf, &order.accesses);
        let mut by_variable: BTreeMap<Number, Vec<(Id<Node>, bool)>> = BTreeMap::new();
        for (&id, here) in &order.accesses {
            for (&variable, &assigns) in here {
                by_variable.entry(variable).or_default().push((id, assigns));
            }
        }
        for (variable, accesses) in by_variable {
            let writes: Vec<Id<Node>> = accesses.iter().filter(|(_, assigns)| *assigns).map(|(id, _)| *id).collect();
            for &(id, _) in &accesses {
                // Nodes stand in an order that edges allow, so assignments that are ordered stand in theirs.
                let before = writes.iter().rposition(|&write| write != id && ancestors.leads(write, id));
                let next = before.map_or(0, |n| n + 1);
                let next = writes.get(next).copied().filter(|&write| write != id);
                let open = next.filter(|&write| !ancestors.leads(id, write));
                if let Some(other) = open {
                    order.open.insert((id, variable), other);
                }
                order.before.insert((id, variable), before.map(|n| writes[n]));
            }
            if let Some(&last) = writes.last() {
                order.last.insert(variable, last);
            }
        }
        order
    }

    /// The assignment whose value the access sees, or the one that may come before or after it. The last error is that the
    /// node is not known to touch the variable.
    pub fn before(&self, id: Id<Node>, variable: Number) -> Result<Option<Id<Node>>, Option<Id<Node>>> {
        match (self.open.get(&(id, variable)), self.before.get(&(id, variable))) {
            (Some(&other), _) => Err(Some(other)),
            (None, Some(&before)) => Ok(before),
            (None, None) => Err(None),
        }
    }
    pub fn last(&self, variable: Number) -> Option<Id<Node>> {
        self.last.get(&variable).copied()
    }
    /// The assignments whose values a node's accesses see.
    pub fn needs(&self, id: Id<Node>) -> impl Iterator<Item = Id<Node>> + '_ {
        let here = self.accesses.get(&id).into_iter().flatten();
        here.filter_map(move |(&variable, _)| self.before.get(&(id, variable)).copied().flatten())
    }
    /// Whether a node assigns a variable.
    pub fn assigns(&self, id: Id<Node>) -> bool {
        self.accesses.get(&id).is_some_and(|here| here.values().any(|&assigns| assigns))
    }
}

/// By node, which of the accesses come before it.
struct Ancestors {
    /// The accesses' places among the bits.
    places: HashMap<Id<Node>, usize>,
    words: usize,
    bits: Vec<u64>,
}

impl Ancestors {
    fn of(tf: &TfGraph, accesses: &Accesses) -> Ancestors {
        let places: HashMap<_, _> = accesses.keys().enumerate().map(|(n, &id)| (id, n)).collect();
        let words = places.len().div_ceil(64);
        let mut all = Ancestors { places, words, bits: vec![0; words * tf.nodes.len()] };
        for (id, node) in tf.nodes.iter() {
            let edges = node.inputs.iter().map(|edge| edge.node).chain(node.controls.iter().copied());
            // The back edges of loops lead to nodes behind.
            for before in edges.filter(|&before| before < id) {
                for word in 0..words {
                    all.bits[id.index() * words + word] |= all.bits[before.index() * words + word];
                }
                if let Some(&place) = all.places.get(&before) {
                    all.bits[id.index() * words + place / 64] |= 1 << (place % 64);
                }
            }
        }
        all
    }
    /// Whether edges lead from an access to a node.
    fn leads(&self, from: Id<Node>, to: Id<Node>) -> bool {
        let place = self.places[&from];
        self.bits[to.index() * self.words + place / 64] >> (place % 64) & 1 == 1
    }
}
