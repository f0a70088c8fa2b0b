//! The lists of `tests/cases/README.md`: what is known to be otherwise, and why. Each is checked both ways.

use std::{cell::Cell, fs};

/// The lines under a heading, such as "- `Op`, `Op` / `part of a name`, `part`: reason".
pub struct List {
    heading: &'static str,
    entries: Vec<Entry>,
}

struct Entry {
    ops: Vec<String>,
    /// None stand for every name.
    parts: Vec<String>,
    line: String,
    used: Cell<bool>,
}

impl List {
    /// Panics when the README has no such list, or a line of it no reason.
    pub fn read(heading: &'static str) -> List {
        let readme = crate::root().join("tests/cases/README.md");
        let text = fs::read_to_string(readme).expect("the cases have a README");
        let (_, list) = text.split_once(&format!("\n## {heading}\n")).expect("the README has the list");
        let list = list.split_once("\n## ").map_or(list, |(list, _)| list);
        let entries = list.lines().filter(|line| line.starts_with("- ")).map(Entry::of).collect();
        List { heading, entries }
    }
    /// Whether the list names all cases of an operator.
    pub fn names_op(&self, op: &str) -> bool {
        self.uses(|entry| entry.parts.is_empty() && entry.ops.iter().any(|o| o == op))
    }
    /// Whether the list names a case, by itself or with its operator.
    pub fn names(&self, op: &str, name: &str) -> bool {
        self.names_op(op)
            || self.uses(|entry| {
                entry.ops.iter().any(|o| o == op) && entry.parts.iter().any(|part| name.contains(part.as_str()))
            })
    }
    fn uses(&self, fits: impl Fn(&Entry) -> bool) -> bool {
        let found = self.entries.iter().find(|entry| fits(entry));
        found.inspect(|entry| entry.used.set(true)).is_some()
    }
    /// Panics when a line has named nothing.
    pub fn assert_used(&self) {
        let idle: Vec<_> = self.entries.iter().filter(|entry| !entry.used.get()).map(|entry| &entry.line).collect();
        assert!(idle.is_empty(), "lines under `{}` that name nothing any more: {idle:#?}", self.heading);
    }
}

impl Entry {
    fn of(line: &str) -> Entry {
        let (what, reason) = line.split_once("`: ").expect("a line has a reason");
        assert!(!reason.trim().is_empty(), "{line}");
        let names = |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(String::from).collect() };
        let (ops, parts) = what
            .split_once("` / `")
            .map_or((names(what), vec![]), |(ops, parts)| (names(&format!("{ops}`")), names(&format!("`{parts}`"))));
        Entry { ops, parts, line: line.into(), used: Cell::new(false) }
    }
}
