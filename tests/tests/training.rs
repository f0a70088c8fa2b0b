//! Training entries that are derived for models which only infer (`tests/learn/record.py`): loss and variables behind every
//! step are those of Keras, by the evaluator and by machine code, for every optimiser and loss.

use std::collections::BTreeMap;

use serde::Deserialize;
use smc::{
    driver::{self, Bytes, Executable, Memory, Options, Training, Values},
    graph::evaluate,
    saved,
    tensor::{DType, Scalar, Tensor},
};
use smc_tests::compare::{Tolerance, difference};

#[derive(Deserialize)]
struct Record {
    x: Vec<Vec<f32>>,
    classes: Vec<Vec<i64>>,
    shares: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
    runs: Vec<Run>,
    whole: Vec<Whole>,
    norms: Vec<Norms>,
}

/// Three steps of a network whose batch norms learn.
#[derive(Deserialize)]
struct Norms {
    model: String,
    x: Vec<Vec<f32>>,
    classes: Vec<Vec<i64>>,
    steps: Vec<Stored>,
}

#[derive(Deserialize)]
struct Stored {
    loss: f32,
    /// By key of the checkpoint.
    variables: BTreeMap<String, Vec<f32>>,
}

/// Three steps of a network by plain gradients.
#[derive(Deserialize)]
struct Whole {
    model: String,
    shape: Vec<usize>,
    x: Vec<Vec<f32>>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Run {
    model: String,
    loss: String,
    optimizer: String,
    target: String,
    weights: Option<Vec<f32>>,
    /// As users write it.
    #[serde(default)]
    l2: Option<String>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    loss: f32,
    /// Kernel and bias of the first layer, then of the last one.
    variables: Vec<Vec<f32>>,
}

fn open(model: &str) -> saved::Model {
    let folder = format!("{}/learn/{model}", env!("CARGO_MANIFEST_DIR"));
    saved::Model::open(folder, &saved::Options::default()).expect("the model opens")
}

fn training(loss: &str, optimizer: &str) -> Training {
    Training::new(loss.parse().expect("a loss"), optimizer.parse().expect("a rule"))
}

fn options(training: Training) -> Options {
    Options {
        name: "m".into(),
        cpu: Some(smc_tests::cpu()),
        keep_imported: true,
        training: Some(training),
        ..Options::default()
    }
}

fn compile(model: &str, training: Training) -> Result<driver::Compiled, String> {
    driver::compile(&open(model), &options(training), &mut |_| ()).map_err(|problems| problems.to_string())
}

/// Some roundings in each of ten steps.
const TOLERANCE: Tolerance = Tolerance { ulps: 32.0, units: 4.0, signed_zeros: false };

/// What differs from the record, if anything does.
fn differs(record: &Record, run: &Run) -> Option<String> {
    let l2 = run.l2.as_ref().map(|l2| l2.parse().expect("a factor"));
    let wanted = Training { weights: run.weights.is_some(), l2, ..training(&run.loss, &run.optimizer) };
    let compiled = match compile(&run.model, wanted) {
        Ok(compiled) => compiled,
        Err(problems) => return Some(problems),
    };
    let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).expect("the object loads");
    let mut block = code.state().expect("a state begins").expect("variables learn");
    let mut values = Values::of(&compiled.interface, Some(&block));
    let n = compiled.interface.signatures.iter().position(|s| s.key == "train_step").expect("a step");
    let entry = &compiled.entries[n];
    for (number, step) in run.steps.iter().enumerate() {
        let target = match run.target.as_str() {
            "classes" => Tensor::from_i64([4], &record.classes[number]),
            "shares" => Tensor::from_f32([4, 3], &record.shares[number]),
            _ => Tensor::from_f32([4, 3], &record.values[number]),
        };
        let mut inputs = vec![Tensor::from_f32([4, 6], &record.x[number]), target];
        inputs.extend(run.weights.as_ref().map(|weights| Tensor::from_f32([4], weights)));
        let mut call = code.prepare(n, &inputs).expect("the inputs fit");
        let evaluated = evaluate(&entry.imported, &values.complete(entry, &inputs), call.bindings()).expect("no fault");
        let evaluated = values.take(entry, evaluated);
        call.run_on(&mut block, None).expect("the step runs");
        for (who, results) in [("evaluator", evaluated), ("machine code", call.results())] {
            let theirs = Tensor::from_f32([], &[step.loss]);
            if let Some(what) = difference(&results[0], &theirs, TOLERANCE) {
                return Some(format!("step {number}, loss of the {who}: {what}"));
            }
        }
        for (who, all) in [("evaluator", &values), ("machine code", &Values::of(&compiled.interface, Some(&block)))] {
            let named = all.named(&compiled.interface);
            let ours: Vec<_> = named.iter().filter(|(name, _)| !name.starts_with("training/")).collect();
            assert_eq!(ours.len(), 4, "{:?}", named.iter().map(|(name, _)| name).collect::<Vec<_>>());
            for theirs in &step.variables {
                // No two have as many elements.
                let (name, value) = ours.iter().find(|(_, value)| value.count() == theirs.len()).expect("a variable");
                let theirs = Tensor::from_f32(value.shape.clone(), theirs);
                if let Some(what) = difference(value, &theirs, TOLERANCE) {
                    return Some(format!("step {number}, {name} of the {who}: {what}"));
                }
            }
        }
    }
    None
}

