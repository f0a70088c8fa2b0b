//! Sizes that data decide: where an operator has to know an extent and the inputs' values tell it, the extent is a symbol
//! that a node binds ([`Bind`]). One value has one symbol, whoever asks for it.
//!
//! Memory is there for the greatest size, so each has a bound: what follows from the values and extents it is computed
//! from, or what the user states.

use std::collections::BTreeMap;

use super::{Import, Stop, inputs::identifier};
use crate::{
    base::{Diagnostic, Dim, Symbol},
    graph::{Graph, NodeId},
    loops::{BinaryFn, Combine},
    op::{Bind, Iota, Op, Outside, Reduce, Scan, Scatter},
    tensor::DType,
};

type Result<T> = std::result::Result<T, Stop>;

/// The sizes that an import has found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// The bounds that the user states, by symbol.
    pub stated: BTreeMap<String, u64>,
    /// The names that are taken.
    pub names: Vec<String>,
    /// The symbols, those of graphs around included.
    pub symbols: Vec<Symbol>,
    /// What each of them is at most, without any of them.
    most: Vec<(Symbol, Dim)>,
    /// What elements of tensors of this graph are.
    known: Vec<((NodeId, usize), Dim)>,
    /// By a mask of this graph: how many of its elements hold, and their places.
    places: Vec<(NodeId, Dim, NodeId)>,
    /// The sizes that nothing bounds, with what is to be said of each.
    unbounded: Vec<(String, Diagnostic)>,
}

impl Found {
    /// What a graph within knows; its nodes are others.
    pub fn within(&mut self) -> Found {
        Found { known: vec![], places: vec![], ..self.clone() }
    }
    /// Takes back the names that an import within has given.
    pub fn rejoin(&mut self, inner: &mut Found) {
        self.unbounded = std::mem::take(&mut inner.unbounded);
        self.names = std::mem::take(&mut inner.names);
        self.symbols = std::mem::take(&mut inner.symbols);
        self.most = std::mem::take(&mut inner.most);
    }
    /// Whether nothing bounds one of the sizes: what is computed with it is a guess.
    pub fn lacks_bounds(&self) -> bool {
        !self.unbounded.is_empty()
    }
    /// A refusal for the sizes that nothing bounds, which says how to bound all of them.
    pub fn refusal(&mut self) -> Option<Diagnostic> {
        let unbounded = std::mem::take(&mut self.unbounded);
        let flags: Vec<String> = unbounded.iter().map(|(name, _)| format!("--bound {name}=MAX")).collect();
        let it = if flags.len() == 1 { "it" } else { "each" };
        let help = format!("state the most that {it} can be, for which memory is needed: `{}`", flags.join(" "));
        let more: Vec<String> = unbounded.iter().skip(1).map(|(_, more)| format!(", nor {}", more.message)).collect();
        let (_, mut problem) = unbounded.into_iter().next()?;
        problem.message.push_str(&more.concat());
        Some(problem.help(help))
    }
}

/// What rows of data fall into, where nothing in the model says into how many at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pieces {
    /// Of strings: tokens, characters.
    Tokens,
    /// Of records: the values of one feature.
    Features,
}

impl Pieces {
    /// The most that so many rows fall into, unless the user states another bound: so many of each row, and some more, since
    /// few rows may differ much.
    pub fn most(self, rows: &Dim) -> Dim {
        match self {
            Pieces::Tokens => rows * 1024 + 3072,
            Pieces::Features => rows * 256 + 768,
        }
    }
}

/// What a type of 32 bits holds at most bounds nothing.
const UNBOUNDED: i64 = 1 << 30;
/// Elements of a tensor that are sizes, at most.
const MAX_SIZES: i64 = 64;

