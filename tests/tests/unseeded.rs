//! Operators that draw random numbers without a seed (`tests/models/unseeded.py`): the caller's seed decides, and what is drawn has
//! the law that it should have.

use std::collections::BTreeMap;

use smc::{
    driver::{self, Block, Executable, Options},
    tensor::Tensor,
};
use smc_tests::answers::open;

/// The signatures compiled together, and a state.
struct Program {
    code: Executable,
    block: Block,
}

impl Program {
    fn new() -> Program {
        let options = Options { name: "m".into(), cpu: Some(smc_tests::cpu()), ..Options::default() };
        let compiled = driver::compile(&open("unseeded"), &options, &mut |_| ()).unwrap_or_else(|e| panic!("{e}"));
        let code = Executable::new(&compiled.object.bytes(), compiled.interface).unwrap();
        let block = code.state().unwrap().expect("what draws numbers has a state");
        Program { code, block }
    }
    fn seed(&mut self, seed: u64) {
        self.code.seed(&mut self.block, seed).unwrap();
    }
    /// The outputs of a signature by name.
    fn call(&mut self, signature: &str, inputs: &[Tensor]) -> BTreeMap<String, Vec<f64>> {
        let signatures = &self.code.interface().signatures;
        let n = signatures.iter().position(|s| s.key == signature).expect("every signature compiles");
        let mut call = self.code.prepare(n, inputs).unwrap_or_else(|e| panic!("{e}"));
        call.run_on(&mut self.block, None).unwrap_or_else(|e| panic!("{e}"));
        let numbers = |t: Tensor| t.scalars().map(|x| x.as_f64().expect("a number")).collect();
        signatures[n].outputs.iter().map(|t| t.key.clone()).zip(call.results().into_iter().map(numbers)).collect()
    }
    /// So many numbers of each law.
    fn laws(&mut self, many: usize) -> BTreeMap<String, Vec<f64>> {
        self.call("laws", &[Tensor::from_f32([many], &vec![0.0; many])])
    }
    /// What an input of three numbers gives.
    fn of_three(&mut self, signature: &str) -> BTreeMap<String, Vec<f64>> {
        self.call(signature, &[Tensor::from_f32([3], &[1.0, 2.0, 3.0])])
    }
}

fn moments(numbers: &[f64]) -> (f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    (mean, numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n)
}

/// Means and variances are those of the laws, within five times what chance allows.
#[test]
fn numbers_have_their_laws() {
    let mut program = Program::new();
    for seed in [0, 7, 1 << 63] {
        program.seed(seed);
        let many = 20_000;
        let drawn = program.laws(many);
        // The variance of a normal number that is less than 2 in size.
        let truncated = 0.773_741;
        for (name, mean, variance) in [
            ("uniform", 0.5, 1.0 / 12.0),
            ("another", 0.5, 1.0 / 12.0),
            ("normal", 3.0, 4.0),
            ("truncated", 0.0, truncated),
            ("die", 3.5, 35.0 / 12.0),
            ("gamma", 4.0, 4.0),
            ("poisson", 6.0, 6.0),
            ("class", 0.75, 0.75 * 0.25),
            ("dropped", 1.0, 1.0 / 3.0),
            ("any", 2f64.powi(63), 2f64.powi(128) / 12.0),
        ] {
            let (found_mean, found_variance) = moments(&drawn[name]);
            let off = (found_mean - mean).abs() / (variance / many as f64).sqrt();
            assert!(off < 5.0, "{name}, seed {seed}: the mean is {found_mean}, not {mean}");
            // Of these laws, gamma and Poisson numbers have the heaviest tails.
            let off = (found_variance / variance - 1.0).abs() * (many as f64 / 4.5).sqrt();
            assert!(off < 5.0, "{name}, seed {seed}: the variance is {found_variance}, not {variance}");
        }
        let mut order = drawn["order"].clone();
        assert!(order.windows(2).any(|pair| pair[0] > pair[1]), "nothing is shuffled");
        order.sort_by(f64::total_cmp);
        assert!(order.iter().enumerate().all(|(n, &row)| row == n as f64));
        // Two operators of one law have nothing to do with each other.
        let both = drawn["uniform"].iter().zip(&drawn["another"]).map(|(a, b)| (a - 0.5) * (b - 0.5));
        let correlation = both.sum::<f64>() / many as f64 * 12.0;
        assert!(correlation.abs() < 5.0 / (many as f64).sqrt(), "seed {seed}: {correlation}");
    }
}

