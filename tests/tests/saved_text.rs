//! Strings that are made, cut and read (`tests/models/text.py`): each signature computes what TensorFlow did, by all executions,
//! and a call that makes more strings than there is room for says so.

use smc::{
    driver::{self, Bytes, Executable, Options},
    loops::Fault,
    saved::Model,
    tensor::Tensor,
    tf,
};
use smc_tests::answers::{Call, calls_agree, each_program, open};

#[test]
fn strings_are_those_of_tensorflow() {
    each_program("text", |model, program, calls: &Vec<Call>| {
        calls_agree(model, program, calls, &tf::Options::default())
    });
}

fn compiled(model: &Model, room: u64) -> Executable {
    let strings = Some(Bytes(room));
    let options = Options { name: "text".into(), signatures: vec!["joined".into()], strings, ..Options::default() };
    let compiled = driver::compile(model, &options, &mut |_| ()).unwrap_or_else(|problems| panic!("{problems}"));
    Executable::new(&compiled.object.bytes(), compiled.interface).unwrap()
}

#[test]
fn more_strings_than_there_is_room_for_end_a_call() {
    let model = open("text");
    let strings =
        |words: &[&str]| Tensor::from_strings([words.len()], words.iter().map(|w| w.as_bytes().to_vec()).collect());
    let words = [strings(&["ONE", "Two"]), strings(&["a", ""])];
    // 7 bytes in another case, then `one|-|A` and `two|-|`.
    let needed = 7 + 7 + 6;
    for room in 0..needed + 2 {
        let executable = compiled(&model, room);
        let mut call = executable.prepare(0, &words).unwrap_or_else(|problems| panic!("{problems}"));
        match call.run(None) {
            Ok(()) => {
                assert!(room >= needed, "{room} bytes are not enough");
                let outputs = call.results();
                assert_eq!(outputs[0].strings(), ["one|-|A", "two|-|"].map(|s| s.as_bytes().to_vec()));
            }
            Err(problem) => {
                let said = problem.to_string();
                assert!(room < needed && said.contains(&format!("has room for {room}")), "{room}: {said}");
                assert!(said.contains("bytes of strings") && said.contains("--strings"), "{said}");
            }
        }
    }
    assert_eq!(Fault::StringsExceeded as i32, smc_runtime::abi::Status::StringsExceeded.code());
}
