//! Whole models import: the examples classify digits in the evaluator, and real models import or say why not.

use std::{collections::BTreeMap, fs, path::PathBuf};

use smc::{
    base::{Bindings, Symbol},
    graph::evaluate,
    saved::{Model, Options, SlotPlace},
    tensor::{DType, Scalar, Tensor},
    tf::{self, Imported},
};
use smc_tests::programs::corpus;

fn import(model: &Model, signature: &str, options: &tf::Options) -> Imported {
    let signature = model.signature(signature).unwrap();
    let graph = model.graph(&signature).unwrap();
    tf::import(&graph, &|variable| model.read(variable), options).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The images, as fractions, and the labels of `digits.bin`.
fn digits() -> (Tensor, Vec<usize>) {
    let bytes = fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/mnist/digits.bin")).unwrap();
    let digits: Vec<&[u8]> = bytes.chunks_exact(785).collect();
    let pixels = digits.iter().flat_map(|d| &d[..784]).map(|&p| Scalar::F32(p as f32 / 255.0));
    let labels = digits.iter().map(|d| d[784] as usize).collect();
    (Tensor::from_scalars(DType::F32, [digits.len(), 28, 28], pixels), labels)
}

fn labels(probabilities: &Tensor) -> Vec<usize> {
    let value = |n: usize| probabilities.get(n).as_f64().unwrap();
    let best = |row: usize| (0..10).max_by(|&a, &b| value(row * 10 + a).total_cmp(&value(row * 10 + b))).unwrap();
    (0..probabilities.shape[0]).map(best).collect()
}

#[test]
fn the_examples_classify_digits() {
    let (images, expected) = digits();
    for name in ["model", "cnn"] {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/mnist").join(name);
        let model = Model::open(&folder, &Options::default()).unwrap();
        let open = import(&model, "serving_default", &tf::Options::default());
        assert_eq!(open.graph.ty(open.graph.inputs[0].node).to_string(), "f32[batch,28,28]");
        assert_eq!(open.graph.ty(open.graph.outputs[0].node).to_string(), "f32[batch,10]");
        assert_eq!((open.graph.facts().assumed(), &open.notes[..]), (&[][..], &[][..]), "{name}");
        assert!(open.equal.is_none(), "{name} broadcasts no open extents");
        let count = images.shape[0];
        let bind = Bindings::from([(Symbol::new("batch"), count as i64)]);
        let result = evaluate(&open.graph, std::slice::from_ref(&images), &bind).unwrap();
        let mut expected = expected.clone();
        if name == "model" {
            // The dense network takes one 3 for an 8, in TensorFlow too.
            expected[10] = 8;
        }
        assert_eq!(labels(&result[0]), expected, "{name}");

        let fixed = import(&model, "serving_default", &tf::Options { batch: Some(1), ..tf::Options::default() });
        assert_eq!(fixed.graph.ty(fixed.graph.outputs[0].node).to_string(), "f32[1,10]");
    }
}

#[test]
fn the_corpus_imports_or_says_why_not() {
    let Some(corpus) = corpus("importing the corpus") else { return };
    let folders = fs::read_dir(corpus).expect("SMC_CORPUS is a folder").flatten().map(|e| e.path().join("model"));
    for folder in folders.filter(|p| p.is_dir()) {
        let model = Model::open(&folder, &Options::default()).unwrap();
        let sparse = |s: &smc::saved::Slot| matches!(s.place, SlotPlace::Unsupported(_));
        let whole = model.signatures().iter().filter(|s| !s.inputs.iter().chain(&s.outputs).any(sparse));
        for signature in whole {
            let graph = model.graph(signature).unwrap();
            println!("{} {}: {} nodes", folder.display(), signature.name, graph.nodes.len());
            match tf::import(&graph, &|v| model.read(v), &tf::Options::default()) {
                Ok(Imported { graph, equal, notes, .. }) => {
                    graph.verify().unwrap();
                    equal.iter().for_each(|equal| equal.graph.verify().unwrap());
                    notes.iter().for_each(|note| println!("  {note}"));
                }
                Err(problems) => {
                    assert!(problems.has_errors());
                    problems.0.iter().for_each(|problem| println!("  {problem}"));
                }
            }
        }
    }
}

/// A small model of `tests/models` and the outputs of its signature by key.
fn small_model(name: &str, inputs: &[Tensor], batch: i64) -> (Model, BTreeMap<String, Tensor>) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models").join(name);
    let model = Model::open(&folder, &Options::default()).unwrap();
    let Imported { graph, .. } = import(&model, "serving_default", &tf::Options::default());
    graph.verify().unwrap();
    let results = evaluate(&graph, inputs, &Bindings::from([(Symbol::new("batch"), batch)])).unwrap();
    let outputs = graph.outputs.iter().map(|p| p.name.to_string()).zip(results).collect();
    (model, outputs)
}

