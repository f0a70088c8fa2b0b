//! Models that are cut at a layer, and dense layers behind that, by every route on which TensorFlow saves: what is written is
//! loaded like any model, gives what the layer gave, and learns.

use std::sync::Arc;

use smc::{
    driver::{self, Executable, Graft, Options, Training},
    saved::{self, Model, revise::Revised},
    tensor::{DType, Scalar, Tensor},
};
use smc_tests::layers::{activated, assert_near, dense, numbers, variables, write};

fn open(model: &str) -> Model {
    let folder = format!("{}/learn/{model}", env!("CARGO_MANIFEST_DIR"));
    Model::open(folder, &saved::Options::default()).expect("the model opens")
}

fn options() -> Options {
    Options { name: "m".into(), cpu: Some(smc_tests::cpu()), ..Options::default() }
}

/// In words: `from=first dense:4:tanh head=3`.
fn graft(text: &str) -> Graft {
    let mut graft = Graft::default();
    for word in text.split_whitespace() {
        match word.split_once('=') {
            Some(("from", layer)) => graft.from = Some(layer.into()),
            Some(("head", head)) => graft.head = Some(head.parse().expect("a head")),
            _ => graft.append.push(word.parse().expect("a layer")),
        }
    }
    graft
}

fn revised(model: &str, text: &str, seed: u64) -> Result<Revised, String> {
    driver::grafted(&open(model), &options(), &graft(text), seed).map_err(|problems| problems.to_string())
}

