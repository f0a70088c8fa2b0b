//! What is said of a path or a file that is no SavedModel: what it seems to be, and how to make a SavedModel of it.

use std::{fs, io::Read, path::Path};

use prost::Message;
use smc_proto::GraphDef;

use crate::base::Diagnostic;

/// How to write a SavedModel.
pub const EXPORT: &str = "`model.export(DIR)` of Keras writes a SavedModel, and so does \
                          `tf.saved_model.save(module, DIR, signatures=module.f.get_concrete_function(...))`";

/// Why a path cannot be a model's folder; `None` for a folder.
pub fn refuse(path: &Path) -> Option<Diagnostic> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => None,
        Ok(_) => {
            let mut head = vec![0; 16];
            let read = fs::File::open(path).and_then(|mut f| f.read(&mut head)).unwrap_or(0);
            head.truncate(read);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (what, help) = kind(&name, &head).unwrap_or(("a file".into(), EXPORT.into()));
            Some(Diagnostic::error(format!("a SavedModel is a folder, and this is {what}")).in_file(shown).help(help))
        }
        Err(e) => Some(
            Diagnostic::error(format!("cannot open the model: {e}"))
                .in_file(shown)
                .help("name the folder that holds saved_model.pb"),
        ),
    }
}

/// What a file with this name and beginning is, and what to do.
pub fn kind(name: &str, head: &[u8]) -> Option<(String, String)> {
    let name = name.to_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|e| name.ends_with(e));
    let keras = "load it with `keras.models.load_model(FILE)` and write a SavedModel with `model.export(DIR)`";
    let (what, help) = if ends(&["saved_model.pb", "saved_model.pbtxt"]) {
        ("the main file of one", "name the folder that holds it, not the file")
    } else if ends(&[".weights.h5"]) {
        ("a file of weights", "build the model, load them with `model.load_weights(FILE)`, and `model.export(DIR)`")
    } else if ends(&[".keras"]) {
        ("a Keras archive", keras)
    } else if ends(&[".h5", ".hdf5"]) || head.starts_with(b"\x89HDF") {
        ("a Keras model in HDF5", keras)
    } else if ends(&[".tflite", ".lite"]) || head.get(4..8) == Some(b"TFL3") {
        ("a TFLite model", "smc compiles the SavedModel that it was converted from")
    } else if ends(&[".onnx"]) {
        ("an ONNX model", "smc compiles SavedModels: export the network from TensorFlow or Keras")
    } else if ends(&[".pt", ".pth", ".safetensors"]) {
        ("a model or weights of PyTorch", "smc compiles SavedModels: export the network from TensorFlow or Keras")
    } else if ends(&[".pb", ".pbtxt"]) {
        ("a graph", FROZEN)
    } else if head.starts_with(b"PK\x03\x04") {
        ("a zip archive", "unpack it, and name the folder that holds saved_model.pb")
    } else {
        return None;
    };
    Some((what.into(), help.into()))
}

/// What to do with a graph without signatures.
const FROZEN: &str = "import it in TensorFlow and save it with a signature: `tf.compat.v1.import_graph_def(graph)`, then \
                      `tf.compat.v1.saved_model.simple_save(session, DIR, inputs={...}, outputs={...})`";

/// What is said of bytes that stand where a SavedModel's main file should, when they are something else.
pub fn other_bytes(bytes: &[u8]) -> Option<Diagnostic> {
    if let Some((what, help)) = kind("", bytes) {
        return Some(Diagnostic::error(format!("this is {what}, not the main file of a SavedModel")).help(help));
    }
    frozen(&GraphDef::decode(bytes).ok()?)
}

/// What is said of a graph, if these are the contents of one.
pub fn frozen(graph: &GraphDef) -> Option<Diagnostic> {
    let is_graph = !graph.node.is_empty() && graph.node.iter().all(|n| !n.op.is_empty());
    let what = "this is a frozen graph (a GraphDef), not a SavedModel: it has no signatures";
    is_graph.then(|| Diagnostic::error(what).help(FROZEN))
}

#[test]
fn files_are_told_by_name_and_beginning() {
    let what = |name: &str, head: &[u8]| kind(name, head).map(|(what, _)| what).unwrap_or_default();
    assert_eq!(what("m.keras", b"PK\x03\x04"), "a Keras archive");
    assert_eq!(what("m", b"\x89HDF\r\n"), "a Keras model in HDF5");
    assert_eq!(what("m.bin", b"\x1c\0\0\0TFL3"), "a TFLite model");
    assert_eq!(what("saved_model.pb", b""), "the main file of one");
    assert_eq!(what("frozen.pb", b""), "a graph");
    assert_eq!(what("m.ONNX", b""), "an ONNX model");
    assert_eq!(what("notes.txt", b"words"), "");
}
