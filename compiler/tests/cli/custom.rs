//! Custom operators: declared in a file, and run from a shared library.

use std::{fs, path::Path, process::Command};

use crate::support::{answer, complaint, root};

fn example(name: &str) -> String {
    root().join("examples/custom-op").join(name).display().to_string()
}

/// A shared library of the example's functions, if there is a compiler for it.
fn plugin(folder: &Path) -> Option<String> {
    let library = folder.join("liboperators.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-I"]).arg(folder).arg(example("operators.c")).arg("-o").arg(&library);
    let made = cc.status().is_ok_and(|status| status.success());
    assert!(made || std::env::var("CI").as_deref() != Ok("true"), "a build server has a C compiler");
    made.then(|| library.display().to_string())
}

#[test]
fn plugins_run_what_files_declare() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (model, operators) = (example("model"), example("operators.toml"));
    let args = |command: &'static str, more: &[&str]| -> Vec<String> {
        let all = [&[command, &model, "--custom", &operators], more].concat();
        all.into_iter().map(String::from).collect()
    };
    let slices = |args: &[String]| args.iter().map(String::as_str).collect::<Vec<_>>().join("\0");
    let answer = |args: Vec<String>| answer(folder, &slices(&args).split('\0').collect::<Vec<_>>());
    let complaint = |args: Vec<String>| complaint(folder, &slices(&args).split('\0').collect::<Vec<_>>(), 1);

    answer(args("compile", &["-o", "model.o"]));
    let Some(library) = plugin(folder) else { return };
    for name in ["serve", "runs", "noted"] {
        let case = example(&format!("{name}.npz"));
        let checked = answer(args("check", &["--plugin", &library, "--signature", name, "--case", &case]));
        assert!(checked.contains("outputs agree") && !checked.contains("FAIL"), "{checked}");
    }
    let run = ["--signature", "runs", "--value", "x=[4,4,9]"];
    for more in [&["--plugin", &library][..], &["--plugin", &library, "--reference"]] {
        let printed = answer(args("run", &[&run, more].concat()));
        assert!(printed.contains("lengths: i64[2] 2 1") && printed.contains("values: i32[2] 4 9"), "{printed}");
    }
    assert!(answer(args("bench", &["--plugin", &library, "--signature", "serve", "--seconds", "0.02"])).contains("us"));
    for more in [&[][..], &["--reference"]] {
        let said = complaint(args("run", &[&run, more].concat()));
        assert!(said.contains("`runs`, which nothing in this process has") && said.contains("--plugin FILE"), "{said}");
    }
    let said = complaint(args("run", &["--plugin", &library, "--signature", "runs", "--value", "x=[1,-1]"]));
    assert!(said.contains("a custom operator failed with code 22"), "{said}");
    let said = complaint(args("run", &["--plugin", "none.so"]));
    assert!(said.contains("cannot load the plugin") && said.contains("none.so"), "{said}");
    let said = complaint(args("compile", &["-o", "libmodel.so"]));
    assert!(said.contains("is somewhere else"), "{said}");
    let said = complaint(args("compile", &["--custom", &operators]));
    assert!(said.contains("is declared in another file too"), "{said}");
}

#[test]
fn declarations_to_begin_with_compile_when_they_are_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let model = example("model");
    let said = complaint(folder, &["compile", &model, "--signature", "noted"], 1);
    assert!(said.contains("Example>LeakyClip, Example>Note are no TensorFlow operators"), "{said}");
    let (_, text) = said.split_once("\n\n").unwrap();
    let text = text.replace("shape = \"[?, ?]\"", "shape = \"x\"");
    fs::write(folder.join("own.toml"), &text).unwrap();
    answer(folder, &["compile", &model, "--signature", "noted", "--custom", "own.toml", "-o", "own.o"]);
    let header = fs::read_to_string(folder.join("own.h")).unwrap();
    assert!(header.contains("int example_note(") && header.contains("double slope;"), "{header}");

    let wrong = |from: &str, to: &str, expected: &str| {
        assert!(text.contains(from), "{from} in {text}");
        fs::write(folder.join("wrong.toml"), text.replacen(from, to, 1)).unwrap();
        let said = complaint(folder, &["compile", &model, "--signature", "noted", "--custom", "wrong.toml"], 1);
        assert!(said.contains(expected), "{said}");
    };
    wrong("\"float32\"", "\"int32\"", "is float32, and declared as int32");
    wrong("{ name = \"slope\", type = \"float\" },", "", "an attribute `slope`, which the declaration");
    wrong("{ name = \"slope\", type = \"float\" }", "{ name = \"slope\", type = \"int\" }", "is not what is declared");
    wrong("shape = \"x\"", "shape = \"[x[2]]\"", "asks for `x[2]`, and there are 2");
    wrong("shape = \"x\"", "shape = \"[x[0] / (x[0] - 1)]\"", "which may be less than 1");
    wrong("shape = \"x\"", "shape = \"[x[?]]\"", "`?` has no meaning");
    wrong("type = \"float32\", shape", "type = \"float64\", shape", "is float32 here, and declared as float64");
    wrong("symbol = \"example_note\"", "symbl = \"example_note\"", "unknown field");
}