fn load(revised: Revised) -> Model {
    Model::load(Arc::new(revised), &saved::Options::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn grafted(model: &str, text: &str) -> Model {
    let revised = revised(model, text, 3).unwrap_or_else(|told| panic!("{model}, {text}: {told}"));
    if let Ok(folder) = std::env::var("SMC_GRAFTS_TO") {
        let (model, text) = (model.replace('/', "+"), text.replace(' ', ",").replace('/', "+"));
        write(&revised, &format!("{folder}/{model}@{text}"));
    }
    load(revised)
}

fn x() -> Tensor {
    Tensor::from_fn(DType::F32, [3, 6], |ix| Scalar::F32((ix[0] as f32 - 1.0) * 0.7 + ix[1] as f32 * 0.3 - 0.9))
}

fn words() -> Tensor {
    Tensor::from_fn(DType::I32, [4, 5], |ix| Scalar::Int((ix[0] as i64 * 7 + ix[1] as i64 * 3 + 1) % 11))
}

/// The first output.
fn inferred(model: &Model, x: &Tensor) -> Tensor {
    let compiled = driver::compile(model, &options(), &mut |_| ()).unwrap_or_else(|problems| panic!("{problems}"));
    let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).expect("the object loads");
    let n = compiled.interface.signatures.iter().position(|s| s.key == "serving_default").expect("the signature");
    let mut call = code.prepare(n, std::slice::from_ref(x)).expect("the input fits");
    call.run(None).expect("the call succeeds");
    call.results().remove(0)
}

/// Model, the layer, what is applied to the first layer's sums at its end, and to the last one's.
const MODELS: &[(&str, &str, &str, &str)] = &[
    ("export", "first", "relu", "softmax"),
    ("linear", "first", "relu", "linear"),
    ("separate", "first", "tanh", "softmax"),
    ("save", "first", "relu", "softmax"),
    ("gelu", "first", "relu", "gelu"),
    ("version_1", "Relu", "relu", "softmax"),
    ("references", "first", "linear", "softmax"),
    ("module", "Relu", "relu", "linear"),
    ("keras_2", "first", "relu", "softmax"),
    ("keras_2_separate", "first", "tanh", "softmax"),
];

#[test]
fn cut_models_give_what_the_layer_gave() {
    for &(name, layer, first, _) in MODELS {
        let old = open(&format!("heads/{name}"));
        let (kept, gone): (Vec<_>, Vec<_>) =
            variables(&old).into_iter().partition(|(_, value)| [&[6, 5][..], &[5]].contains(&&value.shape[..]));
        let model = grafted(&format!("heads/{name}"), &format!("from={layer}"));
        let new = variables(&model);
        assert_eq!((kept.len(), new.len(), gone.is_empty()), (2, 2, false), "{name}");
        for ((old, before), (new, after)) in kept.iter().zip(&new) {
            assert_eq!((&old.key, &old.ty), (&new.key, &new.ty), "{name}");
            assert!(before == after, "{name}: {}", old.key);
        }
        let of = |rank: usize| &kept.iter().find(|(_, value)| value.rank() == rank).unwrap().1;
        let expected = dense(&numbers(&x()), of(2), Some(of(1)), activated(first));
        let result = inferred(&model, &x());
        assert_eq!(result.shape, [3, 5], "{name}");
        assert_near(&result, &expected, name);
        let [signature] = model.signatures() else { panic!("{name}: one signature is left") };
        let whole = old.signature("serving_default").unwrap();
        assert_eq!(signature.inputs[0].key, whole.inputs[0].key, "{name}");
        assert_eq!(signature.outputs[0].ty.shape.to_string(), "[?,5]", "{name}");
        if whole.outputs.len() == 1 {
            assert_eq!(signature.outputs[0].key, whole.outputs[0].key, "{name}");
        }
    }
}

#[test]
fn layers_come_behind_each_other() {
    for &(name, layer, first, last) in MODELS {
        // A signature with two outputs is cut before anything is added to it.
        let two = ["version_1", "references"].contains(&name);
        let edits = [
            (format!("from={layer} head=3"), vec![(3, "linear")]),
            (format!("from={layer} dense:4:tanh dense:2"), vec![(4, "tanh"), (2, "linear")]),
            ("dense:4:relu head=3:softmax".to_string(), vec![(4, "relu"), (3, "softmax")]),
            ("dense:6:sigmoid head=2".to_string(), vec![(6, "sigmoid"), (2, last)]),
        ];
        for (text, layers) in &edits[..if two { 2 } else { 4 }] {
            let who = format!("{name}, {text}");
            if name == "gelu" && text.ends_with("head=2") {
                let told = revised("heads/gelu", text, 3).err().expect("gelu is several nodes");
                assert!(told.contains("is several nodes"), "{told}");
                continue;
            }
            let model = grafted(&format!("heads/{name}"), text);
            let all = variables(&model);
            let of = |key: &str| &all.iter().find(|(own, _)| own.short_key() == key).expect("the variable").1;
            let old = |shape: &[usize]| &all.iter().find(|(_, value)| value.shape[..] == *shape).unwrap().1;
            let first = if text.starts_with("from") {
                first
            } else if name == "references" {
                "relu"
            } else {
                first
            };
            let mut expected = dense(&numbers(&x()), old(&[6, 5]), Some(old(&[5])), activated(first));
            for (n, (units, activation)) in layers.iter().enumerate() {
                let is_head = text.contains("head") && n + 1 == layers.len();
                let scope = if is_head { "head".to_string() } else { format!("appended_{}", n + 1) };
                let (kernel, bias) = (of(&format!("{scope}/kernel")), of(&format!("{scope}/bias")));
                assert_eq!((kernel.shape[1], &bias.shape[..]), (*units, &[*units][..]), "{who}");
                assert!(numbers(bias).iter().all(|x| *x == 0.0), "{who}");
                expected = dense(&expected, kernel, Some(bias), activated(activation));
            }
            assert_near(&inferred(&model, &x()), &expected, &who);
        }
    }
}

/// Behind all that there is.
#[test]
fn layers_are_added_to_an_output() {
    for name in ["export", "keras_2_separate", "module"] {
        let shares = inferred(&open(&format!("heads/{name}")), &x());
        let model = grafted(&format!("heads/{name}"), "dense:2:tanh");
        let all = variables(&model);
        let of = |key: &str| &all.iter().find(|(own, _)| own.short_key() == key).expect("the variable").1;
        let expected =
            dense(&numbers(&shares), of("appended_1/kernel"), Some(of("appended_1/bias")), activated("tanh"));
        assert_near(&inferred(&model, &x()), &expected, name);
    }
}

/// Loops, whose bodies are functions, and layers of rank 3, of which a dense layer takes the last axis.
#[test]
fn recurrent_layers_are_cut() {
    let old = variables(&open("recurrent"));
    let of = |shape: &[usize]| &old.iter().find(|(_, value)| value.shape[..] == *shape).expect("the variable").1;
    let cut = grafted("recurrent", "from=gru_1");
    let features = inferred(&cut, &words());
    let expected = dense(&numbers(&features), of(&[4, 3]), Some(of(&[3])), activated("softmax"));
    assert_near(&inferred(&open("recurrent"), &words()), &expected, "gru");
    let steps = inferred(&grafted("recurrent", "from=bidirectional_1"), &words());
    assert_eq!(steps.shape, [4, 5, 6]);
    let model = grafted("recurrent", "from=bidirectional_1 dense:2:tanh head=3:softmax");
    let new = variables(&model);
    let of = |key: &str| &new.iter().find(|(own, _)| own.short_key() == key).expect("the variable").1;
    let first = dense(&numbers(&steps), of("appended_1/kernel"), Some(of("appended_1/bias")), activated("tanh"));
    let expected = dense(&first, of("head/kernel"), Some(of("head/bias")), activated("softmax"));
    let result = inferred(&model, &words());
    assert_eq!(result.shape, [4, 5, 3]);
    assert_near(&result, &expected, "bidirectional");
}

fn training() -> Training {
    Training::new("mse".parse().unwrap(), "adam:lr=0.05".parse().unwrap())
}

/// The names of what learns, and the losses of some steps.
fn learned(model: &Model, training: Training, x: &Tensor, target: &Tensor) -> Result<(Vec<String>, Vec<f64>), String> {
    let wanted = Options { training: Some(training), ..options() };
    let compiled = driver::compile(model, &wanted, &mut |_| ()).map_err(|problems| problems.to_string())?;
    let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).unwrap();
    let mut block = code.state().unwrap().expect("something learns");
    let n = compiled.interface.signatures.iter().position(|s| s.key == "train_step").unwrap();
    let mut losses = vec![];
    for _ in 0..30 {
        let mut call = code.prepare(n, &[x.clone(), target.clone()]).unwrap();
        call.run_on(&mut block, None).unwrap();
        losses.push(call.results()[0].get(0).as_f64().unwrap());
    }
    let values = driver::Values::of(&compiled.interface, Some(&block));
    let named = values.named(&compiled.interface).into_iter().map(|(name, _)| name.to_string());
    Ok((named.filter(|name| !name.starts_with("training/")).collect(), losses))
}

