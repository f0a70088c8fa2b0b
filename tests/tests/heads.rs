//! Models with another last layer (`tests/learn/heads.py`), by every route on which TensorFlow saves: the new model is loaded
//! like any, infers by the old features and the new weights, and learns.

use std::sync::Arc;

use smc::{
    driver::{self, Executable, Options, Training, Values},
    saved::{self, Model, revise::Head},
    tensor::{DType, Scalar, Tensor},
};
use smc_tests::layers::{activated, assert_near, dense, numbers, variables, write};

fn open(model: &str) -> Model {
    let folder = format!("{}/learn/heads/{model}", env!("CARGO_MANIFEST_DIR"));
    Model::open(folder, &saved::Options::default()).expect("the model opens")
}

fn options(output: Option<&str>) -> Options {
    Options {
        name: "m".into(),
        cpu: Some(smc_tests::cpu()),
        outputs: output.map(str::to_string).into_iter().collect(),
        ..Options::default()
    }
}

fn edited(model: &str, head: &str, output: Option<&str>) -> Result<Model, String> {
    let head: Head = head.parse().expect("a head");
    let revised =
        driver::with_head(&open(model), &options(output), &head, 3).map_err(|problems| problems.to_string())?;
    if let Ok(folder) = std::env::var("SMC_HEADS_TO") {
        write(&revised, &format!("{folder}/{model}@{head}"));
    }
    Model::load(Arc::new(revised), &saved::Options::default()).map_err(|problems| problems.to_string())
}

fn x() -> Tensor {
    Tensor::from_fn(DType::F32, [3, 6], |ix| Scalar::F32((ix[0] as f32 - 1.0) * 0.7 + ix[1] as f32 * 0.3 - 0.9))
}

/// Model, output, whether it has a bias, the activation of the first layer and that of the last one.
const MODELS: &[(&str, Option<&str>, bool, &str, &str)] = &[
    ("export", None, true, "relu", "softmax"),
    ("linear", None, false, "relu", "linear"),
    ("separate", None, true, "tanh", "softmax"),
    ("save", None, true, "relu", "softmax"),
    ("gelu", None, true, "relu", "gelu"),
    ("version_1", Some("shares"), true, "relu", "softmax"),
    ("references", Some("shares"), true, "relu", "softmax"),
    ("module", None, true, "relu", "linear"),
    ("keras_2", None, true, "relu", "softmax"),
    ("keras_2_separate", None, true, "tanh", "softmax"),
];

fn inferred(model: &Model, output: Option<&str>) -> Tensor {
    let compiled =
        driver::compile(model, &options(output), &mut |_| ()).unwrap_or_else(|problems| panic!("{problems}"));
    let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).expect("the object loads");
    let n = compiled.interface.signatures.iter().position(|s| s.key == "serving_default").expect("the signature");
    let mut call = code.prepare(n, &[x()]).expect("the input fits");
    call.run(None).expect("the call succeeds");
    call.results().remove(0)
}

#[test]
fn new_heads_take_the_old_features() {
    for &(model, output, has_bias, first, last) in MODELS {
        let old = variables(&open(model));
        for head in ["3", "7:softmax", "4:sigmoid", "2:linear", "1:tanh"] {
            let (units, activation) = head.split_once(':').unwrap_or((head, last));
            let who = format!("{model} --head {head}");
            if last == "gelu" && head.contains(':') {
                let told = edited(model, head, output).err().expect("gelu is several nodes");
                assert!(told.contains("is several nodes"), "{told}");
                continue;
            }
            let model = edited(model, head, output).unwrap_or_else(|problems| panic!("{who}: {problems}"));
            let new = variables(&model);
            assert_eq!(new.len(), old.len(), "{who}");
            let of = |shape: &[usize]| {
                let found = new.iter().find(|(_, value)| value.shape[..] == *shape);
                &found.unwrap_or_else(|| panic!("{who}: no variable is {shape:?}")).1
            };
            let units: usize = units.parse().unwrap();
            for (variable, value) in old.iter().filter(|(_, value)| value.shape[..] != [5, 4] && value.shape[..] != [4])
            {
                let kept = new.iter().find(|(own, _)| own.key == variable.key).expect("the variable stays");
                assert!(kept.1 == *value, "{who}: {}", variable.key);
            }
            let (kernel, bias) = (of(&[5, units]), has_bias.then(|| of(&[units])));
            assert!(bias.is_none_or(|bias| units == 5 || numbers(bias).iter().all(|x| *x == 0.0)), "{who}");
            let features = dense(&numbers(&x()), of(&[6, 5]), Some(of(&[5])), activated(first));
            let expected = dense(&features, kernel, bias, activated(activation));
            let signature = model.signature("serving_default").unwrap();
            let slot = signature.outputs.iter().find(|slot| output.is_none_or(|key| key == slot.key)).unwrap();
            assert_eq!(
                slot.ty.shape.0.as_ref().unwrap().last(),
                Some(&Some(units as u64)),
                "{who}: the signature's shape"
            );
            assert_near(&inferred(&model, output), &expected, &who);
        }
    }
}

