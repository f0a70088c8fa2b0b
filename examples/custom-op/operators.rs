//! The same functions in Rust: `rustc --crate-type staticlib`, or `cdylib` for `--plugin`, with the crate `smc-runtime`.

use std::ffi::c_void;

use smc_runtime::operator::Operand;

/// `struct leaky_clip_attributes`.
#[repr(C)]
pub struct LeakyClip {
    slope: f64,
    limit: f64,
}

/// # Safety
/// A model calls it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leaky_clip(inputs: *const Operand, outputs: *const Operand, attributes: *const LeakyClip) -> i32 {
    let (x, y) = unsafe { ((*inputs).elements::<f32>(), (*outputs).elements_mut::<f32>()) };
    let (slope, limit) = unsafe { ((*attributes).slope as f32, (*attributes).limit as f32) };
    for (y, &x) in y.iter_mut().zip(x) {
        *y = if x > 0.0 { x } else { slope * x }.clamp(-limit, limit);
    }
    0
}

/// # Safety
/// A model calls it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn runs(inputs: *const Operand, outputs: *const Operand, _: *const c_void) -> i32 {
    let x = unsafe { (*inputs).elements::<i32>() };
    let outputs = unsafe { std::slice::from_raw_parts(outputs, 2) };
    let (values, lengths) = unsafe { (outputs[0].elements_mut::<i32>(), outputs[1].elements_mut::<i64>()) };
    if x.iter().any(|&x| x < 0) {
        return 22;
    }
    let mut found = 0;
    for run in x.chunk_by(|a, b| a == b) {
        (values[found], lengths[found]) = (run[0], run.len() as i64);
        found += 1;
    }
    outputs.iter().for_each(|output| unsafe { output.set_rows(found as i64) });
    0
}

/// `struct note_attributes`.
#[repr(C)]
pub struct Note {
    tag: *const u8,
    bytes: usize,
}

/// # Safety
/// A model calls it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn note(inputs: *const Operand, _: *const Operand, attributes: *const Note) -> i32 {
    let x = unsafe { (*inputs).elements::<f32>() };
    let tag = unsafe { std::slice::from_raw_parts((*attributes).tag, (*attributes).bytes) };
    println!("{}: {}", String::from_utf8_lossy(tag), x[0]);
    0
}