#[test]
fn what_is_grafted_learns() {
    let model = grafted("recurrent", "from=gru_1 dense:3:relu head=2");
    let target = Tensor::from_fn(DType::F32, [4, 2], |ix| Scalar::F32((ix[0] * 2 + ix[1]) as f32 * 0.2 - 0.5));
    let (names, losses) = learned(&model, training(), &words(), &target).unwrap();
    assert!(names.len() > 6 && names.contains(&"head/kernel".to_string()), "{names:?}");
    assert!(losses[29] < losses[0] / 2.0, "{losses:?}");
    let only = Training { only: vec!["head".into(), "appended_1/kernel".into()], ..training() };
    let (names, _) = learned(&model, only, &words(), &target).unwrap();
    assert_eq!(names, ["appended_1/kernel", "head/bias", "head/kernel"]);
}

/// What was frozen does not learn, unless it is named; statistics of a batch norm never do.
#[test]
fn frozen_layers_stay_frozen() {
    let x = Tensor::from_fn(DType::F32, [4, 3], |ix| Scalar::F32(ix[0] as f32 * 0.3 - ix[1] as f32 * 0.2));
    let target = Tensor::from_fn(DType::F32, [4, 2], |ix| Scalar::F32(ix[1] as f32 - 0.5));
    for name in ["frozen/exported", "frozen/compiled", "frozen/keras_2"] {
        grafted(name, "from=norm");
        let model = grafted(name, "from=norm dense:3:tanh head=2");
        let shape_of = |key: &str| {
            let all = variables(&model);
            all.into_iter().find(|(own, _)| own.short_key() == key).expect("the variable").1.shape
        };
        let shapes = |names: &[String]| {
            let mut shapes: Vec<Vec<usize>> = names.iter().map(|name| shape_of(name)).collect();
            shapes.sort();
            shapes
        };
        let (names, _) = learned(&model, training(), &x, &target).unwrap();
        // Scale and shift of the batch norm, and both new layers.
        assert_eq!(shapes(&names), [vec![2], vec![3], vec![3, 2], vec![4], vec![4], vec![4, 3]], "{name}: {names:?}");
        let still = variables(&model).into_iter().find(|(_, value)| value.shape == [3, 4]).unwrap().0;
        assert!(model.is_frozen(&still) && model.is_trainable(&still) == Some(true), "{name}");
        let only = Training { only: vec![still.short_key().into()], ..training() };
        let (names, _) = learned(&model, only, &x, &target).unwrap();
        assert_eq!(shapes(&names), [[3, 4]], "{name}: {names:?}");
    }
}