#[test]
fn steps_are_those_of_keras() {
    let text = include_str!("../learn/steps.json");
    let record: Record = serde_json::from_str(text).expect("the record is JSON");
    let wrong = record.runs.iter().filter_map(|run| {
        let what = differs(&record, run)?;
        let weights = if run.weights.is_some() { ", weights" } else { "" };
        let l2 = run.l2.as_ref().map_or(String::new(), |l2| format!(", l2 {l2}"));
        Some(format!("{} by {}{weights}{l2}: {what}", run.loss, run.optimizer))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(record.runs.len() > 30 && record.runs.iter().any(|run| run.steps.len() == 10));
    assert!(record.runs.iter().any(|run| run.l2.is_some()));
}

/// They normalise by the statistics of the batch, and move the stored ones: the variance towards the unbiased one where the norm
/// is TensorFlow's one operator.
#[test]
fn batch_norms_learn_as_in_keras() {
    let record: Record = serde_json::from_str(include_str!("../learn/steps.json")).expect("the record is JSON");
    assert_eq!(record.norms.len(), 2);
    for norms in &record.norms {
        let training = training("sparse_categorical_crossentropy", "sgd:lr=0.1");
        let batch_norm = "train:momentum=0.9".parse().expect("a momentum");
        let compiled = compile(&norms.model, Training { batch_norm, ..training }).unwrap();
        let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).expect("the object loads");
        let mut block = code.state().expect("a state begins").expect("variables learn");
        let n = compiled.interface.signatures.iter().position(|s| s.key == "train_step").expect("a step");
        for (number, step) in norms.steps.iter().enumerate() {
            let x = Tensor::from_f32([4, 5, 4, 2], &norms.x[number]);
            let inputs = [x, Tensor::from_i64([4], &norms.classes[number])];
            let mut call = code.prepare(n, &inputs).expect("the inputs fit");
            let (values, entry) = (Values::of(&compiled.interface, Some(&block)), &compiled.entries[n]);
            let evaluated = evaluate(&entry.imported, &values.complete(entry, &inputs), call.bindings());
            call.run_on(&mut block, None).expect("the step runs");
            let theirs = Tensor::from_f32([], &[step.loss]);
            for results in [evaluated.expect("no fault"), call.results()] {
                assert_eq!(difference(&results[0], &theirs, TOLERANCE), None, "{}, step {number}", norms.model);
            }
            let values = Values::of(&compiled.interface, Some(&block));
            let named = values.named(&compiled.interface);
            for (key, theirs) in &step.variables {
                let key = key.strip_suffix("/.ATTRIBUTES/VARIABLE_VALUE").expect("the key of a variable");
                let (_, value) = named.iter().find(|(name, _)| *name == key).unwrap_or_else(|| panic!("no {key}"));
                let theirs = Tensor::from_f32(value.shape.clone(), theirs);
                assert_eq!(difference(value, &theirs, TOLERANCE), None, "{}, step {number}, {key}", norms.model);
            }
        }
    }
}

/// Frozen norms keep their statistics, and only those that are named move.
#[test]
fn batch_norms_stay_where_they_are_frozen() {
    let state = |freeze: &[&str], only: &[&str]| -> Result<Vec<String>, String> {
        let list = |patterns: &[&str]| patterns.iter().map(|pattern| pattern.to_string()).collect();
        let training = training("sparse_categorical_crossentropy", "sgd");
        let batch_norm = "train".parse().expect("it is known");
        let wanted = Training { freeze: list(freeze), only: list(only), batch_norm, ..training };
        let compiled = compile("norms_fused", wanted)?;
        let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).expect("the object loads");
        let values = Values::of(&compiled.interface, code.state().expect("a state begins").as_ref());
        let named = values.named(&compiled.interface);
        Ok(named.iter().map(|(name, _)| name.to_string()).filter(|name| name.contains("moving")).collect())
    };
    assert_eq!(state(&[], &[]).unwrap().len(), 4);
    let first = state(&["layer_with_weights-1"], &[]).unwrap();
    assert!(first.len() == 2 && first.iter().all(|name| name.contains("weights-3")), "{first:?}");
    assert_eq!(state(&[], &["layer_with_weights-1"]).unwrap().len(), 2);
    let error = state(&["*moving*"], &[]).unwrap_err();
    assert!(error.contains("all batch norms of the signature are frozen"), "{error}");
}

