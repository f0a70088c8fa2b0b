//! The fingerprint beside a model's main file, by which TensorFlow tells models apart: it holds a hash of the checkpoint's
//! index and a number of the model's own.
//!
//! The hash is FarmHash's `Fingerprint64`, as TensorFlow's `fingerprinting_utils.cc` takes it.

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};
use smc_proto::FingerprintDef;

use super::Revised;
use crate::{
    base::{Problems, farm::fingerprint64},
    saved::files::read_all,
};

const PATH: &str = "fingerprint.pb";
const INDEX: &str = "variables/variables.index";

/// Lets the fingerprint be that of the index as it is now. One that does not decode, or that knows no hash of the
/// checkpoint, stays.
pub(super) fn renew(revised: &mut Revised) -> Result<(), Problems> {
    let bytes = read_all(revised, PATH)?;
    let Some(mut fingerprint) = bytes.and_then(|bytes| FingerprintDef::decode(bytes).ok()) else { return Ok(()) };
    let known = |index: &Bytes| fingerprint.checkpoint_hash != 0 && index.len() > 64;
    let Some(index) = read_all(revised, INDEX)?.filter(known) else { return Ok(()) };
    fingerprint.checkpoint_hash = fingerprint64(&index);
    if !fingerprint.uuid.is_empty() {
        // Any number will do that no other model has; this one follows from what the model is.
        let digest: [u8; 32] = Sha256::new().chain_update(&fingerprint.uuid).chain_update(&index).finalize().into();
        fingerprint.uuid = u128::from_le_bytes(*digest.first_chunk().expect("a digest has 32 bytes")).to_string();
    }
    revised.put(PATH, fingerprint.encode_to_vec().into());
    Ok(())
}

/// TensorFlow's own fingerprints of the test models: indices of many lengths.
#[test]
fn the_hash_is_tensorflows() {
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models");
    let mut compared = 0;
    for folder in std::fs::read_dir(models).unwrap().flatten().map(|entry| entry.path()) {
        let read = |path: &str| std::fs::read(folder.join(path)).ok();
        let Some((fingerprint, index)) = read(PATH).zip(read(INDEX)) else { continue };
        let fingerprint = FingerprintDef::decode(&fingerprint[..]).unwrap();
        assert_eq!(fingerprint64(&index), fingerprint.checkpoint_hash, "{}", folder.display());
        compared += 1;
    }
    assert!(compared > 5, "{compared}");
}
