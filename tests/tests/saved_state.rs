//! Programs that assign variables (`tests/models/state.py`): calls in order give what TensorFlow gave, by the evaluator, by
//! entry programs and by machine code, and leave the same variables behind.

use smc::{
    driver::{self, Block, Compiled, Executable, Options, Values},
    graph::evaluate,
    saved::{Model, graph::has_effect, has_generator},
    tensor::Tensor,
    tf,
};
use smc_tests::{
    answers::{Call, TOLERANCE, each_program, open, operators, show},
    compare::difference,
};

/// The signatures of a program, compiled together.
fn compile(model: &Model, program: &str) -> Result<Compiled, String> {
    let is_own = |name: &str| name.split_once("__").is_some_and(|(own, _)| own == program);
    let signatures = model.signatures().iter().map(|s| s.name.clone()).filter(|name| is_own(name)).collect();
    let options = Options {
        name: "m".into(),
        signatures,
        cpu: Some(smc_tests::cpu()),
        keep_imported: true,
        ..Options::default()
    };
    driver::compile(model, &options, &mut |_| ()).map_err(|problems| problems.to_string())
}

/// A program with its variables, as the evaluator and as machine code has them.
struct Program {
    compiled: Compiled,
    code: Executable,
    values: Values,
    block: Option<Block>,
}

impl Program {
    fn new(compiled: Compiled) -> Program {
        let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).expect("the object loads");
        let block = code.state().expect("a state begins");
        let values = Values::of(&compiled.interface, block.as_ref());
        Program { compiled, code, values, block }
    }

    /// What is wrong with the answers of a call, or with the variables behind it.
    fn compare(&mut self, program: &str, call: &Call) -> Option<String> {
        let key = format!("{program}__{}", call.function);
        let n = self.compiled.interface.signatures.iter().position(|s| s.key == key).expect("every signature compiles");
        let signature = &self.compiled.interface.signatures[n];
        let inputs: Vec<Tensor> = signature.inputs.iter().map(|t| call.inputs[&t.key].tensor()).collect();
        let mut prepared = match self.code.prepare(n, &inputs) {
            Ok(prepared) => prepared,
            Err(problems) => return Some(problems.to_string()),
        };
        let entry = &self.compiled.entries[n];
        let evaluated = evaluate(&entry.imported, &self.values.complete(entry, &inputs), prepared.bindings());
        let evaluated = evaluated.map(|outputs| self.values.take(entry, outputs)).map_err(|fault| format!("{fault:?}"));
        let before = self.block.clone();
        let ran = match &mut self.block {
            Some(block) => prepared.run_on(block, None),
            None => prepared.run(None),
        };
        let ran = ran.map(|()| prepared.results()).map_err(|fault| fault.to_string());
        if ran.is_err() && before.as_ref().map(Block::bytes) != self.block.as_ref().map(Block::bytes) {
            return Some("a call that failed changed the state".into());
        }
        for (what, results) in [("evaluator", evaluated), ("machine code", ran)] {
            let wrong = call.judge(signature.outputs.iter().map(|port| &port.key[..]), results);
            if let Some(wrong) = wrong {
                return Some(format!("{what}: {wrong}"));
            }
        }
        let ours = Values::of(&self.compiled.interface, self.block.as_ref());
        let pairs = ours.named(&self.compiled.interface).into_iter().zip(self.values.named(&self.compiled.interface));
        let differ = |((name, a), (_, b)): ((&str, &Tensor), (&str, &Tensor))| {
            Some(format!("variable {name}: {}", difference(a, b, TOLERANCE)?))
        };
        pairs.into_iter().find_map(differ)
    }
}

/// Each row that assigns a variable is in a program.
#[test]
fn programs_have_all_operators() {
    let found = operators(&["state", "state_v1", "optimisers", "optimisers_v1", "generators", "unseeded"]);
    let assigns = |op: &str| {
        op.contains("Assign")
            || op.contains("Apply") && has_effect(op)
            || op.ends_with("CountUpTo")
            || has_generator(op)
            || op.starts_with("Rng")
            || op.starts_with("Stateful") && has_effect(op)
            || tf::ops().any(|row| row.name == op)
                && op.contains("Scatter")
                && has_effect(op)
                && !op.starts_with("TensorArray")
    };
    let missing: Vec<&str> = tf::ops().map(|op| op.name).filter(|op| assigns(op) && !found.contains(*op)).collect();
    assert!(missing.is_empty(), "no program of state.py, optimisers.py, generators.py or unseeded.py has {missing:?}");
}

/// Steps of optimisers change several variables at once.
#[test]
fn optimisers_change_variables_as_tensorflow_does() {
    answers_agree("optimisers");
}

#[test]
fn optimisers_of_version_1_change_variables_as_tensorflow_does() {
    answers_agree("optimisers_v1");
}

#[test]
fn programs_answer_as_tensorflow_does() {
    answers_agree("state");
}

/// Variables of the old kind are read where their users run.
#[test]
fn programs_of_version_1_answer_as_tensorflow_does() {
    answers_agree("state_v1");
}

/// Generators of random numbers keep their place in a variable.
#[test]
fn generators_draw_the_same_numbers() {
    answers_agree("generators");
}

/// Loops and branches in the form of TensorFlow 1 have nodes of the same names, each with a generator of its own.
#[test]
fn generators_of_version_1_draw_the_same_numbers() {
    answers_agree("generators_v1");
}

/// What TensorFlow may do in either order is refused.
#[test]
fn open_orders_are_refused() {
    let model = open("state_v1");
    for (name, expected) in [
        ("racy", "variable `racy` is assigned by Assign `Assign"),
        ("lent", "variable `lent` is read without a copy, and may be assigned by AssignAdd"),
        ("branch_lent", "variable `branch_lent` is read without a copy, and may be assigned by AssignAdd"),
        ("loop_lent", "variable `loop_lent` is read without a copy, and may be assigned by While"),
        ("loop_carried", "variable `loop_carried` is read without a copy, and may be assigned by AssignAdd"),
        ("branch_racy", "variable `branch_racy` is assigned by Assign"),
        ("snapshot", "variable `snapshot` is read without a copy, and may be assigned by Assign"),
    ] {
        let options = Options { name: "m".into(), signatures: vec![format!("refused__{name}")], ..Options::default() };
        let said = match driver::compile(&model, &options, &mut |_| ()) {
            Ok(_) => "nothing".into(),
            Err(problems) => problems.to_string(),
        };
        assert!(said.contains(expected), "{name}: {said}");
    }
}

fn answers_agree(model: &str) {
    each_program(model, |model, name, calls: &Vec<Call>| {
        let mut program = match compile(model, name) {
            Ok(compiled) => Program::new(compiled),
            Err(problems) => return vec![problems],
        };
        program.compiled.entries.iter().for_each(|entry| show(&entry.imported));
        let compare = |(n, call): (usize, &Call)| {
            program.compare(name, call).map(|what| format!("call {n} of {}: {what}", call.function))
        };
        calls.iter().enumerate().filter_map(compare).collect()
    });
}
