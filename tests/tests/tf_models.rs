//! Whole models import: the examples classify digits in the evaluator, and real models import or say why not.

use std::{fs, path::PathBuf};

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
                Ok(Imported { graph, equal, notes }) => {
                    graph.verify().unwrap();
                    equal.map(|equal| equal.graph.verify().unwrap());
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
