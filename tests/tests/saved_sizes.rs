//! Programs with sizes that data decide (`tests/models/sizes.py`): each signature computes what TensorFlow did, and refuses
//! what TensorFlow refuses, by all executions.

use std::collections::BTreeMap;

use serde::Deserialize;
use smc::{
    driver::{self, SizeBound},
    tf,
};
use smc_tests::answers::{Call, calls_agree, each_program, open, refuses};

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
            (
                "no_bounds",
                &[
                    "nothing bounds it, nor the shape of Reshape (`linspace_Reshape`), nor the number",
                    "each can be",
                    "`--bound linspace_range=MAX --bound linspace_Reshape=MAX --bound cond_range=MAX`",
                ],
            ),
            (
                "leaves_a_branch",
                &[
                    "the extents of result 0 of the branches (output `y`) depend on values within a branch",
                    "find the rows outside of the branches",
                ],
            ),
            ("shrinks_in_a_loop", &["of the loop is a f32[batch] before", "its type changes", "tf.TensorArray"]),
            ("elements_of_a_list", &["elements that the loop adds to the list", "data decide", "by tf.pad"]),
        ],
    );
}

/// The bound had to be stated before anybody could know that the size is left out.
#[test]
fn a_bound_of_a_size_that_nothing_needs_is_taken() {
    let compiled = |bounds: &[&str]| {
        let bounds = bounds.iter().map(|name| SizeBound { name: name.to_string(), most: 5 }).collect();
        let signatures = vec!["size_that_nothing_needs".to_string()];
        driver::entries(&open("sizes"), &driver::Options { signatures, bounds, ..Default::default() })
    };
    let (entries, _) = compiled(&["n"]).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(entries[0].optimised.binds().count(), 0, "the size is needed after all");
    let Err(refused) = compiled(&["n", "m"]) else { panic!("nobody has a size `m`") };
    assert!(refused.to_string().contains("data decide about no size `m`"), "{refused}");
}
