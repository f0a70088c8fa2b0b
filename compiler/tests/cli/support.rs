//! Runs of the program, and files to give it.

use std::{
    io::{Cursor, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
};

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package of the workspace").to_path_buf()
}

pub fn mnist() -> String {
    root().join("examples/mnist/model").display().to_string()
}

/// Runs `smc` in a folder.
pub fn smc(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_smc")).args(args).current_dir(folder).output().expect("smc starts")
}

/// The output stream of a run that succeeds.
pub fn answer(folder: &Path, args: &[&str]) -> String {
    let out = smc(folder, args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text")
}

/// A `.npy` file of f32.
pub fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    array("<f4", shape, &values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
}

/// A `.npz` archive of arrays of f32, each with its name and shape.
pub fn npz(arrays: &[(&str, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(vec![]));
    for (name, shape, values) in arrays {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        writer.start_file(format!("{name}.npy"), options).expect("the archive is in memory");
        writer.write_all(&npy(shape, values)).expect("the archive is in memory");
    }
    writer.finish().expect("the archive is in memory").into_inner()
}

/// A `.npy` file of a type by numpy's code, with these bytes.
pub fn array(code: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let dims: String = shape.iter().map(|n| format!("{n},")).collect();
    let mut header = format!("{{'descr': '{code}', 'fortran_order': False, 'shape': ({dims}), }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// The error stream of a run in this folder that ends with this status.
pub fn complaint(folder: &Path, args: &[&str], status: i32) -> String {
    let out = smc(folder, args);
    let message = String::from_utf8(out.stderr).expect("text");
    assert_eq!(out.status.code(), Some(status), "{args:?}: {message}");
    assert!(!message.contains("panicked"), "{args:?}: {message}");
    message
}

/// A small model of the tests: Keras exported it, so it has `serve` and `serving_default`.
pub fn exported() -> String {
    root().join("tests/models/keras_export").display().to_string()
}
