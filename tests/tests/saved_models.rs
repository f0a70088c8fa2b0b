//! Small SavedModels of every kind (`tests/models`, made by its `make.py`) load and mean what TensorFlow says.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use smc::{
    base::Id,
    saved::{Memory, Model, Node, NodeOutput, Options, SignatureKind, TfGraph, Variable, decode_tensor, inspect},
    tensor::Tensor,
};
use smc_tests::saved::files_of;

fn folder(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "models", name].iter().collect()
}

fn load(files: &Memory, options: &Options) -> Result<Model, String> {
    Model::load(Arc::new(files.clone()), options).map_err(|e| e.to_string())
}

fn model(name: &str) -> Model {
    Model::open(folder(name), &Options::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn graph(model: &Model, signature: &str) -> TfGraph {
    let signature = model.signature(signature).unwrap();
    model.graph(&signature).unwrap_or_else(|e| panic!("{e}"))
}

fn ops(graph: &TfGraph) -> Vec<&str> {
    graph.op_counts().into_keys().collect()
}

/// The variable behind a tensor: through reads and identities.
fn variable_of(graph: &TfGraph, mut value: NodeOutput) -> &Variable {
    loop {
        match graph.variables.get(&value.node) {
            Some(variable) => return variable,
            None => value = graph.nodes[value.node].inputs[0],
        }
    }
}

fn nodes_of<'g>(graph: &'g TfGraph, op: &str) -> Vec<(Id<Node>, &'g Node)> {
    graph.nodes.iter().filter(|(_, n)| n.op == op).collect()
}

/// A nest of numbers or strings as TensorFlow wrote it.
fn matches(tensor: &Tensor, json: &serde_json::Value) -> bool {
    fn flat(json: &serde_json::Value, out: &mut Vec<f64>) {
        match json {
            serde_json::Value::Array(items) => items.iter().for_each(|i| flat(i, out)),
            serde_json::Value::Bool(truth) => out.push(*truth as u8 as f64),
            other => out.push(other.as_f64().expect("a number")),
        }
    }
    let mut expected = Vec::new();
    flat(json, &mut expected);
    tensor.scalars().map(|s| s.as_f64().unwrap() as f32).eq(expected.into_iter().map(|x| x as f32))
}

#[test]
fn stored_tensors_equal_what_tensorflow_reads() {
    let text = std::fs::read_to_string(folder("stored.json")).unwrap();
    let stored: BTreeMap<String, BTreeMap<String, serde_json::Value>> = serde_json::from_str(&text).unwrap();
    assert!(stored.len() >= 10);
    for (name, tensors) in stored {
        let model = model(&name);
        let keys =
            model.bundle().map_or(vec![], |b| b.keys().filter(|k| !k.starts_with('_') || k.contains('/')).collect());
        assert!(keys.iter().copied().eq(tensors.keys()), "{name}: {keys:?}");
        for (key, value) in &tensors {
            let tensor = model.bundle().unwrap().read(key, None).unwrap();
            assert!(matches(&tensor, value), "{name}: {key}");
        }
    }
}

#[test]
fn every_model_is_described_without_problems() {
    for entry in std::fs::read_dir(folder("")).unwrap().flatten().filter(|e| e.path().is_dir()) {
        let name = entry.file_name().into_string().unwrap();
        // What is wrong with this one has a test of its own.
        if name == "sharded" {
            continue;
        }
        let description = inspect::describe(&model(&name));
        assert_eq!(description.problems, Vec::<String>::new(), "{name}");
        assert_eq!(description.tags, ["serve"]);
        let json = serde_json::to_value(&description).unwrap();
        assert!(!json["signatures"].as_array().unwrap().is_empty(), "{name}");
    }
}

#[test]
fn keys_may_share_a_tensor_and_outputs_may_be_inputs() {
    let graph = graph(&model("v1_simple"), "serving_default");
    assert_eq!(ops(&graph), ["Identity", "MatMul", "Placeholder", "VariableV2"]);
    let output = |key: &str| graph.outputs.iter().find(|p| p.key == key).unwrap();
    assert_eq!(output("y").source, output("same").source);
    assert_eq!(output("passed").source, graph.inputs[0].source);
    assert_eq!(graph.inputs[0].ty.to_string(), "float32[?,3]");
    let variable = graph.variables.values().next().unwrap();
    assert_eq!((&variable.key[..], variable.ty.to_string()), ("dense/w", "float32[3,2]".into()));
}

#[test]
fn text_and_binary_form_give_the_same_graph() {
    let (text, binary) = (model("text_form"), model("v1_simple"));
    assert!(text.shown_path().ends_with("saved_model.pbtxt"));
    assert_eq!(graph(&text, "serving_default"), graph(&binary, "serving_default"));
}

#[test]
fn partitions_are_read_from_the_whole() {
    let model = model("v1_partitioned");
    let graph = graph(&model, "serving_default");
    let mut parts: Vec<_> = graph.variables.values().collect();
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(parts.iter().map(|v| v.ty.to_string()).collect::<Vec<_>>(), ["float32[3,2]", "float32[2,2]"]);
    let joined: Vec<u8> = parts.iter().flat_map(|v| model.read(v).unwrap().bytes().to_vec()).collect();
    assert_eq!(joined, model.bundle().unwrap().read("w", None).unwrap().bytes());
}

#[test]
fn the_graph_is_cut_at_fed_tensors() {
    let model = model("v1_midgraph");
    let (cut, whole) = (graph(&model, "serving_default"), graph(&model, "whole"));
    assert!(!ops(&cut).contains(&"MatMul") && ops(&whole).contains(&"MatMul"));
    assert!(cut.variables.is_empty() && whole.variables.len() == 1);
    assert_eq!(nodes_of(&cut, "Placeholder").len(), 1);
    let phase = cut.find("keras_learning_phase").unwrap();
    assert_eq!(cut.nodes[phase].op, "Const");
    assert_eq!(decode_tensor(cut.nodes[phase].attr_tensor("value").unwrap()).unwrap().bytes(), [0]);
}

#[test]
fn assigned_variables_are_marked() {
    let counter = model("v1_counter");
    let assigned = |model: &Model, signature: &str| {
        let graph = graph(model, signature);
        graph.variables.values().map(|v| v.assigned_by.clone()).collect::<Vec<_>>()
    };
    assert_eq!(assigned(&counter, "add"), [Some("AssignAdd".to_string())]);
    assert_eq!(assigned(&counter, "get"), [None]);
    let modern = model("several_signatures");
    assert_eq!(assigned(&modern, "add").len(), 1);
    assert!(assigned(&modern, "add")[0].is_some());
    assert_eq!(assigned(&modern, "affine"), [None, None]);
    assert_eq!(assigned(&modern, "repeat"), [None]);
}

#[test]
fn initialisers_and_assets_are_listed() {
    let files = files_of(&folder("v1_table"));
    let table = load(&files, &Options::default()).unwrap();
    let initialisers = table.initialisers().unwrap();
    assert_eq!(initialisers.iter().map(|i| &i.op[..]).collect::<Vec<_>>(), ["InitializeTableFromTextFileV2"]);
    let assets = table.assets();
    assert!(!assets.is_empty() && assets.iter().all(|a| a.path == "assets/words.txt" && a.present), "{assets:?}");
    let mut without = files;
    without.0.remove("assets/words.txt");
    let described = inspect::describe(&load(&without, &Options::default()).unwrap());
    assert_eq!(described.problems, ["the asset assets/words.txt is missing"]);
}

/// Both ways of today's Keras to save a model, in which neither names nor the restore graph alone would be right.
#[test]
fn keras_weights_belong_to_their_layers() {
    let saved = model("keras_save");
    for name in ["keras_save", "keras_export"] {
        let model = model(name);
        let graph = graph(&model, "serving_default");
        assert_eq!(graph.variables.len(), 6);
        for (op, attribute) in [("MatMul", "_kernel"), ("BiasAdd", "bias")] {
            let users = nodes_of(&graph, op);
            assert_eq!(users.len(), 3);
            for (n, (_, node)) in users.into_iter().enumerate() {
                let key = format!("_layers/{}/{attribute}/.ATTRIBUTES/VARIABLE_VALUE", n + 1);
                let expected = saved.bundle().unwrap().read(&key, None).unwrap();
                let variable = variable_of(&graph, node.inputs[1]);
                assert_eq!(model.read(variable).unwrap(), expected, "{name} {}", node.name);
                assert!(node.layer().unwrap().contains("dense"), "{}", node.name);
            }
        }
    }
}

/// TensorFlow stores the shards as one tensor and restores none of them.
#[test]
fn shards_of_a_variable_are_one_problem() {
    let model = model("sharded");
    let problems = model.graph(&model.signatures()[0]).unwrap_err();
    assert_eq!(problems.0.len(), 1, "{problems}");
    assert!(problems.to_string().contains("are shards of one variable"), "{problems}");
}

#[test]
fn unnamed_variables_are_told_apart() {
    let model = model("several_signatures");
    let graph = graph(&model, "affine");
    let (_, product) = nodes_of(&graph, "Mul")[0];
    let (_, sum) = nodes_of(&graph, "AddV2")[0];
    assert_eq!(variable_of(&graph, product.inputs[1]).key, "scale/.ATTRIBUTES/VARIABLE_VALUE");
    assert_eq!(variable_of(&graph, sum.inputs[1]).key, "shift/.ATTRIBUTES/VARIABLE_VALUE");
    let nothing = self::graph(&model, "nothing");
    assert!(nothing.inputs.is_empty() && nothing.outputs.len() == 1);
}

#[test]
fn strings_and_loop_bodies_are_available() {
    let model = model("several_signatures");
    let greet = graph(&model, "greet");
    let tensors =
        nodes_of(&greet, "Const").into_iter().map(|(_, n)| decode_tensor(n.attr_tensor("value").unwrap()).unwrap());
    let words = tensors.into_iter().find(|t| t.shape == [2, 2]).unwrap();
    assert_eq!(words.strings(), [&b"a"[..], b"b", b"", b"long \0 one"]);
    let repeat = graph(&model, "repeat");
    let (id, node) = repeat.nodes.iter().find(|(_, n)| n.op.ends_with("While")).unwrap();
    let body = repeat.bodies[&(id, 1)].as_ref().unwrap();
    assert_eq!(body.inputs.len(), node.inputs.len());
    assert_eq!(body.outputs.len(), node.inputs.len());
    assert!(ops(body).contains(&"Mul"));
}

#[test]
fn functions_compile_when_there_is_no_signature() {
    let model = model("exported_function");
    let [signature] = model.signatures() else { panic!("{:?}", model.signatures()) };
    assert!(matches!(signature.kind, SignatureKind::Function { .. }));
    assert_eq!(signature.name, "apply");
    let graph = graph(&model, "apply");
    assert_eq!(graph.inputs[0].key, "x");
    assert_eq!(graph.inputs[0].ty.to_string(), "float32[?,2]");
    assert_eq!(graph.outputs.iter().map(|p| &p.key[..]).collect::<Vec<_>>(), ["first", "rest/0", "rest/1"]);
    assert_eq!(graph.variables.values().map(|v| &v.key[..]).collect::<Vec<_>>(), ["w/.ATTRIBUTES/VARIABLE_VALUE"]);
    assert_eq!(graph.nodes[graph.outputs[1].source.node].inputs[0], graph.inputs[0].source);
}

#[test]
fn the_newest_version_is_taken() {
    let mut files = Memory::default();
    for (version, name) in [("2", "v1_simple"), ("10", "v1_counter"), ("009", "v1_table")] {
        files.0.extend(files_of(&folder(name)).0.into_iter().map(|(path, bytes)| (format!("{version}/{path}"), bytes)));
    }
    let version = |n| load(&files, &Options { version: n, ..Default::default() });
    let names = |model: Model| model.signatures().iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(version(None).unwrap()), ["add", "get"]);
    let two = version(Some(2)).unwrap();
    assert_eq!(graph(&two, "serving_default").variables.len(), 1);
    assert!(version(Some(9)).unwrap().assets()[0].present);
    assert!(version(Some(3)).err().unwrap().contains("available versions: 2, 9, 10"));
    let plain = load(&files_of(&folder("v1_simple")), &Options { version: Some(1), ..Default::default() });
    assert!(plain.err().unwrap().contains("the model has no versions"));
}

