//! The example models, compiled and run on handwritten digits: every predicted label is TensorFlow's.

use std::{fs, io::Read, path::PathBuf};

use smc::{
    driver::{self, Executable, Options},
    saved::{self, Model},
    tensor::{DType, Scalar, Tensor},
};

fn root() -> PathBuf {
    smc_tests::root()
}

/// The bytes behind the header of a gzipped idx file, and the extents the header states.
fn idx(name: &str) -> (Vec<usize>, Vec<u8>) {
    let path = root().join("tests/data/mnist").join(name);
    let file = fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut raw = vec![];
    flate2::read::GzDecoder::new(file).read_to_end(&mut raw).unwrap();
    let rank = raw[3] as usize;
    let extent = |n: usize| u32::from_be_bytes(raw[4 + 4 * n..8 + 4 * n].try_into().unwrap()) as usize;
    ((0..rank).map(extent).collect(), raw[4 + 4 * rank..].to_vec())
}

/// The class with the greatest probability in each row of ten.
fn labels(probabilities: &Tensor) -> Vec<u8> {
    let values: Vec<f64> = probabilities.scalars().map(|s| s.as_f64().unwrap()).collect();
    let best = |row: &[f64]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap() as u8;
    values.chunks(10).map(best).collect()
}

fn check(model: &str, expected: &str) {
    let model = Model::open(root().join("examples/mnist").join(model), &saved::Options::default()).unwrap();
    let options = Options { name: "mnist".into(), cpu: Some(smc_tests::cpu()), ..Options::default() };
    let compiled = driver::compile(&model, &options, &mut |_| ()).unwrap_or_else(|e| panic!("{e}"));
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface).unwrap();
    let (shape, pixels) = idx("images-idx3-ubyte.gz");
    let images = Tensor::from_scalars(DType::F32, shape, pixels.iter().map(|&p| Scalar::F32(p as f32 / 255.0)));
    let mut call = executable.prepare(0, &[images]).unwrap();
    call.run(None).unwrap();
    let ours = labels(&call.results()[0]);
    let (_, theirs) = idx(expected);
    assert_eq!(ours.len(), 2000);
    let differ: Vec<_> = (0..ours.len()).filter(|&n| ours[n] != theirs[n]).collect();
    assert!(differ.is_empty(), "images {differ:?} get other labels than TensorFlow gives them");
}

#[test]
fn the_dense_model_predicts_as_tensorflow_does() {
    check("model", "model-labels-idx1-ubyte.gz");
}

#[test]
fn the_convolutional_model_predicts_as_tensorflow_does() {
    check("cnn", "cnn-labels-idx1-ubyte.gz");
}

/// An object is its weights and little more. The file counts whole: headers, symbols, relocations, unwind tables.
#[test]
fn the_dense_model_is_small() {
    const LEVELS: &str = "x86-64,x86-64-v3,x86-64-v4";
    // 784 x 128, 128, 128 x 10, 10.
    const WEIGHTS: usize = 4 * 101_770;
    let model = Model::open(root().join("examples/mnist/model"), &saved::Options::default()).unwrap();
    let mut sizes = vec![];
    // With one level, x86-64-v4 and x86-64-v3 are near 4 KB at a fixed batch, of which a section for the weights and a
    // function that tells the workspace are 250 bytes, and what descriptors say of memory and of sizes that data decide about
    // 50. What is above it is kernels: they have bodies for several numbers
    // of rows when the batch is open, and without wide vectors loops for what remains.
    for (cpu, batch, limit) in [
        (LEVELS, Some(1), 16 << 10),
        ("x86-64-v4", Some(1), 4208),
        ("x86-64-v3", Some(1), 4464),
        ("x86-64", Some(1), 5184),
        (LEVELS, None, 16 << 10),
        ("x86-64-v4", None, 7040),
        ("x86-64-v3", None, 6216),
        ("x86-64", None, 6056),
    ] {
        let options = Options {
            name: "mnist".into(),
            target: Some("x86_64-unknown-linux-gnu".into()),
            cpu: Some(cpu.into()),
            batch,
            ..Options::default()
        };
        let compiled = driver::compile(&model, &options, &mut |_| ()).unwrap_or_else(|e| panic!("{e}"));
        // All levels read one packing of the weights, which is no larger than they are, but for their alignment.
        let kept = compiled.report.weight_bytes as usize;
        assert!(kept - WEIGHTS < 128, "{cpu}: {kept} bytes");
        let rest = compiled.object.bytes().len() - WEIGHTS;
        sizes.push((cpu, batch, rest, limit));
    }
    assert!(sizes.iter().all(|(_, _, rest, limit)| rest <= limit), "{sizes:?}");
}
