//! Absurd values of every option get an answer, never a panic.

use std::{
    fs,
    io::Read,
    process::{Command, Stdio},
};

use crate::support::{complaint, exported, mnist, refusal, smc};

#[test]
fn numbers_beyond_reason_are_refused() {
    let model = mnist();
    for (args, expected) in [
        (vec!["bench", &model, "--seconds", "inf"], "positive number"),
        (vec!["bench", &model, "--seconds", "nan"], "positive number"),
        (vec!["bench", &model, "--seconds", "1e300"], "positive number"),
        (vec!["bench", &model, "--seconds=-1"], "positive number"),
        (vec!["bench", &model, "--seconds", "0"], "positive number"),
        (vec!["machine", "--seconds", "nan"], "positive number"),
        (vec!["machine", "--seconds", "soon"], "not a number"),
        (vec!["bench", &model, "--threads", "18446744073709551615"], "between 1 and 4096"),
        (vec!["run", &model, "--threads", "0"], "between 1 and 4096"),
        (vec!["check", &model, "--tolerance", "nan"], "finite number"),
        (vec!["check", &model, "--tolerance=-1"], "finite number"),
        (vec!["check", &model, "--limit", "inf"], "positive number"),
        (vec!["check", &model, "--random=-1"], "--random"),
        (vec!["check", &model, "--seed", "x"], "--seed"),
        (vec!["compile", &model, "--batch", "4294967296"], "--batch"),
        (vec!["compile", &model, "--input", "inputs=18446744073709551616,28,28"], "not an extent"),
        (vec!["compile", &model, "--version=-1"], "--version"),
        (vec!["compile", &model, "--emit", "loop"], "`loop` is none of"),
        (vec!["compile", &model, "--frobnicate"], "--frobnicate"),
        (vec!["compile", &model, "--sigature", "x"], "--signature"),
        (vec!["inspect"], "MODEL"),
        (vec!["inspect", &model, "--json", "--json"], "--json"),
        (vec!["ops", "--json", "--markdown"], "cannot be used with"),
        (vec!["completions", "cmd"], "bash"),
        (vec!["man", "compile", "again"], "again"),
    ] {
        let message = refusal(&args, 2);
        assert!(message.contains(expected), "{args:?} does not say `{expected}`:\n{message}");
    }
}

#[test]
fn extents_beyond_memory_are_refused() {
    let model = mnist();
    for (args, expected) in [
        (vec!["bench", &model, "--batch", "2000000000"], "of memory"),
        (vec!["check", &model, "--batch", "2000000000"], "of memory"),
        (vec!["run", &model, "--batch", "2000000000", "--random"], "of memory"),
        (vec!["check", &model, "--random", "0"], "nothing was compared"),
        (vec!["inspect", "/no/such/model"], "cannot open the model"),
        (vec!["check", "/no/such/model"], "cannot open the model"),
        (vec!["bench", "/no/such/model"], "cannot open the model"),
        (vec!["run", "/no/such/model"], "cannot open the model"),
        (vec!["bench", &model, "--signature", "serving"], "did you mean `serving_default`?"),
        (vec!["check", &model, "--case", "none.npz"], "none.npz"),
        (vec!["bench", &model, "--cpu", "z80"], "known are"),
        (vec!["bench", &model, "--input", "input=1,28,28"], "did you mean `inputs`?"),
    ] {
        let message = refusal(&args, 1);
        assert!(message.contains(expected), "{args:?} does not say `{expected}`:\n{message}");
    }
}

#[test]
fn a_batch_of_nothing_and_the_largest_one_compile() {
    let folder = tempfile::tempdir().unwrap();
    for batch in ["0", "4294967295"] {
        let out = smc(folder.path(), &["compile", &mnist(), "--batch", batch, "--cpu", "x86-64", "-o", "m.o"]);
        let message = String::from_utf8_lossy(&out.stderr);
        assert!(!message.contains("panicked") && out.status.code().is_some_and(|code| code <= 1), "{batch}: {message}");
    }
    let out = smc(folder.path(), &["bench", &mnist(), "--batch", "0", "--seconds", "0.01"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_smc"))
        .args(["compile", &mnist(), "--emit", "asm"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("smc starts");
    // The pipe is closed before the first byte.
    drop(child.stdout.take());
    let mut message = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut message).unwrap();
    assert!(child.wait().unwrap().success() && !message.contains("panicked"), "{message}");
}

#[test]
fn array_files_that_are_no_arrays_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("x.npy"), crate::support::npy(&[1, 28, 28], &[0.0; 784])).unwrap();
    fs::write(at("x.npz"), b"PK\x03\x04 and nothing else").unwrap();
    fs::write(at("text.npy"), b"1 2 3").unwrap();
    let model = mnist();
    for (args, expected) in [
        (vec!["run", &model, "--inputs", "x.npy"], "--input KEY=x.npy"),
        (vec!["run", &model, "--input", "inputs=x.npz"], "--inputs FILE.npz"),
        (vec!["run", &model, "--input", "inputs=text.npy"], "text.npy"),
        (vec!["run", &model, "--inputs", "x.npz"], "x.npz"),
        (vec!["run", &model, "--input", "x.npy"], "--input KEY=x.npy"),
        (vec!["run", &model, "--input", "input=x.npy"], "did you mean `inputs`?"),
        (vec!["check", &model, "--case", "x.npy"], "it is a single array"),
    ] {
        let message = complaint(folder.path(), &args, 1);
        assert!(message.contains(expected), "{args:?} does not say `{expected}`:\n{message}");
    }
    // The twin of a Keras export answers to its own name too.
    assert!(complaint(folder.path(), &["run", &exported(), "--signature", "serv"], 1).contains("did you mean"));
}