#[test]
fn tags_select_by_equality() {
    let files = files_of(&folder("v1_simple"));
    let tagged = |tags: &[&str]| {
        let tags = tags.iter().map(|t| t.to_string()).collect();
        load(&files, &Options { tags, ..Default::default() }).map(|m| m.tags())
    };
    assert_eq!(tagged(&[]).unwrap(), ["serve"]);
    assert_eq!(tagged(&["serve"]).unwrap(), ["serve"]);
    let message = tagged(&["serve", "gpu"]).unwrap_err();
    assert!(message.contains("{gpu,serve}") && message.contains("{serve}"), "{message}");
}

#[test]
fn missing_parts_are_told() {
    let message = |change: &dyn Fn(&mut Memory)| {
        let mut files = files_of(&folder("v1_simple"));
        change(&mut files);
        match load(&files, &Options::default()) {
            Err(message) => message,
            Ok(model) => match model.graph(&model.signatures()[0]) {
                Err(problems) => problems.to_string(),
                Ok(graph) => graph.variables.values().find_map(|v| model.read(v).err()).unwrap().to_string(),
            },
        }
    };
    let remove = |name: &'static str| move |files: &mut Memory| drop(files.0.remove(name));
    assert!(message(&remove("saved_model.pb")).contains("main file, saved_model.pb, is missing"));
    let no_index = message(&remove("variables/variables.index"));
    assert!(no_index.contains("has no value") && no_index.contains("node: dense/w"), "{no_index}");
    let no_folder = {
        let mut files = files_of(&folder("keras_export"));
        files.0.retain(|path, _| !path.starts_with("variables/"));
        let model = load(&files, &Options::default()).unwrap();
        model.graph(&model.signature("serving_default").unwrap()).unwrap_err()
    };
    assert_eq!(no_folder.0.len(), 1, "{no_folder}");
    assert!(no_folder.to_string().contains("and 5 others have no value"), "{no_folder}");
    let no_data = message(&remove("variables/variables.data-00000-of-00001"));
    assert!(no_data.contains("file: variables/variables.data-00000-of-00001"), "{no_data}");
    let chunked = message(&|files| {
        let bytes = files.0.remove("saved_model.pb").unwrap();
        files.0.insert("saved_model.cpb".into(), bytes);
    });
    assert!(chunked.contains("experimental_image_format"));
    let cut = message(&|files| {
        let bytes = files.0["saved_model.pb"].slice(..1000);
        files.0.insert("saved_model.pb".into(), bytes);
    });
    assert!(cut.contains("not a readable SavedModel") && cut.contains("file: saved_model.pb"), "{cut}");
    let foreign = message(&|files| {
        let other = files_of(&folder("v1_counter"));
        files.0.extend(other.0.into_iter().filter(|(path, _)| path.starts_with("variables")));
    });
    assert!(foreign.contains("lacks the key `dense/w`"), "{foreign}");
    let reshaped = message(&|files| {
        let other = files_of(&folder("v1_midgraph"));
        files.0.extend(other.0.into_iter().filter(|(path, _)| path.starts_with("variables")));
    });
    assert!(reshaped.contains("checkpoint"), "{reshaped}");
}

