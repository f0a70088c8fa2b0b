//! The variables of a state as tensors, for whoever evaluates graphs.

use std::collections::BTreeMap;

use super::{Block, Entry};
use crate::{
    emit::{interface::Interface, state::Slot},
    tensor::Tensor,
};

/// By place in the block, what a variable holds.
#[derive(Clone, Debug, Default)]
pub struct Values(BTreeMap<u64, Tensor>);

impl Values {
    /// What a block of this machine's order of bytes holds.
    pub fn of(interface: &Interface, block: Option<&Block>) -> Values {
        let slots = interface.state.iter().flat_map(|state| &state.layout.slots);
        let value = |slot: &Slot, block: &Block| {
            let bytes = &block.bytes()[slot.at as usize..][..slot.bytes as usize];
            (slot.at, Tensor::from_bytes(slot.ty.dtype, slot.shape(), bytes.to_vec()))
        };
        Values(slots.zip(std::iter::repeat(block)).filter_map(|(slot, block)| Some(value(slot, block?))).collect())
    }
    /// By name, in the order of the block.
    pub fn named<'v>(&'v self, interface: &'v Interface) -> Vec<(&'v str, &'v Tensor)> {
        let slots = interface.state.iter().flat_map(|state| &state.layout.slots);
        slots.filter_map(|slot| Some((slot.name.as_str(), self.0.get(&slot.at)?))).collect()
    }
    /// The inputs of an entry's graph: a caller's, and the variables.
    pub fn complete(&self, entry: &Entry, inputs: &[Tensor]) -> Vec<Tensor> {
        let kept = entry.residents.iter().map(|resident| self.0[&resident.at].clone());
        inputs.iter().cloned().chain(kept).collect()
    }
    /// The variables that an entry changes, in the order of its graph's outputs.
    pub fn changed(&self, entry: &Entry) -> Vec<Tensor> {
        let changed = entry.residents.iter().filter(|resident| resident.output.is_some());
        changed.map(|resident| self.0[&resident.at].clone()).collect()
    }
    /// Keeps what an entry's graph makes of the variables. The rest is the caller's.
    pub fn take(&mut self, entry: &Entry, mut outputs: Vec<Tensor>) -> Vec<Tensor> {
        let changed: Vec<_> = entry.residents.iter().filter(|resident| resident.output.is_some()).collect();
        let values = outputs.split_off(outputs.len() - changed.len());
        self.0.extend(changed.iter().map(|resident| resident.at).zip(values));
        outputs
    }
}