impl Import<'_> {
    /// Whether data decide about a dim.
    pub(super) fn is_found(&self, dim: &Dim) -> bool {
        !self.found.symbols.is_empty() && dim.symbols().iter().any(|symbol| self.found.symbols.contains(symbol))
    }
    /// What a dim is at most, before anything is found.
    pub(super) fn found_at_most(&self, dim: &Dim) -> Result<Dim> {
        if !self.is_found(dim) {
            return Ok(dim.clone());
        }
        let bound =
            |symbol: &Symbol| self.found.most.iter().find(|(known, _)| known == symbol).map(|(_, most)| most.clone());
        dim.greatest(&bound).ok_or_else(|| format!("nothing tells what {dim} is at most").into())
    }
    /// The elements of integer operand `n` as extents: those that data decide are at least 0 and at most what follows from
    /// them, else `within`, else what the user states.
    pub(super) fn sizes(&mut self, n: usize, what: &str, within: Option<&Dim>) -> Result<Vec<Dim>> {
        let known = self.dims(n, what);
        let id = self.arg(n)?;
        let count = self.graph.ty(id).count().as_int().filter(|&count| count <= MAX_SIZES);
        match (known, count) {
            (Err(_), Some(count)) => (0..count as usize).map(|at| self.size_at(id, at, what, within)).collect(),
            (known, _) => known,
        }
    }
    /// The one element of integer operand `n` as an extent.
    pub(super) fn size(&mut self, n: usize, what: &str, within: Option<&Dim>) -> Result<Dim> {
        match &self.sizes(n, what, within)?[..] {
            [dim] => Ok(dim.clone()),
            dims => Err(format!("{what} of {} has {} elements instead of one", self.node.op, dims.len()).into()),
        }
    }
    /// An element of an integer tensor where it is known, -1 included, and otherwise as a size.
    pub(super) fn size_at(&mut self, id: NodeId, at: usize, what: &str, within: Option<&Dim>) -> Result<Dim> {
        let (id, at) = source(&self.graph, id, at);
        if let Some(known) = self.element(id, at) {
            return Ok(known);
        }
        let alike = |((other, place), dim): &((NodeId, usize), Dim)| {
            (*place == at && same(&self.graph, *other, id, &mut 64)).then(|| dim.clone())
        };
        if let Some(dim) = self.found.known.iter().find_map(alike) {
            return Ok(dim);
        }
        let count = self.graph.ty(id).count();
        let flat = self.reshape(id, &[count])?;
        let one = self.slice_axis(flat, 0, at.into(), Dim::one())?;
        let one = self.reshape(one, &[])?;
        let name = self.name_of(id);
        let dim = self.bind(one, within, &name, what)?;
        self.found.known.push(((id, at), dim.clone()));
        Ok(dim)
    }
    /// The same wherever the element is moved from.
    pub(super) fn element_of(&self, id: NodeId, at: usize) -> Option<Dim> {
        let (id, at) = source(&self.graph, id, at);
        self.element(id, at).filter(|dim| !self.varies(dim))
    }
    /// An element of an integer tensor, where it follows from extents.
    fn element(&self, id: NodeId, at: usize) -> Option<Dim> {
        if let Some(dims) = self.graph.dims(id) {
            return dims.get(at).cloned();
        }
        self.graph.as_const(id)?.to_i64s()?.get(at).map(|&n| n.into())
    }
    /// An input's key, or else the name of the current node.
    fn name_of(&self, id: NodeId) -> String {
        match self.graph.inputs.iter().find(|port| port.node == id && *self.graph.op(id) == Op::Input) {
            Some(port) if self.path.is_empty() => port.name.clone(),
            _ => self.node.name.clone(),
        }
    }

    /// A scalar integer, the number of pieces that so many rows fall into, each into so many at most where that is known, as a
    /// size of the current node.
    pub(super) fn bind_pieces(
        &mut self,
        value: NodeId,
        rows: &Dim,
        each: Option<i64>,
        pieces: Pieces,
        what: &str,
    ) -> Result<Dim> {
        let name = self.node.name.clone();
        let within = each.filter(|&each| each < UNBOUNDED).map(|each| rows * each);
        self.bind_within(value, (within.as_ref(), Some(&pieces.most(rows))), &name, what)
    }
    /// A scalar integer as a size: what it is called, and what of the current node it is.
    pub(super) fn bind(&mut self, value: NodeId, within: Option<&Dim>, name: &str, what: &str) -> Result<Dim> {
        self.bind_within(value, (within, None), name, what)
    }
    /// The same, which is at most `within` for certain; where nothing else bounds it and the user states nothing, at most
    /// `usual`, or what one string falls into where it follows from strings alone.
    pub(super) fn bind_within(
        &mut self,
        value: NodeId,
        (within, usual): (Option<&Dim>, Option<&Dim>),
        name: &str,
        what: &str,
    ) -> Result<Dim> {
        if let Some([known]) = self.graph.dims(value) {
            return Ok(known.clone());
        }
        let name = self.fresh(name);
        let is_bound = |bound: &Dim| bound.terms().iter().all(|term| term.k < UNBOUNDED);
        let follows = self.bounds.most(&self.graph, value).filter(|bound| !self.varies(bound) && is_bound(bound));
        let inferred = follows.or_else(|| within.cloned()).map(|bound| self.steady_bound(&bound)).transpose()?;
        let stated = self.found.stated.get(&name).and_then(|&n| i64::try_from(n).ok()).map(Dim::from);
        let bound = match (inferred, stated) {
            (Some(a), Some(b)) => a.at_most(&b),
            (Some(bound), None) | (None, Some(bound)) => bound,
            (None, None) => match usual {
                Some(usual) => self.steady_bound(usual)?,
                // What the strings of a call hold says how large they are, such as the tokens of the longest one.
                None if self.is_of_strings(value) => Pieces::Tokens.most(&Dim::one()),
                None => {
                    self.ask_for_bound(value, &name, what);
                    Dim::one()
                }
            },
        };
        let value = self.cast(value, DType::I64)?;
        let symbol = Symbol::new(&name);
        self.found.names.push(name);
        self.found.symbols.push(symbol.clone());
        let most = self.found_at_most(&bound)?;
        self.found.most.push((symbol.clone(), most));
        self.graph.add(Bind { symbol: symbol.clone(), bound }, &[value])?;
        Ok(Dim::from(&symbol))
    }
    /// Notes that nothing bounds a size of the current node. The import goes on, so that all such sizes are told at once.
    fn ask_for_bound(&mut self, value: NodeId, name: &str, what: &str) {
        let (values, _) = self.sources(value);
        let of = if values.is_empty() { "data".into() } else { super::origin::inputs(&values) };
        let said = match self.found.unbounded.len() {
            0 => format!("{what} of {} depends on the values of {of}, and nothing bounds it", self.node.op),
            _ => format!("{what} of {} (`{name}`)", self.node.op),
        };
        let problem = Diagnostic::error(said).at_node(self.shown(&self.node.name));
        let problem = self.node.layer().iter().fold(problem, |problem, layer| problem.in_layer(layer));
        self.found.unbounded.push((name.into(), problem));
    }
    /// A bound that no iteration of a loop around changes.
    fn steady_bound(&self, bound: &Dim) -> Result<Dim> {
        if !self.varies(bound) {
            return Ok(bound.clone());
        }
        Err(format!("the size {bound} changes with each iteration of the loop, which is not supported").into())
    }
    /// A name that no extent has: of the last parts of a node's name.
    fn fresh(&self, name: &str) -> String {
        let parts: Vec<&str> = name.rsplit('/').take(2).collect();
        let parts: Vec<&str> = parts.into_iter().rev().filter(|part| !part.contains("PartitionedCall")).collect();
        let first = identifier(&parts.join("_"));
        let is_variable = |name: &str| name.strip_prefix('i').is_some_and(|n| n.bytes().all(|c| c.is_ascii_digit()));
        let is_step = |name: &str| name.strip_prefix("step").is_some_and(|n| n.bytes().all(|c| c.is_ascii_digit()));
        let taken = |name: &str| {
            is_variable(name) || is_step(name) || self.found.names.iter().any(|n| n.eq_ignore_ascii_case(name))
        };
        if !taken(&first) {
            return first;
        }
        let mut n = 2;
        while taken(&format!("{first}_{n}")) {
            n += 1;
        }
        format!("{first}_{n}")
    }

    /// How many elements of a vector of bools hold, and their places in order: `i64[k]`.
    pub(super) fn places(&mut self, mask: NodeId) -> Result<(Dim, NodeId)> {
        let known =
            |(other, k, at): &(NodeId, Dim, NodeId)| same(&self.graph, *other, mask, &mut 64).then(|| (k.clone(), *at));
        if let Some(known) = self.found.places.iter().find_map(known) {
            return Ok(known);
        }
        let n = self.shape(mask)[0].clone();
        let ones = self.cast(mask, DType::I64)?;
        let count = self.add(Reduce { f: BinaryFn::Add, axes: vec![0] }, &[ones])?;
        let count = self.reshape(count, &[])?;
        let name = self.node.name.clone();
        let k = self.bind(count, Some(&n), &name, "the number of elements")?;
        let rank = self.add(Scan { f: BinaryFn::Add, axis: 0, exclusive: true, reverse: false }, &[ones])?;
        let none = self.scalar(DType::I64, -1.0)?;
        let to = self.select(mask, rank, none)?;
        let at = self.add(Iota { shape: vec![n.clone()], axis: 0, dtype: DType::I64 }, &[])?;
        let places = self.moved(&k, to, at)?;
        self.found.places.push((mask, k.clone(), places));
        Ok((k, places))
    }
    /// `k` numbers, the one at `to[i]` being `values[i]`; -1 is nowhere.
    pub(super) fn moved(&mut self, k: &Dim, to: NodeId, values: NodeId) -> Result<NodeId> {
        let to = self.insert_axes(to, &[1])?;
        let zero = self.scalar_like(values, 0.0)?;
        let start = self.broadcast_to(zero, &[std::slice::from_ref(k), &self.shape(values)[1..]].concat())?;
        let scatter = Scatter { f: Combine::Set, depth: 1, below: Outside::Drop, above: Outside::Drop };
        self.add(scatter, &[start, to, values])
    }
}

