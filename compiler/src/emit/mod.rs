//! What smc writes: descriptor, object, archive, header. Knows nothing of how machine code is made.

pub mod descriptor;
pub mod header;
pub mod interface;
