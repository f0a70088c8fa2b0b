//! Where buffers are.

use super::{Field, Slots, VarId, sizes::Sizes, write::Writer};
use crate::plan::{Place, StorageId};

/// The address of a buffer of a program that runs with this io struct and frame. It is no buffer of a chain's slice.
pub(super) fn address(w: &mut Writer<'_>, sizes: &mut Sizes<'_>, io: VarId, frame: VarId, id: StorageId) -> VarId {
    let program = sizes.program;
    match &program.storage[id].place {
        Place::Input(n) => w.load(io, Field::Pointer(Slots(program).input(*n))),
        Place::Output(n) => w.load(io, Field::Pointer(Slots(program).output(*n))),
        Place::State(at) => {
            let state = w.load(io, Field::Pointer(Slots(program).state()));
            w.offset(state, *at as i64)
        }
        Place::Workspace(at) => {
            let (workspace, at) = (w.load(frame, Field::Workspace), sizes.dim(w, at));
            w.offset(workspace, at)
        }
        Place::Weights(id) => {
            let weights = w.load(frame, Field::Weights);
            let offset = w.model.setting.weight_offsets[id.index()];
            w.offset(weights, offset as i64)
        }
        Place::Slice(_) => unreachable!("what is looked at between units is whole"),
    }
}
