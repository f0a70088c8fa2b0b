//! Training in process (`driver::train::Fit`): losses and variables of Keras's `fit` (`tests/learn/fit.py`), and results that
//! depend on nothing but the examples, the course and the state.

use std::{collections::BTreeMap, ops::ControlFlow};

use serde::Deserialize;
use smc::{
    driver::{
        self, Executable, InputShape, Options, Training, Values,
        train::{Course, End, Event, Examples, Fit, Learned, STEP, fixed_batch},
    },
    saved,
    tensor::{DType, Scalar, Tensor},
};
use smc_runtime::{Parallel, Pool};
use smc_tests::compare::{Tolerance, difference};

#[derive(Deserialize)]
struct Recorded {
    model: String,
    loss: String,
    optimizer: String,
    batch: usize,
    epochs: usize,
    split: Option<f64>,
    patience: Option<usize>,
    shape: Vec<usize>,
    x: Vec<f32>,
    /// The second input, of the same shape.
    other: Option<Vec<f32>>,
    target: Vec<f64>,
    weights: Option<Vec<f32>>,
    validation: Option<HeldBack>,
    history: BTreeMap<String, Vec<f64>>,
    variables: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct HeldBack {
    x: Vec<f32>,
    target: Vec<f64>,
}

fn compile(model: &str, training: Training, shapes: Vec<InputShape>) -> (driver::Compiled, Executable) {
    let folder = format!("{}/learn/{model}", env!("CARGO_MANIFEST_DIR"));
    let model = saved::Model::open(folder, &saved::Options::default()).expect("the model opens");
    let options = Options {
        name: "m".into(),
        cpu: Some(smc_tests::cpu()),
        shapes,
        training: Some(training),
        ..Options::default()
    };
    let compiled = driver::compile(&model, &options, &mut |_| ()).unwrap_or_else(|problems| panic!("{problems}"));
    let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).expect("the object loads");
    (compiled, code)
}

fn training(loss: &str, optimizer: &str, weights: bool) -> Training {
    let loss = loss.parse().expect("a loss");
    Training { weights, ..Training::new(loss, optimizer.parse().expect("a rule")) }
}

fn examples(code: &Executable, arrays: Vec<Tensor>, weighted: bool) -> Result<Examples, String> {
    let step = code.interface().signatures.iter().find(|s| s.key == STEP).expect("a step");
    Examples::new(step, step.inputs.len() - 1 - usize::from(weighted), arrays).map_err(|problems| problems.to_string())
}

fn variables(code: &Executable, learned: &Learned) -> Vec<(String, Tensor)> {
    let values = Values::of(code.interface(), Some(learned.chosen()));
    let named = values.named(code.interface());
    named.into_iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
}

/// Inputs, and targets of which there is one for a row or one for each of three outputs.
fn arrays(shape: &[usize], x: &[f32], target: &[f64]) -> Vec<Tensor> {
    let rows = target.len() / if target.len() * shape[1..].iter().product::<usize>() == x.len() { 1 } else { 3 };
    let shape = [&[rows], &shape[1..]].concat();
    let target = match rows == target.len() {
        true => Tensor::from_i64([rows], &target.iter().map(|&class| class as i64).collect::<Vec<_>>()),
        false => Tensor::from_f32([rows, 3], &target.iter().map(|&value| value as f32).collect::<Vec<_>>()),
    };
    vec![Tensor::from_f32(shape, x), target]
}

#[test]
fn epochs_are_those_of_keras() {
    let records: Vec<Recorded> = serde_json::from_str(include_str!("../learn/fits.json")).expect("the record is JSON");
    for record in &records {
        let at = format!("{} by {}", record.model, record.optimizer);
        let weighted = record.weights.is_some();
        let (_, code) = compile(&record.model, training(&record.loss, &record.optimizer, weighted), vec![]);
        let mut given = arrays(&record.shape, &record.x, &record.target);
        if let Some(other) = &record.other {
            given.insert(1, Tensor::from_f32(record.shape.clone(), other));
        }
        given.extend(record.weights.as_ref().map(|weights| Tensor::from_f32([weights.len()], weights)));
        let mut given = examples(&code, given, weighted).unwrap();
        let held_back = record.validation.as_ref();
        let mut validation =
            held_back.map(|held| examples(&code, arrays(&record.shape, &held.x, &held.target), weighted).unwrap());
        if let Some(share) = record.split {
            let (stay, rest) = given.split(share).unwrap();
            (given, validation) = (stay, Some(rest));
        }
        let course = Course { epochs: record.epochs, batch: record.batch, seed: None, patience: record.patience };
        let fit = Fit {
            executable: &code,
            examples: &given,
            validation: validation.as_ref(),
            course: &course,
            threads: None,
        };
        let mut learned = Learned::nothing(&code).unwrap();
        let end = fit.run(&mut learned, &mut |_, _| Ok(ControlFlow::Continue(()))).unwrap();
        let epochs = &learned.progress.epochs;
        assert_eq!(epochs.len(), record.history["loss"].len(), "{at}");
        assert_eq!(end == End::NoBetter, epochs.len() < record.epochs, "{at}");
        for (n, epoch) in epochs.iter().enumerate() {
            let ours = [
                ("loss", Some(epoch.training.loss)),
                ("accuracy", epoch.training.accuracy),
                ("val_loss", epoch.validation.map(|score| score.loss)),
                ("val_accuracy", epoch.validation.and_then(|score| score.accuracy)),
            ];
            for (name, ours) in ours {
                let theirs = record.history.get(name).map(|values| values[n]);
                let near = |(a, b): (f64, f64)| (a - b).abs() <= 1e-5 * (1.0 + b.abs());
                assert_eq!(ours.is_some(), theirs.is_some(), "{at}: {name}");
                assert!(ours.zip(theirs).is_none_or(near), "{at}, epoch {n}: {name} {ours:?} {theirs:?}");
            }
        }
        let close = Tolerance { ulps: 256.0, units: 64.0, signed_zeros: false };
        let mut ours = variables(&code, &learned);
        ours.retain(|(name, _)| !name.starts_with("training/"));
        assert_eq!(ours.len(), record.variables.len(), "{at}");
        for theirs in &record.variables {
            // No two have as many elements.
            let (name, value) = ours.iter().find(|(_, value)| value.count() == theirs.len()).expect("a variable");
            let theirs = Tensor::from_f32(value.shape.clone(), theirs);
            assert_eq!(difference(value, &theirs, close), None, "{at}: {name}");
        }
    }
    assert!(records.len() >= 5 && records.iter().any(|record| record.patience.is_some()));
}

