//! What smc writes: descriptor, object, archive, header. Knows nothing of how machine code is made.

pub mod archive;
pub mod descriptor;
mod eh_frame;
pub mod header;
pub mod interface;
mod link;
pub mod load;
pub mod names;
pub mod object;
pub mod shared;
pub mod state;
pub mod weights;
