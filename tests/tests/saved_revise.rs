//! Models with other values in their variables (`saved::revise`): what was given is read again, and all else stays.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use smc::{
    driver,
    saved::{
        Files, Memory, Model, Options,
        revise::{Revised, with_values},
    },
    tensor::{DType, Tensor},
};
use smc_tests::saved::files_of;

fn folder(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "models", name].iter().collect()
}

fn load(files: &Memory) -> Model {
    Model::load(Arc::new(files.clone()), &Options::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// The files of a revised model, as they would be written.
fn written(revised: &Revised) -> Memory {
    let file = |path: String| {
        let mut bytes = vec![];
        revised.copy(&path, &mut bytes).expect("files in memory can be read");
        assert_eq!(revised.size(&path), Some(bytes.len() as u64));
        (path, bytes.into())
    };
    Memory(revised.paths().into_iter().map(file).collect())
}

/// A tensor of the same type and shape with another value in every element.
fn other(tensor: &Tensor) -> Tensor {
    if tensor.dtype == DType::Str {
        let longer = |s: &Vec<u8>| [&s[..], b"more"].concat();
        return Tensor::from_strings(tensor.shape.clone(), tensor.strings().iter().map(longer).collect());
    }
    let size = tensor.dtype.size();
    let mut bytes = tensor.bytes().to_vec();
    bytes.chunks_exact_mut(size).for_each(|element| element[0] ^= 1);
    Tensor::from_bytes(tensor.dtype, tensor.shape.clone(), bytes)
}

/// The keys of variables, which initialisation leaves alone, and their values.
fn stored(model: &Model) -> BTreeMap<String, Tensor> {
    let bundle = model.bundle().expect("the model has a checkpoint");
    let keys = bundle
        .keys()
        .filter(|key| !key.starts_with('_') || key.starts_with("_all_variables") || key.starts_with("_layers"));
    keys.map(|key| (key.to_string(), bundle.read(key, None).unwrap_or_else(|e| panic!("{key}: {e}")))).collect()
}

#[test]
fn what_is_given_is_read_again_and_all_else_stays() {
    let mut models = 0;
    for entry in
        fs::read_dir(folder("")).unwrap().flatten().filter(|e| e.path().join("variables/variables.index").exists())
    {
        let name = entry.file_name().into_string().unwrap();
        let files = files_of(&entry.path());
        let model = load(&files);
        let before = stored(&model);
        // The values that are there already change nothing.
        let same = with_values(&model, &before).map(|revised| written(&revised).0);
        let Ok(same) = same else {
            assert_eq!(name, "v1_initialised", "{}", same.unwrap_err());
            continue;
        };
        assert!(same == files.0, "{name}");
        if before.is_empty() {
            continue;
        }
        // Every other variable gets a new value.
        let new: BTreeMap<String, Tensor> =
            before.iter().step_by(2).map(|(key, tensor)| (key.clone(), other(tensor))).collect();
        // There may be no elements to change.
        if new.iter().all(|(key, tensor)| before[key] == *tensor) {
            continue;
        }
        let revised = written(&with_values(&model, &new).unwrap_or_else(|e| panic!("{name}: {e}")));
        let changed: Vec<_> =
            files.0.iter().filter(|(path, bytes)| revised.0[*path] != **bytes).map(|(p, _)| &p[..]).collect();
        let expected = |path: &&str| path.starts_with("variables/variables.") || *path == "fingerprint.pb";
        assert!(changed.iter().all(expected) && changed.len() >= 2, "{name}: {changed:?}");
        assert_eq!(revised.0.len(), files.0.len(), "{name}");
        let again = load(&revised);
        let bundle = again.bundle().unwrap();
        for (key, tensor) in stored(&model) {
            // Copies of one variable go together.
            let twin =
                |copy: &String| before[copy] == tensor && key.contains("variables") && copy.contains("variables");
            let now = bundle.read(&key, None).unwrap();
            let is_copy = now == other(&tensor) && new.keys().any(twin);
            assert!(now == *new.get(&key).unwrap_or(&tensor) || is_copy, "{name}: {key}");
        }
        for key in model.bundle().unwrap().keys().filter(|key| !before.contains_key(*key)) {
            let read = |model: &Model| model.bundle().unwrap().read(key, None).unwrap();
            assert!(read(&model) == read(&again), "{name}: {key}");
        }
        assert_ne!(model.digest().unwrap(), again.digest().unwrap());
        models += 1;
    }
    assert!(models > 20, "{models}");
}

/// Keras's `export` stores each variable twice.
#[test]
fn copies_of_a_variable_change_together() {
    let model = load(&files_of(&folder("keras_export")));
    let key = |path: &str| format!("{path}/.ATTRIBUTES/VARIABLE_VALUE");
    let read = |model: &Model, path: &str| model.bundle().unwrap().read(&key(path), None).unwrap();
    for (one, two) in [("variables/3", "_all_variables/2"), ("variables/2", "_all_variables/3")] {
        let new = other(&read(&model, one));
        for (given, copy) in [(one, two), (two, one)] {
            let revised = with_values(&model, &[(key(given), new.clone())].into()).unwrap();
            let again = load(&written(&revised));
            assert!(read(&again, given) == new && read(&again, copy) == new, "{given}");
        }
    }
}

#[test]
fn parts_change_in_the_whole() {
    let model = load(&files_of(&folder("v1_partitioned")));
    let graph = model.graph(&model.signatures()[0]).unwrap();
    let mut parts: Vec<_> = graph.variables.values().cloned().collect();
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    assert_ne!(parts[0].place(), parts[1].place());
    let new = other(&model.read(&parts[1]).unwrap());
    let revised = with_values(&model, &[(parts[1].place(), new.clone())].into()).unwrap();
    let again = Model::load(Arc::new(revised), &Options::default()).unwrap();
    assert_eq!(again.read(&parts[1]).unwrap(), new);
    assert_eq!(again.read(&parts[0]).unwrap(), model.read(&parts[0]).unwrap());
    assert_ne!(parts[0].short_key(), parts[1].short_key());
    // By the names that they have in a state.
    let state: Vec<_> = parts.iter().map(|v| (v.short_key().to_string(), other(&model.read(v).unwrap()))).collect();
    let tied = driver::exported(&model, &state).unwrap();
    assert!(tied.notes.is_empty());
    let again = load(&written(&with_values(&model, &tied.values).unwrap()));
    for part in &parts {
        assert_eq!(again.read(part).unwrap(), other(&model.read(part).unwrap()));
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let files = files_of(&folder("v1_partitioned"));
    let model = load(&files);
    let key = model.bundle().unwrap().keys().next().unwrap().to_string();
    let whole = model.bundle().unwrap().read(&key, None).unwrap();
    let refused = |model: &Model, values: &[(&str, Tensor)]| {
        let values = values.iter().map(|(key, tensor)| (key.to_string(), tensor.clone())).collect();
        with_values(model, &values).err().expect("it is refused").to_string()
    };
    assert!(refused(&model, &[("no/such", whole.clone())]).contains("no tensor `no/such`"));
    assert!(refused(&model, &[(&key, Tensor::from_f32([1], &[0.0]))]).contains("f32[5, 2]"));
    assert!(refused(&model, &[(&key, Tensor::from_i64([5, 2], &[0; 10]))]).contains("i64[5, 2]"));
    let part = |text: &str| format!("{key} {text}");
    let rows = |n: usize| Tensor::from_f32([n, 2], &vec![0.5; 2 * n]);
    assert!(refused(&model, &[(&part("0,3:-"), rows(2))]).contains("its part 0,3:- is f32[3, 2]"));
    assert!(refused(&model, &[(&part("4,2:-"), rows(2))]).contains("outside"));
    assert!(refused(&model, &[(&part("0,3:-"), rows(3)), (&part("2,1:-"), rows(1))]).contains("in common"));
    assert!(refused(&model, &[(&part("0,3:-"), rows(3)), (&key, whole)]).contains("whole and in parts"));

    let initialised = load(&files_of(&folder("v1_initialised")));
    let values: Vec<_> = stored(&initialised).into_iter().collect();
    let values: Vec<_> = values.iter().map(|(key, tensor)| (&key[..], other(tensor))).collect();
    assert!(refused(&initialised, &values).contains("would be lost: the model's initialisation sets"));
    let version_1 = load(&files_of(&folder("checkpoint_v1")));
    let values: Vec<_> = stored(&version_1).into_iter().collect();
    let values: Vec<_> = values.iter().map(|(key, tensor)| (&key[..], other(tensor))).collect();
    assert!(refused(&version_1, &values).contains("version 1"));
}

/// What the initialisation sets has its value in every loaded model, and no other one can be given to it.
#[test]
fn values_that_the_initialisation_sets_stay() {
    let model = load(&files_of(&folder("v1_initialised")));
    let constant = |x: f32| [("constant".to_string(), Tensor::from_f32([], &[x]))];
    let same = driver::exported(&model, &constant(0.5)).unwrap();
    assert!(same.values.is_empty() && same.notes.is_empty());
    let problem = driver::exported(&model, &constant(1.0)).unwrap_err().to_string();
    assert!(
        problem.contains("variable `constant` would be lost") && problem.contains("whenever the model is loaded"),
        "{problem}"
    );
}

/// Generators begin anew with each loaded model; of those that have drawn something that is said.
#[test]
fn places_of_generators_are_left_out() {
    let model = load(&files_of(&folder("unseeded")));
    let graph = model.graph(&model.signature("train").unwrap()).unwrap();
    let place = |first: i64| {
        let generators =
            graph.all_variables().into_iter().filter_map(|v| Some((v.short_key().to_string(), v.begins?.place)));
        let value = |[_, high, key]: [i64; 3]| Tensor::from_i64([3], &[first, high, key]);
        generators.map(|(name, place)| (name, value(place))).collect::<Vec<_>>()
    };
    let said = |first: i64| driver::exported(&model, &place(first)).unwrap().notes;
    assert!(place(0).len() > 1 && said(0).is_empty());
    assert!(said(256)[0].message.contains("places of random generators"), "{:?}", said(256));
}