/// A file that is no SavedModel is named as what it is.
#[test]
fn other_files_are_told_apart() {
    let refused = |path: PathBuf| Model::open(path, &Options::default()).err().unwrap().to_string();
    assert!(refused(folder("nowhere")).contains("cannot open the model"));
    let main = refused(folder("v1_simple/saved_model.pb"));
    assert!(main.contains("the main file of one") && main.contains("name the folder"), "{main}");
    assert!(refused(folder("make.py")).contains("model.export(DIR)"));

    let loaded = |path: &str, bytes: Vec<u8>| {
        load(&Memory([(path.to_string(), bytes.into())].into()), &Options::default()).err().unwrap()
    };
    let node = smc_proto::NodeDef { name: "x".into(), op: "Placeholder".into(), ..Default::default() };
    let graph = smc_proto::GraphDef { node: vec![node], ..Default::default() };
    let frozen = loaded("saved_model.pb", smc_proto::Message::encode_to_vec(&graph));
    assert!(frozen.contains("a frozen graph (a GraphDef)") && frozen.contains("import_graph_def"), "{frozen}");
    let text = loaded("saved_model.pbtxt", b"node { name: \"x\" op: \"Placeholder\" }".to_vec());
    assert!(text.contains("a frozen graph (a GraphDef)"), "{text}");
    let lite = loaded("saved_model.pb", b"\x1c\0\0\0TFL3\0\0".to_vec());
    assert!(lite.contains("a TFLite model"), "{lite}");
    let beside = loaded("model.keras", b"PK\x03\x04".to_vec());
    assert!(beside.contains("`model.keras` is a Keras archive") && beside.contains("model.export(DIR)"), "{beside}");

    let mut files = files_of(&folder("exported_function"));
    let mut saved = <smc_proto::SavedModel as smc_proto::Message>::decode(&files.0["saved_model.pb"][..]).unwrap();
    saved.meta_graphs[0].object_graph_def = None;
    files.0.insert("saved_model.pb".into(), smc_proto::Message::encode_to_vec(&saved).into());
    let none = load(&files, &Options::default()).unwrap().no_signature().to_string();
    assert!(none.contains("tf.saved_model.save(module, DIR, signatures="), "{none}");
}

#[test]
fn unknown_signatures_list_the_known_ones() {
    let message = model("several_signatures").signature("predict").unwrap_err().to_string();
    assert!(message.contains("`add`, `affine`, `greet`, `nothing`, `repeat`"), "{message}");
}