/// The new layer learns, and the layer before it is what it was, bit by bit.
#[test]
fn new_heads_learn_on_frozen_features() {
    for &(name, output, _, _, last) in MODELS.iter().filter(|(_, _, _, _, last)| *last == "softmax") {
        let model = edited(name, "3", output).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        let (loss, optimizer) = ("sparse_categorical_crossentropy".parse().unwrap(), "adam:lr=0.05".parse().unwrap());
        let training = Training { freeze: vec!["*".into()], ..Training::new(loss, optimizer) };
        let before = variables(&model);
        let first: Vec<_> =
            before.iter().filter(|(_, value)| [&[6, 5][..], &[5]].contains(&&value.shape[..])).collect();
        let freeze = first.iter().map(|(variable, _)| variable.short_key().to_string()).collect();
        let wanted = Options { training: Some(Training { freeze, ..training }), ..options(output) };
        let compiled = driver::compile(&model, &wanted, &mut |_| ()).unwrap_or_else(|p| panic!("{name}: {p}"));
        let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).unwrap();
        let mut block = code.state().unwrap().expect("the head learns");
        let n = compiled.interface.signatures.iter().position(|s| s.key == "train_step").unwrap();
        let mut losses = vec![];
        for _ in 0..60 {
            let mut call = code.prepare(n, &[x(), Tensor::from_i64([3], &[0, 1, 2])]).unwrap();
            call.run_on(&mut block, None).unwrap();
            losses.push(call.results()[0].get(0).as_f64().unwrap());
        }
        assert!(losses[59] < losses[0] / 2.0, "{name}: {losses:?}");
        let values = Values::of(&compiled.interface, Some(&block));
        let named: Vec<_> =
            values.named(&compiled.interface).into_iter().filter(|(n, _)| !n.starts_with("training/")).collect();
        assert_eq!(named.len(), 2, "{name}: {:?}", named.iter().map(|(name, _)| name).collect::<Vec<_>>());
        let n = compiled.interface.signatures.iter().position(|s| s.key == "serving_default").unwrap();
        let mut call = code.prepare(n, &[x()]).unwrap();
        call.run_on(&mut block, None).unwrap();
        let of = |rank: usize| named.iter().find(|(_, value)| value.rank() == rank).unwrap().1;
        let old = |rank: usize| &first.iter().find(|(_, value)| value.rank() == rank).unwrap().1;
        let of_first = MODELS.iter().find(|(own, ..)| *own == name).unwrap().3;
        let features = dense(&numbers(&x()), old(2), Some(old(1)), activated(of_first));
        assert_near(&call.results()[0], &dense(&features, of(2), Some(of(1)), activated(last)), name);
    }
}

/// Each for its reason, by name.
#[test]
fn what_cannot_have_a_new_head_is_refused() {
    for (name, output, reason) in [
        ("odd_shared", None, "multiplies by the layer's 6 results or by its kernel in another way"),
        ("odd_twice", Some("y"), "the kernel of the last layer is used twice"),
        ("odd_nothing", None, "comes from Sum, which is no dense layer"),
        ("odd_reshaped", None, "Reshape stands between the last dense layer and the output"),
        ("odd_named", Some("y"), "looks up what belongs to one of the old classes"),
        ("odd_weighed", None, "puts the layer's 4 numbers together with others"),
        ("odd_transposed", None, "is transposed"),
        ("odd_two", None, "comes from two dense layers"),
        ("odd_silu", None, "has a gradient of its own"),
        ("odd_outputs", None, "come from two last layers"),
    ] {
        let told = edited(name, "3", output).err().unwrap_or_else(|| panic!("{name} is not refused"));
        assert!(told.contains(reason), "{name}: {told}");
    }
}

/// The same seed, the same bits; another seed, others.
#[test]
fn weights_follow_from_the_seed() {
    let weights = |seed: u64| {
        let revised = driver::with_head(&open("export"), &options(None), &"3".parse().unwrap(), seed).unwrap();
        let model = Model::load(Arc::new(revised), &saved::Options::default()).unwrap();
        variables(&model).into_iter().find(|(_, value)| value.shape[..] == [5, 3]).unwrap().1
    };
    assert!(weights(1) == weights(1) && weights(1) != weights(2));
}
