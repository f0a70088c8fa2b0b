//! Any bytes as a SavedModel with its checkpoint: the loader answers or refuses, and does neither crash nor hang.
//!
//! The input is the main file; when it ends in the lengths of an index and a data file (two little-endian u32, last),
//! these are cut from its end first.

#![no_main]

use libfuzzer_sys::fuzz_target;
use smc::saved::Memory;
use smc_tests::saved::exercise;

fn take_end(bytes: &mut &[u8], len: usize) -> Option<Vec<u8>> {
    let at = bytes.len().checked_sub(len)?;
    let (rest, end) = bytes.split_at(at);
    *bytes = rest;
    Some(end.to_vec())
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let end = take_end(bytes, 4)?;
    Some(u32::from_le_bytes(end.try_into().ok()?) as usize)
}

fuzz_target!(|input: &[u8]| {
    let mut files = Memory::default();
    let mut rest = input;
    if let (Some(data), Some(index)) = (take_length(&mut rest), take_length(&mut rest))
        && let (Some(data), Some(index)) = (take_end(&mut rest, data), take_end(&mut rest, index))
    {
        files.0.insert("variables/variables.data-00000-of-00001".into(), data.into());
        files.0.insert("variables/variables.index".into(), index.into());
        files.0.insert("saved_model.pb".into(), rest.to_vec().into());
    } else {
        files.0.insert("saved_model.pb".into(), input.to_vec().into());
    }
    for text in [false, true] {
        if text {
            let main = files.0.remove("saved_model.pb").unwrap_or_default();
            files.0.insert("saved_model.pbtxt".into(), main);
        }
        exercise(files.clone());
    }
});
