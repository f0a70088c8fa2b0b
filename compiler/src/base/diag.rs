//! What the user is told: where, what, and what to do about it.
//!
//! A stage that finds faults in the user's input collects them in [`Problems`] and returns all of them together.
//! A fault of the compiler itself is a panic with the stage's name, never a diagnostic.

use std::fmt;

/// How much a diagnostic weighs; an error ends the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Note,
    Warning,
    Error,
}

/// Where a diagnostic points; each part is filled by the stage that knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user would open it.
    pub file: Option<String>,
    /// The node, as the model's author wrote it.
    pub node: Option<String>,
    /// The layer's path, such as `sequential/dense`.
    pub layer: Option<String>,
    /// The signature's key, or the keys of several, where a model has more than one.
    pub signature: Option<String>,
}

/// One message to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub place: Place,
    /// What is wrong: one sentence without a full stop.
    pub message: String,
    /// What the user can do.
    pub help: Option<String>,
}

impl Diagnostic {
    fn new(severity: Severity, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity, place: Place::default(), message: message.into(), help: None }
    }
    pub fn error(message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, message)
    }
    pub fn warning(message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, message)
    }
    pub fn note(message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Note, message)
    }
    /// Names the file, unless one is named already.
    pub fn in_file(mut self, file: impl fmt::Display) -> Diagnostic {
        self.place.file.get_or_insert_with(|| file.to_string());
        self
    }
    /// Names the node, unless one is named already.
    pub fn at_node(mut self, node: impl Into<String>) -> Diagnostic {
        self.place.node.get_or_insert_with(|| node.into());
        self
    }
    /// Names the layer, unless one is named already.
    pub fn in_layer(mut self, layer: impl Into<String>) -> Diagnostic {
        self.place.layer.get_or_insert_with(|| layer.into());
        self
    }
    /// Names the signature, unless one is named already.
    pub fn in_signature(mut self, key: impl Into<String>) -> Diagnostic {
        self.place.signature.get_or_insert_with(|| key.into());
        self
    }
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
}

/// `error: message` with the place and the help on lines of their own.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}: {}", self.message)?;
        let place = &self.place;
        for (what, value) in [
            ("node", &place.node),
            ("layer", &place.layer),
            ("signature", &place.signature),
            ("file", &place.file),
            ("help", &self.help),
        ] {
            if let Some(value) = value {
                write!(f, "\n  {what}: {value}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// One or more diagnostics, of which at least one is an error when used as the `Err` of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Diagnostic>);

impl Problems {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }
    pub fn extend(&mut self, other: Problems) {
        self.0.extend(other.0);
    }
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }
    /// `Err(self)` when there is an error among them, otherwise the value.
    pub fn or<T>(self, value: T) -> Result<T, Problems> {
        if self.has_errors() { Err(self) } else { Ok(value) }
    }
    /// Adds what the caller knows about the place to each diagnostic that lacks it.
    pub fn map(self, f: impl Fn(Diagnostic) -> Diagnostic) -> Problems {
        Problems(self.0.into_iter().map(f).collect())
    }
}

impl From<Diagnostic> for Problems {
    fn from(diagnostic: Diagnostic) -> Problems {
        Problems(vec![diagnostic])
    }
}

impl FromIterator<Diagnostic> for Problems {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(diagnostics: I) -> Problems {
        Problems(diagnostics.into_iter().collect())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{d}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[test]
fn the_innermost_place_wins() {
    let d = Diagnostic::error("no such axis").at_node("inner").at_node("outer").in_file("m/saved_model.pb");
    assert_eq!(d.to_string(), "error: no such axis\n  node: inner\n  file: m/saved_model.pb");
}