/// Layers of images and words, with the gradients of TensorFlow: batch norms keep their statistics, and nothing is dropped.
#[test]
fn networks_learn_as_in_tensorflow() {
    let record: Record = serde_json::from_str(include_str!("../learn/steps.json")).expect("the record is JSON");
    for whole in &record.whole {
        let compiled = compile(&whole.model, training("sparse_categorical_crossentropy", "sgd:lr=0.1")).unwrap();
        let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).expect("the object loads");
        let mut block = code.state().expect("a state begins").expect("variables learn");
        let n = compiled.interface.signatures.iter().position(|s| s.key == "train_step").expect("a step");
        for (number, step) in whole.steps.iter().enumerate() {
            let x = Tensor::from_f32(whole.shape.clone(), &whole.x[number]);
            let x = match compiled.interface.signatures[n].inputs[0].ty.dtype {
                DType::F32 => x,
                dtype => Tensor::from_scalars(
                    dtype,
                    whole.shape.clone(),
                    x.scalars().map(|s| Scalar::from_i64(dtype, s.as_f64().unwrap() as i64)),
                ),
            };
            let inputs = [x, Tensor::from_i64([4], &record.classes[number])];
            let mut call = code.prepare(n, &inputs).expect("the inputs fit");
            call.run_on(&mut block, None).expect("the step runs");
            let close = Tolerance { ulps: 64.0, units: 16.0, signed_zeros: false };
            let theirs = Tensor::from_f32([], &[step.loss]);
            assert_eq!(difference(&call.results()[0], &theirs, close), None, "{} step {number}: loss", whole.model);
            let values = Values::of(&compiled.interface, Some(&block));
            let named = values.named(&compiled.interface);
            let mut ours: Vec<_> = named.iter().filter(|(name, _)| !name.starts_with("training/")).collect();
            assert_eq!(ours.len(), step.variables.len());
            for theirs in &step.variables {
                // Those of one size are told apart by which is near.
                let near = |value: &Tensor| {
                    let theirs = Tensor::from_f32(value.shape.clone(), theirs);
                    difference(value, &theirs, close)
                };
                let fits = |value: &Tensor| value.count() == theirs.len();
                let found = ours.iter().position(|(_, value)| fits(value) && near(value).is_none());
                let tell = || {
                    ours.iter()
                        .filter(|(_, value)| fits(value))
                        .map(|(name, value)| (name, near(value)))
                        .collect::<Vec<_>>()
                };
                let found = found.unwrap_or_else(|| panic!("{} step {number}: {:?}", whole.model, tell()));
                ours.remove(found);
            }
        }
    }
    assert!(record.whole.len() >= 2);
}

