//! Look-ups in tables (`tests/models/tables.py`): each signature computes what TensorFlow did, by all executions, and what is no
//! constant table is refused.

use std::{path::PathBuf, sync::Arc};

use smc::{
    driver,
    saved::{Memory, Model, Options},
    tf,
};
use smc_tests::{
    answers::{Call, calls_agree, each_program, operators, refuses},
    saved::files_of,
};

#[test]
fn tables_answer_as_tensorflow_does() {
    each_program("tables", |model, program, calls: &Vec<Call>| {
        calls_agree(model, program, calls, &tf::Options::default())
    });
}

#[test]
fn tables_of_tensorflow_1_answer_as_it_does() {
    each_program("tables_v1", |model, program, calls: &Vec<Call>| {
        calls_agree(model, program, calls, &tf::Options::default())
    });
}

#[test]
fn programs_have_all_operators_of_tables() {
    let found = operators(&["tables", "tables_v1"]);
    let of_tables = |op: &&str| op.contains("LookupTable") || op.contains("HashTable");
    let missing: Vec<&str> = tf::ops().map(|op| op.name).filter(of_tables).filter(|op| !found.contains(*op)).collect();
    assert!(missing.is_empty(), "no program of tests/models/tables.py has {missing:?}");
}

#[test]
fn what_is_no_constant_table_is_refused() {
    let changed =
        ["what the table holds is not known", "a signature of the model changes tables by LookupTableInsertV2"];
    refuses("tables", &[("changed", &changed), ("changed_elsewhere", &changed)]);
}

/// What is said of `of_lines` when its file is another one.
fn with_lines(change: impl FnOnce(&mut Memory)) -> String {
    let mut files = files_of(&[env!("CARGO_MANIFEST_DIR"), "models", "tables"].iter().collect::<PathBuf>());
    change(&mut files);
    let model = Model::load(Arc::new(files), &Options::default()).unwrap();
    let imported = driver::import(&model, &model.signature("of_lines").unwrap(), &tf::Options::default());
    imported.map_or_else(|problems| problems.to_string(), |_| "fine".into())
}

#[test]
fn damaged_files_are_told_by_line() {
    const FILE: &str = "assets/lines.txt";
    let with = |text: &[u8]| {
        let text = text.to_vec();
        with_lines(|files| drop(files.0.insert(FILE.into(), text.into())))
    };
    assert_eq!(with(b"cat\ndog\n"), "fine");
    for (text, expected) in [
        (&b""[..], "the table has 0 lines, not at least one"),
        (b"\n", "line 1 of the table: it is empty"),
        (b"cat\n\ndog\n", "line 2 of the table: it is empty"),
        (b"cat\ndog\n\n", "line 3 of the table: it is empty"),
        (b"cat\n\r\n", "line 2 of the table: it is empty"),
        (b"cat\ndog\ncat\n", "line 3 of the table: its key has another value before"),
    ] {
        let said = with(text);
        assert!(said.contains(expected) && said.contains("lines.txt"), "{said}");
    }
    let said = with_lines(|files| drop(files.0.remove(FILE)));
    assert!(said.contains("the table's file is missing"), "{said}");
}
