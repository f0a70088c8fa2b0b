//! Names of nodes, each given once.

use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// A name as wanted, as far as TensorFlow takes its letters, and the same with each ending; with a number where one of these
    /// is there already.
    pub fn take(&mut self, wanted: &str, endings: &[&str]) -> String {
        let all = |name: &str| -> Vec<String> {
            let with = endings.iter().map(|ending| format!("{name}{ending}"));
            std::iter::once(name.to_string()).chain(with).collect()
        };
        let name = self.numbered(&spelled(wanted), |own, name| all(name).iter().any(|name| own.contains(name)));
        self.0.extend(all(&name));
        name
    }

    /// A name that none of those given begins with, and that is not otherwise taken.
    pub fn scope(&mut self, wanted: &str, is_taken: impl Fn(&str) -> bool) -> String {
        let name = self.numbered(&spelled(wanted), |own, name| {
            let below = format!("{name}/");
            let first = own.range(below.clone()..).next();
            own.contains(name) || first.is_some_and(|first| first.starts_with(&below)) || is_taken(name)
        });
        self.0.insert(name.clone());
        name
    }

    fn numbered(&self, wanted: &str, is_taken: impl Fn(&BTreeSet<String>, &str) -> bool) -> String {
        let numbered = (1..).map(|n| format!("{wanted}_{n}"));
        let mut all = std::iter::once(wanted.to_string()).chain(numbered);
        all.find(|name| !is_taken(&self.0, name)).expect("there are more numbers than names")
    }
}

/// A name in the letters that TensorFlow takes: `[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*`.
fn spelled(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let is_known = |c: char| is_plain(c) || matches!(c, '_' | '\\' | '/' | '>' | '-');
    let spelled: String = name.chars().map(|c| if is_known(c) { c } else { '_' }).collect();
    if spelled.starts_with(is_plain) { spelled } else { format!("n{spelled}") }
}

#[test]
fn names_are_given_once() {
    let mut names = Names::default();
    assert_eq!(names.take("a/b", &["/c"]), "a/b");
    assert_eq!(names.take("a/b/c", &[]), "a/b/c_1");
    assert_eq!(names.take("a", &["/b"]), "a_1");
    assert_eq!(names.scope("a", |_| false), "a_2");
    assert_eq!(names.scope("x", |name| name == "x"), "x_1");
    assert_eq!(names.take("_a b:0", &[]), "n_a_b_0");
    assert_eq!(names.take("", &[]), "n");
}