/// The workspace of a step is as small as the user says: with the same bits, in outputs and variables.
#[test]
fn steps_keep_within_a_limit_of_memory() {
    let record: Record = serde_json::from_str(include_str!("../learn/steps.json")).expect("the record is JSON");
    let mut smaller = 0;
    for whole in &record.whole {
        let within = |bytes: Option<u64>| {
            let memory = bytes.map(|bytes| Memory { bytes: Bytes(bytes), batch: None });
            let wanted = Training { memory, ..training("sparse_categorical_crossentropy", "adam") };
            let options = Options { batch: Some(4), keep_imported: false, ..options(wanted) };
            driver::compile(&open(&whole.model), &options, &mut |_| ()).map_err(|problems| problems.to_string())
        };
        let run = |compiled: driver::Compiled| {
            let n = compiled.interface.signatures.iter().position(|s| s.key == "train_step").expect("a step");
            let bytes = compiled.interface.signatures[n].workspace.as_int().expect("the batch is fixed") as u64;
            let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).expect("the object loads");
            let mut block = code.state().expect("a state begins").expect("variables learn");
            let results: Vec<Vec<Tensor>> = (0..whole.steps.len())
                .map(|number| {
                    let dtype = compiled.interface.signatures[n].inputs[0].ty.dtype;
                    let numbers = whole.x[number].iter().map(|&x| match dtype.is_float() {
                        true => Scalar::from_f64(dtype, x.into()),
                        false => Scalar::from_i64(dtype, x as i64),
                    });
                    let x = Tensor::from_scalars(dtype, whole.shape.clone(), numbers);
                    let inputs = [x, Tensor::from_i64([4], &record.classes[number])];
                    let mut call = code.prepare(n, &inputs).expect("the inputs fit");
                    call.run_on(&mut block, None).expect("the step runs");
                    call.results()
                })
                .collect();
            let values = Values::of(&compiled.interface, Some(&block));
            let named: Vec<(String, Tensor)> = values
                .named(&compiled.interface)
                .into_iter()
                .map(|(name, value)| (name.into(), value.clone()))
                .collect();
            (bytes, (results, named), compiled.notes.to_string())
        };
        let what = &whole.model;
        let (plain, expected, notes) = run(within(None).unwrap());
        assert!(!notes.contains("workspace"), "{what}: {notes}");
        let (same, values, notes) = run(within(Some(plain)).unwrap());
        assert!(same == plain && values == expected && !notes.contains("workspace"), "{what}: {notes}");
        let problem = within(Some(1)).err().expect("a byte is not enough");
        let least =
            problem.split("the least that was found is ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let least: u64 = least.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{what}: {problem}"));
        assert!(least <= plain && problem.contains("`--memory "), "{what}: {problem}");
        let (bytes, values, notes) = run(within(Some(least)).unwrap());
        assert!(bytes <= least, "{what}: {bytes} of {least}");
        assert!(values == expected, "{what} within {least}");
        assert_eq!(notes.contains(&format!("{plain} are needed otherwise")), least < plain, "{what}: {notes}");
        smaller += (least * 4 <= plain * 3) as usize;
    }
    assert!(smaller > 0);
}

/// A limit is a number, and so is what it limits.
#[test]
fn a_limit_needs_a_batch() {
    let memory = Memory { bytes: Bytes(64), batch: None };
    let wanted = Training { memory: Some(memory), ..training("mse", "sgd") };
    let problem = compile("linear", wanted.clone()).err().expect("the batch is open");
    assert!(problem.contains("`--memory` needs a number to limit") && problem.contains("`--batch N`"), "{problem}");
    let problem = compile("linear", wanted.in_steps_of(4)).err().expect("a line of a cache is not enough");
    assert!(problem.contains("`train_step` cannot do with 64 bytes of workspace"), "{problem}");
}

/// What stays frozen is a constant in every entry, and the evaluation changes nothing.
#[test]
fn frozen_layers_are_no_state() {
    let frozen = |only: &[&str], freeze: &[&str]| {
        let list = |patterns: &[&str]| patterns.iter().map(|p| p.to_string()).collect();
        let wanted = Training { only: list(only), freeze: list(freeze), ..training("mse", "sgd") };
        let compiled = compile("linear", wanted)?;
        let state = compiled.interface.state.as_ref().expect("variables learn");
        let mut counts: Vec<usize> = state
            .layout
            .slots
            .iter()
            .filter(|slot| !slot.name.starts_with("training/"))
            .map(|slot| slot.shape().iter().product())
            .collect();
        counts.sort();
        Ok::<_, String>(counts)
    };
    assert_eq!(frozen(&[], &[]), Ok(vec![3, 5, 15, 30]));
    assert_eq!(frozen(&[], &["first"]), Ok(vec![3, 15]));
    assert_eq!(frozen(&["last"], &["*bias*"]), Ok(vec![15]));
    assert!(frozen(&[], &["fisrt"]).unwrap_err().contains("no variable that learns matches `fisrt`"));
    assert!(frozen(&[], &["*"]).unwrap_err().contains("nothing learns"));
    let compiled = compile("linear", training("mse", "sgd")).unwrap();
    let changes =
        |key: &str| compiled.entries.iter().find(|e| e.key == key).unwrap().state.iter().any(|k| k.output.is_some());
    assert!(changes("train_step") && !changes("evaluate") && !changes("serving_default"));
}

