//! Symbols that nodes of a graph bind: sizes that data decide.
//!
//! A node that names such a symbol depends on the node that binds it, though it has no operand for that: it comes later,
//! and keeps it alive. The symbol means nothing outside of the graph that binds it, but in the regions of later nodes.

use std::collections::HashMap;

use super::{Graph, Node, NodeId};
use crate::{
    base::{Bindings, Dim, Symbol},
    loops::Fault,
    op::{Bind, Infer, Op},
};

/// The symbols that a graph binds, with the nodes that do.
pub(super) type Binders = HashMap<Symbol, NodeId>;

impl Node {
    /// The symbols that it names.
    pub(super) fn symbols(&self) -> Vec<Symbol> {
        let own = self.ty.shape.iter().chain(self.op.inner_dims()).flat_map(Dim::symbols);
        match &self.op {
            Op::Control(of) => own.chain(of.control.symbols()).collect(),
            _ => own.collect(),
        }
    }
}

impl Graph {
    /// The nodes that bind symbols, in their order.
    pub fn binds(&self) -> impl Iterator<Item = (NodeId, &Bind)> {
        self.iter().filter_map(|(id, node)| match &node.op {
            Op::Bind(bind) => Some((id, bind)),
            _ => None,
        })
    }
    /// Whether a dim depends on a symbol that the graph binds.
    pub fn is_found(&self, dim: &Dim) -> bool {
        dim.as_int().is_none() && self.binds().any(|(_, bind)| dim.symbols().contains(&bind.symbol))
    }
    /// An assumption that does not hold under `bind`, in words; what waits for data is left out.
    pub fn broken(&self, bind: &Bindings) -> Option<String> {
        self.facts().broken(bind, &|dim| !self.is_found(dim))
    }
    /// Whether a node names a symbol that the graph binds.
    pub fn names_found(&self, id: NodeId) -> bool {
        let node = self.node(id);
        self.binds().any(|(_, bind)| node.symbols().contains(&bind.symbol))
    }
    /// Whether all sizes that these nodes name are bound before `by`.
    pub fn is_sized_before(&self, nodes: &[NodeId], by: NodeId) -> bool {
        let binders = self.binders();
        nodes.iter().all(|&id| self.binders_of(self.node(id), &binders).all(|binder| binder < by))
    }
    /// The nodes that these need, themselves included.
    pub fn needed(&self, ids: impl IntoIterator<Item = NodeId>) -> Vec<bool> {
        self.needed_but(ids, &[])
    }
    /// The nodes that these need where the values of some are given, themselves included.
    pub fn needed_but(&self, ids: impl IntoIterator<Item = NodeId>, given: &[NodeId]) -> Vec<bool> {
        let binders = self.binders();
        let mut needed = vec![false; self.len()];
        ids.into_iter().for_each(|id| needed[id.index()] = true);
        for (id, node) in self.iter().rev() {
            if needed[id.index()] && !given.contains(&id) {
                node.inputs.iter().for_each(|i| needed[i.index()] = true);
                self.binders_of(node, &binders).for_each(|id| needed[id.index()] = true);
            }
        }
        needed
    }
    /// Values of the symbols of a call, and of those that the graph binds the greatest that they may have.
    pub fn with_bounds(&self, bind: &Bindings) -> Bindings {
        let mut all = bind.clone();
        for (_, found) in self.binds() {
            if let Some(bound) = found.bound.eval(&all) {
                all.insert(found.symbol.clone(), bound);
            }
        }
        all
    }
    pub(super) fn binders(&self) -> Binders {
        self.binds().map(|(id, bind)| (bind.symbol.clone(), id)).collect()
    }
    /// The nodes that bind what a node names.
    pub(super) fn binders_of<'a>(&'a self, node: &Node, binders: &'a Binders) -> impl Iterator<Item = NodeId> + 'a {
        let symbols = if binders.is_empty() { vec![] } else { node.symbols() };
        symbols.into_iter().filter_map(|symbol| binders.get(&symbol).copied())
    }
    /// The nodes that bind what is assumed: that is looked at when they run.
    pub fn assumed_binders(&self) -> Vec<NodeId> {
        let binders = self.binders();
        if binders.is_empty() {
            return vec![];
        }
        let facts = self.facts().assumed().iter().chain(self.facts().repeated());
        let symbols = facts.flat_map(|(a, b)| [a, b]).flat_map(Dim::symbols);
        symbols.filter_map(|symbol| binders.get(&symbol).copied()).collect()
    }

    /// Each symbol is bound once, before it is named, and outlives no graph.
    pub(super) fn verify_found(&self) -> Infer<()> {
        let binders = self.binders();
        if binders.is_empty() {
            return Ok(());
        }
        if let Some((id, bind)) = self.binds().find(|(id, bind)| binders[&bind.symbol] != *id) {
            return Err(format!("%{}: `{}` is bound twice", id.index(), bind.symbol));
        }
        for (id, node) in self.iter() {
            if node.op == Op::Input && node.ty.shape.iter().any(|dim| self.is_found(dim)) {
                return Err(format!("%{}: an input has extents that the graph finds", id.index()));
            }
            if let Some(binder) = self.binders_of(node, &binders).find(|&binder| binder >= id) {
                let symbol = binders.iter().find(|(_, at)| **at == binder).map_or("", |(symbol, _)| symbol.name());
                return Err(format!("%{}: `{symbol}` is named before it is bound", id.index()));
            }
        }
        Ok(())
    }

    /// The first live node that names one of these symbols though the graph does not bind it, and the symbol.
    pub fn names_unbound(&self, symbols: &[Symbol]) -> Option<(NodeId, Symbol)> {
        let (live, binders) = (self.live(), self.binders());
        let unbound = |symbol: &Symbol| symbols.contains(symbol) && !binders.contains_key(symbol);
        let mut nodes = self.iter().filter(|(id, _)| !symbols.is_empty() && live[id.index()]);
        nodes.find_map(|(id, node)| Some((id, node.symbols().into_iter().find(unbound)?)))
    }

    /// What has to hold of the sizes that are known from here on, for the symbol that was bound last: what is assumed, and
    /// that no extent is negative. `bind` has it.
    pub(super) fn check_found(&self, symbol: &Symbol, bind: &Bindings, live: &[bool]) -> Result<(), Fault> {
        let is_due = |dims: &[&Dim]| {
            let symbols: Vec<Symbol> = dims.iter().flat_map(|dim| dim.symbols()).collect();
            symbols.contains(symbol) && symbols.iter().all(|symbol| bind.contains_key(symbol))
        };
        let value = |dim: &Dim| dim.eval(bind);
        let equal = |a: &Dim, b: &Dim| value(a).is_some() && value(a) == value(b);
        let facts = self.facts();
        let fine = facts.assumed().iter().all(|(a, b)| !is_due(&[a, b]) || equal(a, b))
            && facts.repeated().iter().all(|(a, b)| !is_due(&[a, b]) || value(a) == Some(1) || equal(a, b))
            && self.iter().filter(|(id, _)| live[id.index()]).all(|(_, node)| {
                let padding = if let Op::Pad(_) = &node.op { node.op.inner_dims() } else { vec![] };
                let mut dims = node.ty.shape.iter().chain(padding);
                dims.all(|dim| !is_due(&[dim]) || value(dim).is_some_and(|n| n >= 0))
            });
        if fine { Ok(()) } else { Err(Fault::BrokenSize) }
    }
}
