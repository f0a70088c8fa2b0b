//! What the README says of the tables is what the tables say. `BLESS=1` rewrites it.

use std::fs;

use smc::driver::docs;

const BEGIN: &str = "<!-- operators: made from the tables by `cargo xtask bless readme` -->\n";
const END: &str = "<!-- end of operators -->";

#[test]
fn readme_lists_the_operators_of_the_tables() {
    let path = smc_tests::root().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("README.md has a place for the operators");
    let (listed, after) = rest.split_once(END).expect("the list of operators has an end");
    let expected = format!("\n{}\n", docs::operators());
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert!(listed == expected, "README.md lists other operators than the tables: run `cargo xtask bless readme`");
    }
}

/// README's commands are commands that exist.
#[test]
fn readme_names_existing_files() {
    let readme = fs::read_to_string(smc_tests::root().join("README.md")).unwrap();
    for word in readme.split(|c: char| c.is_whitespace() || "`\"()".contains(c)) {
        let path = word.trim_end_matches(['.', ',', ':']);
        if ["examples/", "runtime/", "tests/", "compiler/", "docs/"].iter().any(|dir| path.starts_with(dir)) {
            assert!(smc_tests::root().join(path).exists(), "README.md names {path}, which is not there");
        }
    }
}
