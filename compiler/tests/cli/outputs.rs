//! Where results go: streams, pipes, links, and names that would be a slip.

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{answer, complaint, exported, mnist, smc};

fn object(folder: &Path, name: &str) -> Vec<u8> {
    let bytes = fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(bytes.starts_with(b"\x7fELF"), "{name} is no object");
    bytes
}

#[test]
fn the_standard_output_takes_an_object() {
    let folder = tempfile::tempdir().unwrap();
    answer(folder.path(), &["compile", &mnist(), "-o", "a.o", "--name", "m", "--cpu", "x86-64"]);
    let piped = ["compile", &mnist(), "-o", "-", "--name", "m", "--cpu", "x86-64"];
    let out = smc(folder.path(), &piped);
    assert!(out.status.success());
    assert!(out.stdout == object(folder.path(), "a.o"), "the stream differs from the file");
    assert!(String::from_utf8_lossy(&out.stderr).contains("--header FILE"), "the header is nowhere, and this is said");
    assert!(!folder.path().join("-").exists() && !folder.path().join("-.h").exists());
    answer(folder.path(), &["compile", &mnist(), "-o", "b.o", "--header", "-", "--name", "m", "--cpu", "x86-64"]);
    assert!(!folder.path().join("b.h").exists());
    let message = complaint(folder.path(), &[&piped[..], &["--json"]].concat(), 1);
    assert!(message.contains("--json"), "{message}");
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_written_through() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(Command::new("mkfifo").arg(at("pipe")).status().expect("mkfifo runs").success());
    symlink("pipe", at("link")).unwrap();
    for name in ["pipe", "link"] {
        let pipe = at("pipe");
        let reader = std::thread::spawn(move || fs::read(pipe).unwrap());
        answer(folder.path(), &["compile", &mnist(), "-o", name, "--cpu", "x86-64"]);
        assert!(reader.join().unwrap().starts_with(b"\x7fELF"), "{name}");
        assert!(fs::symlink_metadata(at("pipe")).unwrap().file_type().is_fifo(), "the pipe was replaced");
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink(), "the link was replaced");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "a header was written beside the pipe");
}

#[cfg(unix)]
#[test]
fn links_to_files_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("store")).unwrap();
    std::os::unix::fs::symlink("store/v1.o", folder.path().join("m.o")).unwrap();
    answer(folder.path(), &["compile", &mnist(), "-o", "m.o", "--cpu", "x86-64"]);
    assert!(fs::symlink_metadata(folder.path().join("m.o")).unwrap().is_symlink());
    object(folder.path(), "store/v1.o");
    assert!(folder.path().join("m.h").is_file());
}

#[test]
fn slips_are_noticed_before_the_model_is_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d.o")).unwrap();
    fs::write(folder.path().join("main.c"), "int main;").unwrap();
    for (args, expected) in [
        (&["-o", "main.c"][..], "smc writes no files that end in .c"),
        (&["-o", "m.h"], "-o NAME.o"),
        (&["-o", "m.py"], ".o for an object"),
        (&["-o", "d.o"], "it is a directory"),
        (&["-o", "missing/m.o"], "there is no folder missing"),
        (&["-o", "m.o", "--header", "m.o"], "does not end as a header's"),
        (&["-o", "m", "--header", "./m"], "object and header would both go to"),
        (&["-o", "m.o", "--header", "missing/m.h"], "there is no folder missing"),
        (&["-o", "-", "--header", "-"], "both go to standard output"),
    ] {
        // There is no such model: the complaint about the output comes first.
        let message = complaint(folder.path(), &[&["compile", "no_model"], args].concat(), 1);
        assert!(message.contains(expected), "{args:?} does not say `{expected}`:\n{message}");
    }
    assert_eq!(fs::read_to_string(folder.path().join("main.c")).unwrap(), "int main;");
    let message = complaint(folder.path(), &["run", "no_model", "--outputs", "y.npy"], 1);
    assert!(message.contains("end the name in .npz"), "{message}");
}

#[test]
fn twins_are_spoken_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let message = complaint(folder.path(), &["compile", &exported(), "--input", "nope=1", "--emit", "graph"], 1);
    assert_eq!(message.matches("`keras_tensor_4`").count(), 1, "{message}");
    let message = complaint(folder.path(), &["run", &exported(), "--signature", "serv"], 1);
    assert!(message.contains("did you mean `serve`?"), "a twin answers to its own name: {message}");
    let graphs = answer(folder.path(), &["compile", &exported(), "--emit", "graph"]);
    assert_eq!(graphs.matches("// graph of signature").count(), 1, "{graphs}");
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

/// An archive is written without its object in memory; the library that archives come from makes the same of the object.
#[test]
fn archives_are_those_of_their_objects() {
    use ar_archive_writer::{ArchiveKind, DEFAULT_OBJECT_READER, NewArchiveMember, write_archive_to_stream};
    let folder = tempfile::tempdir().unwrap();
    for (target, kind) in [
        ("x86_64-unknown-linux-gnu", ArchiveKind::Gnu),
        ("s390x-unknown-linux-gnu", ArchiveKind::Gnu),
        ("aarch64-apple-darwin", ArchiveKind::Darwin),
        ("x86_64-pc-windows-msvc", ArchiveKind::Coff),
    ] {
        for name in ["m", "a_name_that_is_longer_than_others"] {
            let file = |ending: &str| format!("{target}-{name}.{ending}");
            for ending in ["o", "a"] {
                answer(
                    folder.path(),
                    &["compile", &mnist(), "--target", target, "--name", name, "-o", &file(ending), "--header", "m.h"],
                );
            }
            let read = |ending: &str| fs::read(folder.path().join(file(ending))).unwrap();
            let object = read("o");
            let mut member = NewArchiveMember::new(&object[..], &DEFAULT_OBJECT_READER, format!("{name}.o"));
            member.perms = 0o644;
            let mut whole = std::io::Cursor::new(vec![]);
            write_archive_to_stream(&mut whole, &[member], kind, false, None).unwrap();
            assert!(read("a") == whole.into_inner(), "{target} {name}");
        }
    }
}
