//! How nodes name their inputs: `node`, `node:k` and `^node` in the main graph; `arg`, `arg:i`, `node:output`,
//! `node:output:i` and `^node` in functions.

/// A parsed input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    pub name: &'a str,
    /// The output argument's name, in functions only.
    pub output: Option<&'a str>,
    /// The number behind the last colon.
    pub index: Option<u32>,
    pub control: bool,
}

impl<'a> Reference<'a> {
    /// `None` when the text has none of these forms.
    pub fn parse(text: &'a str) -> Option<Reference<'a>> {
        if let Some(name) = text.strip_prefix('^') {
            return (!name.is_empty()).then_some(Reference { name, output: None, index: None, control: true });
        }
        let mut parts = text.split(':');
        let name = parts.next().filter(|n| !n.is_empty())?;
        let (second, third) = (parts.next(), parts.next());
        if parts.next().is_some() {
            return None;
        }
        let (output, index) = match (second, third) {
            (Some(output), Some(index)) => (Some(output), Some(index.parse().ok()?)),
            (Some(word), None) if word.starts_with(|c: char| c.is_ascii_digit()) => (None, Some(word.parse().ok()?)),
            (word, _) => (word, None),
        };
        Some(Reference { name, output, index, control: false })
    }
}

#[test]
fn every_form_parses() {
    let parse = |text| Reference::parse(text).map(|r| (r.name, r.output, r.index, r.control));
    assert_eq!(parse("a/b"), Some(("a/b", None, None, false)));
    assert_eq!(parse("a:2"), Some(("a", None, Some(2), false)));
    assert_eq!(parse("a:out"), Some(("a", Some("out"), None, false)));
    assert_eq!(parse("a:out:1"), Some(("a", Some("out"), Some(1), false)));
    assert_eq!(parse("^a"), Some(("a", None, None, true)));
    for bad in ["", "^", ":1", "a:out:x", "a:o:1:2", "a:99999999999"] {
        assert_eq!(parse(bad), None, "{bad}");
    }
}
