//! Programs with branches, loops and lists that data decide, in the form of TensorFlow 2 (`tests/models/flow.py`) and of
//! TensorFlow 1 (`flow1.py`), and others that draw random numbers (`chance.py`): each signature computes what TensorFlow did,
//! and refuses what TensorFlow refuses, by all executions.

use smc::tf;
use smc_tests::answers::{Call, calls_agree, each_program, operators, refuses};

/// Each row for branches, loops and lists is in a program.
#[test]
fn programs_have_all_operators() {
    let found = operators(&["flow", "flow1"]);
    let is_flow = |op: &str| {
        op == "EmptyTensorList"
            || op.starts_with("TensorList")
            || op.starts_with("TensorArray")
            || op.ends_with("While")
            || op.ends_with("Case")
            || op.ends_with("If")
    };
    let missing: Vec<&str> = tf::ops().map(|op| op.name).filter(|op| is_flow(op) && !found.contains(*op)).collect();
    assert!(missing.is_empty(), "no program of tests/models/flow.py or flow1.py has {missing:?}");
}

#[test]
fn what_is_refused_is_told_by_name() {
    refuses(
        "flow",
        &[
            ("growth", &["of the loop is a f32[batch,3] before", "its type changes", "tf.TensorArray"]),
            ("defined", &["of the loop is a f32[0,3] before", "its type changes"]),
            ("seen", &["of the loop is a f32[0,3] before", "its type changes"]),
            ("prefixes", &["the extent", "changes with each iteration of the loop", "mask"]),
            ("list_of_data", &["has no bound", "maximum_iterations"]),
            ("endless", &["the loop never ends"]),
            (
                "shapes_of_branches",
                &["result 0 of the branches (output `y`) is a f32[3] in one of them and a f32[batch,3] in another"],
            ),
            (
                "extents_of_branches",
                &["the extents of result 0 of the branches (output `y`) must be equal", "3", "2", "pad it, or mask it"],
            ),
            ("map", &["operator EmptyTensorMap is not supported yet"]),
            ("inside", &["operator Lgamma is not", "operator Digamma is not", "cond/Lgamma", "cond/cond/Digamma"]),
            ("unset", &["no element of the list was set", "element_shape="]),
        ],
    );
}

#[test]
fn what_is_refused_of_version_1_is_told_by_name() {
    refuses(
        "flow1",
        &[
            ("growth", &["of the loop is a f32[batch,3] before", "its type changes"]),
            (
                "unpaired",
                &[
                    "refused_unpaired/Switch",
                    "branch depends on the values of input `a`, and no Merge joins its two sides",
                ],
            ),
            ("one_side", &["refused_one_side/Switch", "branch depends on the values of input `b`"]),
            ("two_writers", &["two nodes write to one array beside each other", "array = array.write(i, x)"]),
            ("writer_by_control", &["TensorArrayWriteV3 changes an array here, and nobody reads the flow"]),
            ("race", &["several operands of this Merge are computed in every call", "refused_race/Merge"]),
            ("gradient", &["has no bound", "maximum_iterations"]),
            ("triangle", &["has no bound", "maximum_iterations"]),
            ("empty_stack", &["StackPopV2_1", "the length of a list of which one is taken: 1 is more than 0"]),
            ("full_stack", &["StackPushV2_1", "the length of a list and its limit: 2 is more than 1"]),
        ],
    );
}

#[test]
fn programs_answer_as_tensorflow_does() {
    check("flow");
}

#[test]
fn programs_of_version_1_answer_as_tensorflow_does() {
    check("flow1");
}

#[test]
fn programs_draw_the_same_numbers() {
    check("chance");
}

fn check(name: &str) {
    each_program(name, |model, program, calls: &Vec<Call>| calls_agree(model, program, calls, &tf::Options::default()));
}
