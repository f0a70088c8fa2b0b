//! SavedModels in memory, and everything the loader can be asked about one.

use std::{fs, path::Path, sync::Arc};

use smc::saved::{Memory, Model, Options, TfGraph, graph::is_functional, inspect};

/// The files below a folder.
pub fn files_of(folder: &Path) -> Memory {
    fn collect(folder: &Path, prefix: &str, files: &mut Memory) {
        for entry in fs::read_dir(folder).expect("the folder is readable").flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                collect(&entry.path(), &format!("{name}/"), files);
            } else {
                files.0.insert(name, fs::read(entry.path()).expect("the file is readable").into());
            }
        }
    }
    let mut files = Memory::default();
    collect(folder, "", &mut files);
    files
}

/// Asks the loader everything about a model, whatever its bytes are; returns whether it loaded at all.
pub fn exercise(files: Memory) -> bool {
    let Ok(model) = Model::load(Arc::new(files), &Options::default()) else { return false };
    for signature in model.signatures().iter().chain(&model.functions()) {
        if let Ok(graph) = model.graph(signature) {
            exercise_graph(&model, &graph, 0);
        }
    }
    let _ = inspect::describe(&model);
    true
}

fn exercise_graph(model: &Model, graph: &TfGraph, depth: usize) {
    for variable in graph.variables.values() {
        let _ = model.read(variable);
        let _ = model.initial(variable);
    }
    for (_, node) in graph.nodes.iter() {
        let _ = node.layer();
        if let Ok(tensor) = node.attr_tensor("value") {
            let _ = smc::saved::decode_tensor(tensor);
        }
        let bodies = ["body", "cond", "then_branch", "else_branch"].iter().filter_map(|name| node.attr_func(name).ok());
        for body in bodies.filter(|_| depth < 2 && is_functional(&node.op)) {
            if let Ok(body) = model.body(body) {
                exercise_graph(model, &body, depth + 1);
            }
        }
    }
}