/// Each for its reason, by name.
#[test]
fn what_cannot_be_cut_is_refused() {
    for (model, text, reasons) in [
        ("heads/export", "from=frist", &["has no layer `frist`", "did you mean", "first"][..]),
        ("heads/module", "from=dense", &["has no layer `dense`", "the nodes are"]),
        ("recurrent", "from=*lstm*", &["hands on 2 values", "forward_lstm_1_1/transpose_2", "name one of them"]),
        ("words", "from=multi_head_attention", &["has no layer", "did you mean `multi_head_attention_1`"]),
        ("recurrent", "from=NotEqual", &["gives bool", "values are floats"]),
        ("heads/version_1", "dense:3", &["has 2 outputs", "--output NAME"]),
        ("heads/version_1", "from=ArgMax", &["values are floats"]),
        ("heads/odd_nothing", "dense:3", &["a dense layer does not take", "a row for each example"]),
        ("heads/odd_reshaped", "dense:3 head=2", &["Reshape stands between"]),
        ("heads/gelu", "dense:3 head=2", &["is several nodes"]),
    ] {
        let told = revised(model, text, 0).err().unwrap_or_else(|| panic!("{model}, {text}: is not refused"));
        for reason in reasons {
            assert!(told.contains(reason), "{model}, {text}: {told}");
        }
    }
}

/// A graph that changes variables, one with a table, and one in the text form.
#[test]
fn what_is_not_written_flat_is_refused() {
    let open = |name: &str| {
        let folder = format!("{}/models/{name}", env!("CARGO_MANIFEST_DIR"));
        Model::open(folder, &saved::Options::default()).expect("the model opens")
    };
    for (name, signature, text, reason) in [
        ("effects", Some("assign_in_branch"), "dense:3", "does more than compute"),
        ("state", Some("batch_norm__train"), "dense:3", "does more than compute"),
        ("v1_table", None, "dense:3", "`HashTableV2` needs a table"),
        ("text_form", None, "from=dense/y", "in the text form"),
    ] {
        let model = open(name);
        let signatures: Vec<String> = signature.map(str::to_string).into_iter().collect();
        let told = driver::grafted(&model, &Options { signatures, ..options() }, &graft(text), 0);
        let told = told.err().unwrap_or_else(|| panic!("{name} is not refused")).to_string();
        assert!(told.contains(reason), "{name}: {told}");
    }
}

/// The same seed, the same bits; another seed, others. A model that was grafted is grafted again.
#[test]
fn weights_follow_from_the_seed() {
    let weights = |seed: u64| {
        let model = load(revised("heads/export", "from=first dense:4 head=3", seed).unwrap());
        let kernel = |(variable, value): (saved::Variable, Tensor)| variable.key.ends_with("kernel").then_some(value);
        variables(&model).into_iter().filter_map(kernel).collect::<Vec<_>>()
    };
    assert!(weights(1) == weights(1) && weights(1) != weights(2));
    let once = load(revised("heads/export", "from=first dense:4:relu", 1).unwrap());
    let again = driver::grafted(&once, &options(), &graft("dense:3"), 2).unwrap();
    let keys: Vec<String> =
        variables(&load(again)).into_iter().map(|(variable, _)| variable.short_key().into()).collect();
    assert!(["appended_1/kernel", "appended_1_1/kernel"].iter().all(|key| keys.contains(&key.to_string())), "{keys:?}");
}
