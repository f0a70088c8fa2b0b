//! In which order the nodes of a graph read and assign variables.
//!
//! TensorFlow runs a node after those that it gets data from, and those that it waits for. So a read sees what the last
//! assignment before it left, where edges lead from that one to the read, and from the read to the next one. Where they do
//! not, TensorFlow may run both in either order, and nobody knows what the read sees: that is a fault of whoever asks.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{
    base::Id,
    saved::{
        Node, NodeOutput, TfGraph, Variable,
        graph::{has_effect, is_branch},
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

/// Which variables the nodes of graphs touch.
pub(super) struct Finder<'a> {
    all: All<'a>,
    /// By body and the variables that its arguments are, what it does.
    known: HashMap<(*const TfGraph, Vec<Option<Number>>), Uses>,
}

impl<'a> Finder<'a> {
    pub fn new(all: All<'a>) -> Finder<'a> {
        Finder { all, known: HashMap::new() }
    }

    /// What each node does. `args` are the variables whose handles the inputs of the graph are.
    pub fn accesses(&mut self, tf: &TfGraph, args: &[Option<Number>]) -> Accesses {
        let mut found = Accesses::new();
        for (id, node) in tf.nodes.iter() {
            let mut here = Uses::new();
            if hands_on(node) {
                continue;
            }
            let of = |edge: &NodeOutput| self.variable(tf, args, *edge);
            let operands: Vec<Option<Number>> = node.inputs.iter().map(of).collect();
            let regions = node.regions().len();
            if regions == 0 {
                let assigns = has_effect(&node.op);
                here.extend(operands.iter().flatten().map(|&variable| (variable, assigns)));
            } else {
                // A predicate that is a variable of the old kind is read.
                let first = usize::from(is_branch(&node.op));
                here.extend(operands.iter().take(first).flatten().map(|&variable| (variable, false)));
                for which in 0..regions {
                    for (variable, assigns) in self.of_body(tf, (id, which), &operands[first.min(operands.len())..]) {
                        *here.entry(variable).or_default() |= assigns;
                    }
                }
            }
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

    fn of_body(&mut self, tf: &TfGraph, at: (Id<Node>, usize), args: &[Option<Number>]) -> Uses {
        // What is wrong with a body is told by who imports it.
        let Some(Ok(body)) = tf.bodies.get(&at) else { return Uses::new() };
        let key = (Arc::as_ptr(body), args.to_vec());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let mut all = Uses::new();
        for (variable, assigns) in self.accesses(body, args).into_values().flatten() {
            *all.entry(variable).or_default() |= assigns;
        }
        self.known.insert(key, all.clone());
        all
    }

    /// The nodes that read a variable of the old kind and hand its memory on to this edge.
    pub fn lent(&self, tf: &TfGraph, args: &[Option<Number>], edge: NodeOutput) -> Vec<(Id<Node>, Number)> {
        let (mut found, mut todo) = (vec![], vec![edge]);
        while let Some(edge) = todo.pop() {
            let node = &tf.nodes[edge.node];
            for (n, &input) in node.inputs.iter().enumerate().filter(|_| lends(&node.op)) {
                let is_read =
                    is_reference(&tf.nodes[behind_references(tf, input).node]) && !takes_reference(&node.op, n);
                match self.variable(tf, args, input).filter(|_| is_read) {
                    Some(variable) => found.push((edge.node, variable)),
                    None if input.node < edge.node => todo.push(input),
                    None => {}
                }
            }
        }
        found
    }

    /// The variable whose handle, or reference, an edge carries.
    fn variable(&self, tf: &TfGraph, args: &[Option<Number>], edge: NodeOutput) -> Option<Number> {
        let source = behind_references(tf, handed_on(tf, edge));
        let source = if is_reference(&tf.nodes[source.node]) { behind_references(tf, edge) } else { source };
        if let Some(variable) = tf.variables.get(&source.node).filter(|variable| variable.begins.is_none()) {
            return self.all.iter().position(|known| known.is_stored_as(variable));
        }
        let arg = tf.inputs.iter().position(|port| port.source == source)?;
        args.get(arg).copied().flatten()
    }
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
fn behind_references(tf: &TfGraph, mut edge: NodeOutput) -> NodeOutput {
    // Operands precede their users, so this ends.
    loop {
        let node = &tf.nodes[edge.node];
        match node.inputs.first() {
            Some(&before) if edge.index == 0 && gives_reference(node) && before.node < edge.node => edge = before,
            _ => return edge,
        }
    }
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