/// What was learned, in a model that is loaded as any other: without what only training has.
#[test]
fn what_is_learned_becomes_a_model() {
    let model = open("linear");
    let compiled = compile("linear", training("mse", "adam")).unwrap();
    let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).unwrap();
    let mut block = code.state().unwrap().unwrap();
    let number = |key: &str| compiled.interface.signatures.iter().position(|s| s.key == key).unwrap();
    let x = Tensor::from_fn(DType::F32, [4, 6], |ix| Scalar::F32(ix[0] as f32 - 0.5 * ix[1] as f32));
    let inputs = [x.clone(), Tensor::from_f32([4, 3], &[0.5; 12])];
    code.prepare(number("train_step"), &inputs).unwrap().run_on(&mut block, None).unwrap();
    let values = Values::of(&compiled.interface, Some(&block));
    let named: Vec<_> =
        values.named(&compiled.interface).into_iter().map(|(n, t)| (n.to_string(), t.clone())).collect();
    let exported = driver::exported(&model, &named).unwrap();
    assert_eq!(exported.values.len(), 4);
    assert!(exported.notes.len() == 1 && exported.notes[0].message.contains("only training has"));
    let revised = saved::revise::with_values(&model, &exported.values).unwrap();
    let tuned = saved::Model::load(std::sync::Arc::new(revised), &saved::Options::default()).unwrap();
    let plain = |model: &saved::Model| {
        let options = Options { training: None, ..options(training("mse", "adam")) };
        let compiled = driver::compile(model, &options, &mut |_| ()).unwrap();
        let code = Executable::new(&compiled.object.bytes(), compiled.interface).unwrap();
        let mut call = code.prepare(0, std::slice::from_ref(&x)).unwrap();
        call.run(None).unwrap();
        call.results().remove(0)
    };
    let mut call = code.prepare(number("serving_default"), std::slice::from_ref(&x)).unwrap();
    call.run_on(&mut block, None).unwrap();
    let (ours, theirs) = (plain(&tuned), call.results().remove(0));
    assert_eq!(difference(&ours, &theirs, TOLERANCE), None);
    assert!(difference(&plain(&model), &theirs, TOLERANCE).is_some());
    // A state of another model.
    let other = open("recurrent");
    let tied = driver::exported(&other, &named);
    assert!(tied.and_then(|tied| saved::revise::with_values(&other, &tied.values)).is_err());
}

/// A class that does not exist stops the step, and nothing has changed.
#[test]
fn a_step_that_fails_changes_nothing() {
    let compiled = compile("softmax", training("sparse_categorical_crossentropy", "momentum")).unwrap();
    let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).unwrap();
    let mut block = code.state().unwrap().unwrap();
    let n = compiled.interface.signatures.iter().position(|s| s.key == "train_step").unwrap();
    let before = block.bytes().to_vec();
    let x = Tensor::from_fn(DType::F32, [4, 6], |ix| Scalar::F32(ix[0] as f32 - ix[1] as f32));
    for (class, fits) in [(3, false), (-1, false), (2, true)] {
        let inputs = [x.clone(), Tensor::from_i64([4], &[0, 1, class, 0])];
        let ran = code.prepare(n, &inputs).unwrap().run_on(&mut block, None);
        assert_eq!((ran.is_ok(), block.bytes() == before), (fits, !fits));
    }
}

