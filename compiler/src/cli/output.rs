//! What `smc compile` writes, told by the ending of the output's name, and where its header goes.

use std::path::{Path, PathBuf};

use smc::{
    base::{Diagnostic, Problems},
    driver::Compiled,
    emit::archive,
};

use super::files::{Destination, write_all};

/// What a compiled model can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A relocatable object: `.o`, `.obj`, and names without an ending.
    Object,
    /// A static archive of one object: `.a`, `.lib`.
    Archive,
}

impl Kind {
    /// What a file of this name holds; an error where it would be something that smc does not write.
    fn of(path: &Path) -> Result<Kind, Diagnostic> {
        let Some(ending) = path.extension() else { return Ok(Kind::Object) };
        let refused = |help: String| {
            Err(Diagnostic::error(format!("smc writes no files that end in .{}", ending.to_string_lossy()))
                .in_file(path.display())
                .help(help))
        };
        match ending.to_string_lossy().to_ascii_lowercase().as_str() {
            "o" | "obj" => Ok(Kind::Object),
            "a" | "lib" => Ok(Kind::Archive),
            "so" | "dylib" | "dll" => {
                let (shown, object) = (path.display(), path.with_extension("o"));
                refused(format!("write {0} and link it: cc -shared -o {shown} {0}", object.display()))
            }
            "h" | "hh" | "hpp" => refused("the header is written beside the object: -o NAME.o".into()),
            _ => refused("end the name in .o for an object or in .a for an archive".into()),
        }
    }
    /// The bytes of the file. `name` is the model's.
    fn bytes(self, compiled: &Compiled, name: &str) -> Result<Vec<u8>, Diagnostic> {
        match self {
            Kind::Object => Ok(compiled.object.clone()),
            Kind::Archive => archive::archive(&format!("{name}.o"), &compiled.object)
                .map_err(|e| Diagnostic::error(format!("cannot make the archive: {e}"))),
        }
    }
}

/// The places of a compilation's results, each looked at.
#[derive(Debug)]
pub struct Output {
    kind: Kind,
    object: Destination,
    /// None beside a stream or device, unless one was asked for.
    header: Option<Destination>,
}

impl Output {
    /// Where `object` and `header`, or the header beside the object, will go.
    pub fn find(object: &Path, header: Option<&Path>) -> Result<Output, Diagnostic> {
        let place = Destination::find(object)?;
        place.takes_bytes()?;
        // The name of a pipe says nothing about what it carries.
        let kind = match place {
            Destination::Regular { .. } => Kind::of(object)?,
            _ => Kind::of(object).unwrap_or(Kind::Object),
        };
        let beside = || matches!(place, Destination::Regular { .. }).then(|| object.with_extension("h"));
        let header = match header.map(PathBuf::from).or_else(beside) {
            Some(path) => {
                let header = Destination::find(&path)?;
                check_header(&path, &header)?;
                if header.is(&place) {
                    let problem = Diagnostic::error(format!("object and header would both go to {place}"));
                    return Err(problem.help("give the header another name: --header FILE"));
                }
                Some(header)
            }
            None => None,
        };
        Ok(Output { kind, object: place, header })
    }
    /// Writes the object and its header.
    pub fn write(&self, compiled: &Compiled, name: &str) -> Result<(), Problems> {
        let bytes = self.kind.bytes(compiled, name)?;
        let object = [(&self.object, &bytes[..])];
        let header = self.header.iter().map(|to| (to, compiled.header.as_bytes()));
        write_all(&object.into_iter().chain(header).collect::<Vec<_>>())
    }
    /// Whether something other than an answer goes to the standard output.
    pub fn takes_standard_output(&self) -> bool {
        [Some(&self.object), self.header.as_ref()].into_iter().flatten().any(|d| matches!(d, Destination::Standard))
    }
}

/// A header's name may end as headers do; that of an object would be a slip.
fn check_header(path: &Path, place: &Destination) -> Result<(), Diagnostic> {
    let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    let fits = ending.is_none_or(|e| ["h", "hh", "hpp", "hxx", "h++", "inc"].contains(&&e[..]));
    if fits || !matches!(place, Destination::Regular { .. }) {
        return Ok(());
    }
    Err(Diagnostic::error("the header's name does not end as a header's").in_file(path.display()).help("end it in .h"))
}

/// What was written, in words.
impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.header {
            Some(header) => write!(f, "wrote {} and {header}", self.object),
            None => write!(f, "wrote {}, without a header: --header FILE writes it", self.object),
        }
    }
}

#[test]
fn endings_say_what_is_written() {
    let kind = |name: &str| Kind::of(Path::new(name)).map_err(|d| d.help.unwrap_or_default());
    assert_eq!(kind("x/libm.o"), Ok(Kind::Object));
    assert_eq!(kind("m"), Ok(Kind::Object));
    assert_eq!(kind("m.A"), Ok(Kind::Archive));
    assert_eq!(kind("x.d/m.lib"), Ok(Kind::Archive));
    assert!(kind("libm.so").unwrap_err().contains("cc -shared -o libm.so libm.o"));
    assert!(kind("m.h").unwrap_err().contains("-o NAME.o"));
    for name in ["m.c", "m.py", "m.o.tmp", "m.exe"] {
        assert!(kind(name).unwrap_err().contains(".o for an object"), "{name}");
    }
}