#[test]
fn narrow_types_are_stored_moved_and_converted() {
    let x = Tensor::from_f32([6], &[1.1, -0.19, 61440.0, 464.0, 465.0, f32::NAN]);
    let (_, outputs) = small_model("narrow_types", &[x], 6);
    let floats = |key: &str| -> Vec<f64> { outputs[key].scalars().map(|s| s.as_f64().unwrap()).collect() };
    assert_eq!((outputs["int4"].dtype, outputs["int4"].shape.clone()), (DType::I8, vec![4, 4]));
    assert_eq!(outputs["int4"].to_i64s(), Some((-8..8).collect()));
    assert_eq!(outputs["uint4"].to_i64s(), Some((0..16).collect()));
    assert_eq!(floats("e5m2"), [1.5, -57344.0, 2f64.powi(-16), f64::INFINITY]);
    assert_eq!(floats("e4m3fn"), [1.125, 2f64.powi(-9), -448.0, -0.0]);
    assert_eq!(floats("constant"), [3.0, 0.5]);
    let rounded = floats("float8_e5m2");
    assert_eq!(rounded[..5], [1.0, -0.1875, f64::INFINITY, 448.0, 448.0]);
    assert!(rounded[5].is_nan());
    let rounded = floats("float8_e4m3fn");
    assert_eq!((&rounded[..2], rounded[3]), (&[1.125, -0.1875][..], 448.0));
    assert!([2, 4, 5].iter().all(|&n: &usize| rounded[n].is_nan()));
}

#[test]
fn rows_of_a_table_in_parts_are_found() {
    let ids = [6, 0, 3, 4, 5, 2, 1, 3];
    let (model, outputs) = small_model("v1_lookup", &[Tensor::from_i64([4, 2], &ids)], 4);
    let table = model.bundle().unwrap().read("w", None).unwrap();
    // The first way cuts the table into 3, 2 and 2 rows; the second deals them out.
    let dealt = [0, 3, 6, 1, 4, 2, 5];
    let row = |n: usize| (0..3).map(move |c| (n, c));
    let values =
        |places: Vec<usize>| places.into_iter().flat_map(row).map(|(n, c)| table.at(&[n, c])).collect::<Vec<_>>();
    let div = ids.iter().map(|&n| n as usize).collect();
    let mod_of = |n: usize| (0..7).find(|&place| place == [0, 3, 5][n % 3] + n / 3).unwrap();
    let by_mod = ids.iter().map(|&n| mod_of(n as usize)).collect();
    assert!(dealt.iter().enumerate().all(|(place, &n)| mod_of(n) == place));
    assert!(outputs["div"].scalars().eq(values(div)));
    assert!(outputs["mod"].scalars().eq(values(by_mod)));
    let apart = ids.iter().map(|&n| Scalar::F32(if n > 3 { -(n as f32) } else { n as f32 * 10.0 }));
    assert!(outputs["apart"].scalars().eq(apart));
}