/// Each for its reason; by name.
#[test]
fn what_cannot_be_trained_is_refused() {
    let told = |signature: &str, outputs: &[&str]| {
        let wanted = Options {
            signatures: vec![signature.into()],
            outputs: outputs.iter().map(|key| key.to_string()).collect(),
            ..options(training("mse", "sgd"))
        };
        driver::compile(&open("odd"), &wanted, &mut |_| ()).map(|_| ()).map_err(|problems| problems.to_string())
    };
    for (signature, expected) in [
        ("several", "which of them is compared with the targets is not known"),
        ("integers", "only floats learn"),
        ("nothing", "nothing learns"),
        ("scalar", "no axis of examples"),
        ("counts", "changes variables itself"),
        ("data_end", "a loop that data end has no derivative"),
        ("data_size", "data decide how large the output"),
        ("train_step", "which is the name of what training adds"),
        ("own_gradient", "has a gradient of its own"),
        ("own_gradient_in_a_branch", "has a gradient of its own"),
    ] {
        let problem = told(signature, &[]).expect_err(signature);
        assert!(problem.contains(expected), "{signature}: {problem}");
    }
    for signature in ["own_gradient_aside", "silu", "silu_of_factor"] {
        assert_eq!(told(signature, &[]), Ok(()), "{signature}");
    }
    assert_eq!(told("several", &["y"]), Ok(()));
    assert!(told("several", &["nothing"]).unwrap_err().contains("no signature has an output `nothing`"));
}

/// What the author does not train stays a constant, and what is held has no gradient.
#[test]
fn variables_that_are_not_trainable_are_no_state() {
    let learning = |model: &str, signature: &str| {
        let wanted = Options { signatures: vec![signature.into()], ..options(training("mse", "sgd")) };
        let compiled = driver::compile(&open(model), &wanted, &mut |_| ()).unwrap_or_else(|p| panic!("{p}"));
        let slots = compiled.interface.state.as_ref().expect("variables learn").layout.slots.clone();
        let names: Vec<String> = slots.into_iter().map(|slot| slot.name).collect();
        (names.into_iter().filter(|name| !name.starts_with("training/")).collect::<Vec<_>>(), compiled)
    };
    assert_eq!(learning("version_1", "serving_default").0, ["w"]);
    let (names, compiled) = learning("odd", "held");
    assert_eq!(names, ["w"]);
    // Half of the output is held: y = 2 x w + 1, whose slope is taken to be x.
    let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).unwrap();
    let mut block = code.state().unwrap().unwrap();
    let n = compiled.interface.signatures.iter().position(|s| s.key == "train_step").unwrap();
    let inputs = [Tensor::from_f32([1, 3], &[1.0, 0.0, 2.0]), Tensor::from_f32([1, 2], &[0.0, 7.0])];
    code.prepare(n, &inputs).unwrap().run_on(&mut block, None).unwrap();
    let values = Values::of(&compiled.interface, Some(&block));
    let named = values.named(&compiled.interface);
    let w = named.iter().find(|(name, _)| *name == "w").unwrap().1;
    // The mean of two squares: errors 7 and 0, a rate of 0.01.
    assert_eq!(difference(w, &Tensor::from_f32([3, 2], &[0.93, 1.0, 1.0, 1.0, 0.86, 1.0]), TOLERANCE), None);
}

/// A layer that the author froze stays as it is, by whatever lists the way of saving tells of it, unless it is named.
#[test]
fn layers_that_are_frozen_in_the_model_learn_where_they_are_named() {
    let learning = |model: &str, only: &[&str]| {
        let only = only.iter().map(ToString::to_string).collect();
        let wanted = options(Training { only, ..training("mse", "sgd") });
        let compiled = driver::compile(&open(&format!("frozen/{model}")), &wanted, &mut |_| ())?;
        let slots = &compiled.interface.state.as_ref().expect("variables learn").layout.slots;
        let count = slots.iter().filter(|slot| !slot.name.starts_with("training/")).count();
        Ok::<_, smc::base::Problems>((count, compiled.notes.to_string()))
    };
    for model in ["exported", "compiled", "keras_2"] {
        // Scale and offset of the normalisation, kernel and bias of the head.
        let (count, notes) = learning(model, &[]).unwrap();
        assert_eq!(count, 4, "{model}");
        assert!(notes.contains("and another variable do not learn: their layers are frozen"), "{model}: {notes}");
        let (count, notes) = learning(model, &["*"]).unwrap();
        assert_eq!(count, 6, "{model}: statistics do not learn by gradients");
        assert!(!notes.contains("frozen"), "{model}: {notes}");
    }
    let problem = learning("whole", &[]).unwrap_err().to_string();
    assert!(problem.contains("is frozen in the model: `--only` trains"), "{problem}");
    assert_eq!(learning("whole", &["head"]).unwrap().0, 2);
}