/// 21 examples whose class is the place of their greatest number.
fn classes() -> Vec<Tensor> {
    let number = |ix: &[usize]| ((ix[0] * 7 + ix[1] * 5) % 11) as f32 / 5.0 - 1.0;
    let x = Tensor::from_fn(DType::F32, [21, 6], |ix| Scalar::F32(number(ix)));
    let class = |row: usize| (0..3).max_by(|&a, &b| number(&[row, a]).total_cmp(&number(&[row, b]))).unwrap() as i64;
    vec![x, Tensor::from_i64([21], &(0..21).map(class).collect::<Vec<_>>())]
}

const LOSS: &str = "sparse_categorical_crossentropy";

/// What is learned in one go, on one thread.
fn learn(
    code: &Executable,
    course: &Course,
    threads: Option<&dyn Parallel>,
    stop: &dyn Fn(usize, Event) -> bool,
) -> Learned {
    let given = examples(code, classes(), false).unwrap();
    let (given, held_back) = given.split(0.3).unwrap();
    let fit = Fit { executable: code, examples: &given, validation: Some(&held_back), course, threads };
    let mut learned = Learned::nothing(code).unwrap();
    let mut events = 0;
    loop {
        let end = fit.run(&mut learned, &mut |event, _| {
            events += 1;
            Ok(if stop(events, event) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        if end.unwrap() != End::Stopped {
            return learned;
        }
        // As a file keeps it.
        let kept = |block| code.load(&code.save(block).unwrap()).unwrap();
        let progress = serde_json::to_string(&learned.progress).unwrap();
        learned = Learned {
            state: kept(&learned.state),
            best: learned.best.as_ref().map(kept),
            progress: serde_json::from_str(&progress).unwrap(),
        };
    }
}

#[test]
fn neither_stops_nor_threads_change_a_bit() {
    let (_, code) = compile("softmax", training(LOSS, "adam:lr=0.05", false), vec![]);
    let course = Course { epochs: 6, batch: 4, seed: Some(5), patience: Some(2) };
    let whole = learn(&code, &course, None, &|_, _| false);
    assert!(whole.progress.epochs.len() > 1);
    let pool = Pool::new(3).unwrap();
    let same = |other: Learned| {
        assert!(other.state.bytes() == whole.state.bytes() && other.chosen().bytes() == whole.chosen().bytes());
        assert_eq!(other.progress, whole.progress);
    };
    // A validation that is stopped begins again.
    same(learn(&code, &course, None, &|_, event| !matches!(event, Event::Validation { .. })));
    same(learn(&code, &course, Some(&pool), &|n, _| n % 3 == 0));
    let one = Course { epochs: 1, ..course.clone() };
    let mut asked = false;
    let given = examples(&code, classes(), false).unwrap();
    let fit = Fit { executable: &code, examples: &given, validation: None, course: &one, threads: None };
    let end = fit.run(&mut Learned::nothing(&code).unwrap(), &mut |event, _| {
        asked |= matches!(event, Event::Epoch);
        Ok(if asked { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    assert_eq!((asked, end.unwrap()), (true, End::Finished));
    let other = learn(&code, &Course { seed: Some(6), ..course.clone() }, None, &|_, _| false);
    assert!(other.state.bytes() != whole.state.bytes(), "the seed changes nothing");
    let none = learn(&code, &Course { seed: None, ..course }, None, &|_, _| false);
    assert!(none.state.bytes() != whole.state.bytes(), "nothing is shuffled");
}

/// The state behind the best epoch is what counts, as with Keras's `restore_best_weights`.
#[test]
fn patience_keeps_the_best_epoch() {
    let (_, code) = compile("softmax", training(LOSS, "adam:lr=0.5", false), vec![]);
    let course = Course { epochs: 60, batch: 4, seed: Some(0), patience: Some(3) };
    let learned = learn(&code, &course, None, &|_, _| false);
    let best = learned.progress.best().unwrap();
    assert_eq!(learned.progress.epochs.len(), best + 4, "{:?}", learned.progress);
    let until = Course { epochs: best + 1, patience: None, ..course };
    let then = learn(&code, &until, None, &|_, _| false);
    assert!(learned.chosen().bytes() == then.state.bytes() && learned.state.bytes() != then.state.bytes());
}

/// What stops a training says where it was, and why.
#[test]
fn training_that_fails_says_where() {
    let told = |optimizer: &str, spoil: &dyn Fn(&mut Vec<Tensor>)| {
        let (_, code) = compile("softmax", training(LOSS, optimizer, false), vec![]);
        let mut arrays = classes();
        spoil(&mut arrays);
        let given = examples(&code, arrays, false).unwrap();
        let course = Course { epochs: 9, batch: 8, seed: None, patience: None };
        let fit = Fit { executable: &code, examples: &given, validation: None, course: &course, threads: None };
        let mut learned = Learned::nothing(&code).unwrap();
        fit.run(&mut learned, &mut |_, _| Ok(ControlFlow::Continue(()))).unwrap_err().to_string()
    };
    let row_17 = |arrays: &mut Vec<Tensor>| {
        arrays[0] = Tensor::from_fn(DType::F32, [21, 6], |ix| Scalar::F32(if ix == [17, 2] { f32::NAN } else { 0.5 }));
    };
    let told_17 = told("adam", &row_17);
    assert!(told_17.contains("epoch 1, step 3 of 3: the loss is NaN") && told_17.contains("row 17"), "{told_17}");
    let far = told("sgd:lr=1e30", &|_| ());
    assert!(far.contains("epoch 1, step ") && far.contains("smaller learning rate"), "{far}");
    let label = told("adam", &|arrays| arrays[1] = Tensor::from_i64([21], &(0..21).map(|n| n / 5).collect::<Vec<_>>()));
    assert!(label.contains("step 2 of 3") && label.contains("the targets are from 0 to 4"), "{label}");
    // The loss of a last step says nothing about what the step leaves.
    let large = Tensor::from_fn(DType::F32, [8, 6], |ix| Scalar::F32(100.0 - ix[0] as f32));
    let last = told("sgd:lr=3e38", &|arrays| *arrays = vec![large.clone(), first_rows(&arrays[1], 8)]);
    assert!(last.contains("is not finite any more behind the last step of epoch 1"), "{last}");
}

fn first_rows(array: &Tensor, rows: usize) -> Tensor {
    let shape = [&[rows], &array.shape[1..]].concat();
    let bytes = rows * array.bytes().len() / array.shape[0];
    Tensor::from_bytes(array.dtype, shape, array.bytes()[..bytes].to_vec())
}

/// A model that takes a fixed number of examples leaves out the rest.
#[test]
fn fixed_batches_leave_out_the_rest() {
    let (_, code) = compile("softmax", training(LOSS, "adam", false), vec!["x=4,6".parse().unwrap()]);
    let step = code.interface().signatures.iter().find(|s| s.key == STEP).unwrap();
    assert_eq!(fixed_batch(step), Some(4));
    let given = examples(&code, classes(), false).unwrap();
    assert_eq!((given.batches(4), given.left_over(4)), (5, 1));
    let course = Course { epochs: 2, batch: 4, seed: Some(1), patience: None };
    let fit = Fit { executable: &code, examples: &given, validation: Some(&given), course: &course, threads: None };
    let mut steps = vec![];
    let end = fit.run(&mut Learned::nothing(&code).unwrap(), &mut |event, _| {
        if let Event::Step { epoch, step, of, rows, .. } = event {
            steps.push((epoch, step, of, rows));
        }
        Ok(ControlFlow::Continue(()))
    });
    assert_eq!(end.unwrap(), End::Finished);
    assert_eq!((steps.len(), steps[9]), (10, (2, 5, 5, 4)));
    let few = classes().iter().map(|array| first_rows(array, 3)).collect();
    assert!(examples(&code, few, false).unwrap_err().contains("takes 4 examples at a time, and there are 3"));
    let (_, open) = compile("softmax", training(LOSS, "adam", false), vec![]);
    let none = classes().iter().map(|array| first_rows(array, 0)).collect();
    assert!(examples(&open, none, false).unwrap_err().contains("there are no examples"));
    let unequal = vec![classes()[0].clone(), first_rows(&classes()[1], 20)];
    assert!(examples(&open, unequal, false).unwrap_err().contains("where examples = 21"));
    assert!(examples(&open, classes(), false).unwrap().split(0.99).is_err());
}
