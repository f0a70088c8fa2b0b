//! Programs with sizes that data decide (`tests/models/sizes.py`): each signature computes what TensorFlow did, and refuses
//! what TensorFlow refuses, by all executions.

use std::collections::BTreeMap;

use serde::Deserialize;
use smc::tf;
use smc_tests::answers::{Call, calls_agree, each_program, refuses};

#[derive(Deserialize)]
struct Answers {
    bounds: BTreeMap<String, u64>,
    calls: Vec<Call>,
}

#[test]
fn programs_answer_as_tensorflow_does() {
    each_program("sizes", |model, program, Answers { bounds, calls }: &Answers| {
        let options = tf::Options { bounds: bounds.clone(), ..Default::default() };
        calls_agree(model, program, calls, &options)
    });
}

#[test]
fn what_is_refused_is_told_by_name() {
    refuses(
        "sizes",
        &[
            ("no_bound", &["the number of elements of Range", "input `n`", "nothing bounds it", "`--bound n=MAX`"]),
            ("leaves_a_branch", &["the extents of result 0 of the branches depend on values within a branch"]),
            ("shrinks_in_a_loop", &["of the loop is a f32[batch] before", "its type changes", "tf.TensorArray"]),
            ("elements_of_a_list", &["elements that the loop adds to the list", "data decide", "by tf.pad"]),
        ],
    );
}
