//! The house rules that a machine can check: imports point down, words stay on their floors, files stay readable.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Modules of the compiler, lowest first; `lib.rs` declares them in this order.
const FLOORS: [&str; 13] =
    ["base", "tensor", "loops", "op", "graph", "saved", "tf", "opt", "plan", "entry", "native", "emit", "driver"];
/// Lines after which a file is split.
const MAX_LINES: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package of the workspace").to_path_buf()
}

/// All files below `dir` whose name ends in `.rs`, with their text.
fn sources(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = vec![];
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    for path in entries.map(|e| e.unwrap().path()) {
        if path.is_dir() {
            if path.file_name().is_some_and(|n| n != "target") {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found.sort();
    found
}

/// The floor that a file of the compiler belongs to.
fn floor_of(path: &Path) -> Option<usize> {
    let inside = path.strip_prefix(root().join("compiler/src")).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    FLOORS.iter().position(|f| *f == first || format!("{f}.rs") == first)
}

/// The first path segments of everything a text names below `crate::`, brace groups included.
fn imports(text: &str) -> Vec<String> {
    let mut named = vec![];
    for rest in text.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            named.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            continue;
        };
        let (mut depth, mut word) = (0, String::new());
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => named.push(std::mem::take(&mut word)),
                c if depth == 0 => word.push(c),
                _ => {}
            }
        }
        named.push(word);
    }
    named.iter().map(|n| n.trim().split("::").next().unwrap_or_default().to_string()).collect()
}

#[test]
fn imports_point_down() {
    for (path, text) in sources(&root().join("compiler/src")) {
        let Some(floor) = floor_of(&path) else { continue };
        for name in imports(&text) {
            let above = FLOORS.iter().position(|f| *f == name).is_some_and(|f| f > floor);
            assert!(!above, "{} is on floor `{}` and imports `{name}`", path.display(), FLOORS[floor]);
        }
    }
}

#[test]
fn the_list_of_floors_is_the_one_in_lib_rs() {
    let lib = fs::read_to_string(root().join("compiler/src/lib.rs")).unwrap();
    let declared: Vec<&str> = lib.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let expected: Vec<&str> = FLOORS.into_iter().filter(|f| declared.contains(f)).collect();
    assert_eq!(declared, expected);
}

#[test]
fn imports_are_found() {
    let text = "use crate::base::{Arena, Id}; use crate::{loops::{A, B}, op, tensor::T}; crate::graph::f();";
    assert_eq!(imports(text), ["base", "loops", "op", "tensor", "graph"]);
}

/// Some words belong to some floors only.
#[test]
fn words_stay_on_their_floors() {
    for (path, text) in sources(&root().join("compiler/src")) {
        let Some(floor) = floor_of(&path) else { continue };
        let name = FLOORS[floor];
        if !["saved", "tf", "driver"].contains(&name) {
            assert!(!text.to_lowercase().contains("tensorflow"), "{} names the source framework", path.display());
        }
        if !["native", "emit"].contains(&name) {
            assert!(!text.contains("cranelift"), "{} names the code generator", path.display());
        }
    }
}

#[test]
fn files_say_their_purpose_and_stay_short() {
    for dir in ["compiler", "runtime", "tests", "xtask", "proto"] {
        for (path, text) in sources(&root().join(dir)) {
            assert!(text.starts_with("//!"), "{} does not open with its purpose", path.display());
            let lines = text.lines().count();
            assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
        }
    }
}