/// Where an element comes from that operators only move.
fn source(graph: &Graph, mut id: NodeId, mut at: usize) -> (NodeId, usize) {
    loop {
        let node = graph.node(id);
        let from = |n: usize| graph.ty(node.inputs[n]);
        let ints = || from(0).dtype.is_int() && node.ty.dtype.is_int() && from(0).dtype.size() >= 4;
        match &node.op {
            Op::Reshape(_) => {}
            Op::Cast(_) if ints() && node.ty.dtype.size() >= 4 => {}
            Op::Broadcast(_) if from(0).count().is(1) => at = 0,
            Op::Slice(op) if op.start.len() == 1 => match op.start[0].as_int() {
                Some(start) => at = (start + op.stride[0] * at as i64) as usize,
                None => return (id, at),
            },
            Op::Concat(op) if op.axis == 0 => {
                let mut begin = 0;
                let mut part = None;
                for &input in &node.inputs {
                    let Some(n) = graph.ty(input).count().as_int() else { return (id, at) };
                    if at < begin + n as usize {
                        part = Some((input, at - begin));
                        break;
                    }
                    begin += n as usize;
                }
                let Some(part) = part else { return (id, at) };
                (id, at) = part;
                continue;
            }
            _ => return (id, at),
        }
        id = node.inputs[0];
    }
}

/// Whether two nodes are seen to have one value, in so many steps.
pub(super) fn same(graph: &Graph, a: NodeId, b: NodeId, steps: &mut usize) -> bool {
    if a == b {
        return true;
    }
    let Some(left) = steps.checked_sub(1) else { return false };
    *steps = left;
    let (x, y) = (graph.node(a), graph.node(b));
    let alike = match (&x.op, &y.op) {
        (Op::Input, _) | (Op::Control(_), _) => false,
        (Op::Const(x), Op::Const(y)) => x.same_data(y) || x.count() <= 64 && y.count() <= 64 && x == y,
        (x, y) => x == y,
    };
    alike && x.ty == y.ty && x.inputs.len() == y.inputs.len() && {
        x.inputs.iter().zip(&y.inputs).all(|(&a, &b)| same(graph, a, b, steps))
    }
}