#[test]
fn the_seed_decides() {
    let mut program = Program::new();
    let first = program.laws(50);
    let second = program.laws(50);
    // A state begins with the seed 0, and calls go on in the stream.
    for (name, numbers) in &first {
        assert_ne!(numbers, &second[name], "{name} does not go on");
    }
    program.seed(0);
    assert_eq!((program.laws(50), program.laws(50)), (first.clone(), second));
    program.seed(1);
    let other = program.laws(50);
    for (name, numbers) in &first {
        assert_ne!(numbers, &other[name], "{name} does not follow from the seed");
    }
    assert_ne!(first["uniform"], first["another"], "two operators draw the same");
    // Another state knows nothing of this one's seed.
    let fresh = program.code.state().unwrap().unwrap();
    let seeded = std::mem::replace(&mut program.block, fresh);
    assert_eq!(program.laws(50), first);
    // A saved state goes on where it was.
    let saved = program.code.save(&seeded).unwrap();
    program.block = seeded;
    let next = program.laws(50);
    program.block = program.code.load(&saved).unwrap();
    assert_eq!(program.laws(50), next);
}

#[test]
fn loops_and_branches_draw_on() {
    let mut program = Program::new();
    let n = |n| Tensor::from_scalars(smc::tensor::DType::I32, [], [smc::tensor::Scalar::Int(n)]);
    let loops = |program: &mut Program, k: i64| program.call("bodies", &[n(k)]);
    let (four, two) = (loops(&mut program, 4), loops(&mut program, 2));
    program.seed(0);
    assert_eq!(loops(&mut program, 4), four);
    assert_eq!(loops(&mut program, 2), two);
    // The second loop's sum in parts.
    program.seed(0);
    let parts: Vec<Vec<f64>> = (0..4).map(|_| loops(&mut program, 1).remove("y").unwrap()).collect();
    for (axis, whole) in four["y"].iter().enumerate() {
        let sum: f64 = parts.iter().map(|part| part[axis]).sum();
        assert!((sum - whole).abs() < 1e-5, "{sum} is not {whole}");
        assert!(parts.windows(2).all(|pair| pair[0][axis] != pair[1][axis]));
    }
    assert_ne!(four["x"], four["y"]);
}

/// A seed concerns neither seeds of the model nor other variables.
#[test]
fn what_has_a_seed_keeps_it() {
    let mut program = Program::new();
    let first = program.of_three("train");
    program.seed(3);
    let second = program.of_three("train");
    let again = {
        let mut other = Program::new();
        let first = other.of_three("train");
        (first, other.of_three("train"))
    };
    assert_eq!(first, again.0);
    assert_eq!(second["seeded"], again.1["seeded"], "an operator with a seed begins anew");
    assert_ne!(second["free"], again.1["free"]);
    // Two assignments, which a seed leaves alone.
    assert_eq!(program.of_three("serve")["z"], [3.0, 6.0, 9.0]);
}

/// What follows from such numbers, also by way of variables, is known.
#[test]
fn outputs_that_nobody_can_record_are_known() {
    let options = Options { keep_imported: true, ..Options::default() };
    let (entries, notes) = driver::entries(&open("unseeded"), &options).unwrap_or_else(|e| panic!("{e}"));
    assert!(!notes.has_errors(), "{notes}");
    let drawn = driver::unseeded_outputs(&entries);
    let names = |key: &str| -> Vec<String> {
        let n = entries.iter().position(|entry| entry.key == key).unwrap();
        let results =
            entries[n].imported.outputs.len() - entries[n].state.iter().filter(|k| k.output.is_some()).count();
        let ports = entries[n].imported.outputs[..results].iter().zip(&drawn[n]);
        ports.filter(|(_, drawn)| **drawn).map(|(port, _)| port.name.clone()).collect()
    };
    assert_eq!(names("train"), ["free"]);
    assert_eq!(names("serve"), ["y"]);
    assert_eq!(names("bodies"), ["x", "y"]);
    assert_eq!(names("laws").len(), 11);
}

/// A block of another model is refused, and nothing is touched.
#[test]
fn foreign_blocks_are_not_seeded() {
    let program = Program::new();
    let options = Options { name: "m".into(), cpu: Some(smc_tests::cpu()), ..Options::default() };
    let model = smc::saved::Model::open(smc_tests::programs::root().join("examples/mean/model"), &Default::default());
    let compiled = driver::compile(&model.unwrap(), &options, &mut |_| ()).unwrap_or_else(|e| panic!("{e}"));
    let foreign = Executable::new(&compiled.object.bytes(), compiled.interface).unwrap();
    let mut block = foreign.state().unwrap().unwrap();
    let before = block.clone();
    let refused = program.code.seed(&mut block, 5).unwrap_err().to_string();
    assert!(refused.contains("this is no state of the model") && block.bytes() == before.bytes(), "{refused}");
    // A model with a seed for everything takes one, and nothing changes.
    foreign.seed(&mut block, 5).unwrap();
    assert!(block.bytes() == before.bytes());
}
