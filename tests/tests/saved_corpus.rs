//! Real SavedModels load: every signature's graph builds and every variable's value is found and read.
//!
//! Runs when the environment variable SMC_CORPUS names a folder whose subfolders hold a SavedModel in `model/`.

use std::{fs, path::PathBuf};

use smc::saved::{Model, Options, SlotPlace, inspect};
use smc_tests::programs::corpus;

/// The corpus' models, or none, which is told, when there is no corpus.
fn models(what: &str) -> Vec<PathBuf> {
    let Some(corpus) = corpus(what) else { return vec![] };
    let folders = fs::read_dir(corpus).expect("SMC_CORPUS is a folder").flatten().map(|e| e.path().join("model"));
    let mut found: Vec<_> = folders.filter(|p| p.is_dir()).collect();
    found.sort();
    assert!(!found.is_empty(), "SMC_CORPUS holds no model");
    found
}

#[test]
fn every_graph_builds_and_every_variable_reads() {
    for folder in models("loading the corpus") {
        let shown = folder.display();
        let started = std::time::Instant::now();
        let model = Model::open(&folder, &Options::default()).unwrap_or_else(|e| panic!("{shown}: {e}"));
        assert!(!model.signatures().is_empty(), "{shown} has no entry point");
        for signature in model.signatures() {
            let sparse = |s: &smc::saved::Slot| matches!(s.place, SlotPlace::Unsupported(_));
            if signature.inputs.iter().chain(&signature.outputs).any(sparse) {
                continue;
            }
            let graph = model.graph(signature).unwrap_or_else(|e| panic!("{shown}, {}: {e}", signature.name));
            assert_eq!(graph.inputs.len(), signature.inputs.len());
            assert_eq!(graph.outputs.len(), signature.outputs.len());
            for variable in graph.variables.values().filter(|v| v.initial.is_none()) {
                let value = model.read(variable).unwrap_or_else(|e| panic!("{shown}, {}: {e}", variable.name));
                assert_eq!(Some(value.shape), variable.ty.shape.fixed());
            }
            println!("{shown} {}: {} nodes, {} variables", signature.name, graph.nodes.len(), graph.variables.len());
        }
        println!("{shown}: {:?}", started.elapsed());
    }
}

#[test]
fn every_model_is_described() {
    for folder in models("describing the corpus") {
        let model = Model::open(&folder, &Options::default()).unwrap();
        let description = inspect::describe(&model);
        assert_eq!(description.problems, Vec::<String>::new(), "{}", folder.display());
        assert!(!description.signatures.is_empty() && !description.tensorflow_version.is_empty());
    }
}
