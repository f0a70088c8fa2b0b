//! The fingerprint beside a model's main file, by which TensorFlow tells models apart: it holds a hash of the checkpoint's
//! index and a number of the model's own.
//!
//! The hash is FarmHash's `Fingerprint64` (Geoff Pike, <https://github.com/google/farmhash>, `farmhashna`), as
//! TensorFlow's `fingerprinting_utils.cc` takes it.

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};
use smc_proto::FingerprintDef;

use super::Revised;
use crate::{base::Problems, saved::files::read_all};

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

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;

fn word(s: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(s[at..at + 8].try_into().expect("eight bytes"))
}

fn mixed(word: u64) -> u64 {
    word ^ word >> 47
}

/// A hash of two words.
fn pair(u: u64, v: u64, by: u64) -> u64 {
    let a = mixed((u ^ v).wrapping_mul(by));
    mixed((v ^ a).wrapping_mul(by)).wrapping_mul(by)
}

/// A hash of 32 bytes from a place on, of two seeds.
fn of_32(s: &[u8], at: usize, a: u64, b: u64) -> (u64, u64) {
    let [w, x, y, z] = [0, 8, 16, 24].map(|n| word(s, at + n));
    let a = a.wrapping_add(w);
    let b = b.wrapping_add(a).wrapping_add(z).rotate_right(21);
    let c = a;
    let a = a.wrapping_add(x).wrapping_add(y);
    (a.wrapping_add(z), b.wrapping_add(a.rotate_right(44)).wrapping_add(c))
}

/// FarmHash's `Fingerprint64` of more than 64 bytes, as every table has: 56 bytes of state go over blocks of 64, the last of
/// which may overlap the one before.
fn fingerprint64(s: &[u8]) -> u64 {
    const SEED: u64 = 81;
    let n = s.len();
    let mut x = SEED;
    let mut y = SEED.wrapping_mul(K1).wrapping_add(113);
    let mut z = mixed(y.wrapping_mul(K2).wrapping_add(113)).wrapping_mul(K2);
    let (mut v, mut w) = ((0u64, 0u64), (0u64, 0u64));
    x = x.wrapping_mul(K2).wrapping_add(word(s, 0));
    let last = (n - 1) / 64 * 64;
    for at in (0..last).step_by(64) {
        x = x.wrapping_add(y).wrapping_add(v.0).wrapping_add(word(s, at + 8)).rotate_right(37).wrapping_mul(K1);
        y = y.wrapping_add(v.1).wrapping_add(word(s, at + 48)).rotate_right(42).wrapping_mul(K1);
        x ^= w.1;
        y = y.wrapping_add(v.0).wrapping_add(word(s, at + 40));
        z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(K1);
        v = of_32(s, at, v.1.wrapping_mul(K1), x.wrapping_add(w.0));
        w = of_32(s, at + 32, z.wrapping_add(w.1), y.wrapping_add(word(s, at + 16)));
        (x, z) = (z, x);
    }
    let by = K1.wrapping_add((z & 0xff) << 1);
    let at = n - 64;
    w.0 = w.0.wrapping_add((n as u64 - 1) & 63);
    v.0 = v.0.wrapping_add(w.0);
    w.0 = w.0.wrapping_add(v.0);
    x = x.wrapping_add(y).wrapping_add(v.0).wrapping_add(word(s, at + 8)).rotate_right(37).wrapping_mul(by);
    y = y.wrapping_add(v.1).wrapping_add(word(s, at + 48)).rotate_right(42).wrapping_mul(by);
    x ^= w.1.wrapping_mul(9);
    y = y.wrapping_add(v.0.wrapping_mul(9)).wrapping_add(word(s, at + 40));
    z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(by);
    v = of_32(s, at, v.1.wrapping_mul(by), x.wrapping_add(w.0));
    w = of_32(s, at + 32, z.wrapping_add(w.1), y.wrapping_add(word(s, at + 16)));
    (x, z) = (z, x);
    let first = pair(v.0, w.0, by).wrapping_add(mixed(y).wrapping_mul(K0)).wrapping_add(z);
    pair(first, pair(v.1, w.1, by).wrapping_add(x), by)
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
