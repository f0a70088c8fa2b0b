//! What `smc compile` writes, told by the ending of the output's name, and where its header and weights go.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use smc::{
    base::{Diagnostic, Problems},
    driver::Compiled,
    emit::{archive, shared},
};

use super::files::{Content, Destination, write_all};

/// What a compiled model can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A relocatable object: `.o`, `.obj`, and names without an ending.
    Object,
    /// A static archive of one object: `.a`, `.lib`.
    Archive,
    /// A shared library for ELF: `.so`.
    Shared,
}

impl Kind {
    /// What a file of this name holds; an error where it would be something that smc does not write. `elf` says whether
    /// the target's objects are ELF.
    fn of(path: &Path, elf: bool) -> Result<Kind, Diagnostic> {
        let Some(ending) = path.extension() else { return Ok(Kind::Object) };
        let refused = |help: String| {
            Err(Diagnostic::error(format!("smc writes no files that end in .{}", ending.to_string_lossy()))
                .in_file(path.display())
                .help(help))
        };
        match ending.to_string_lossy().to_ascii_lowercase().as_str() {
            "o" | "obj" => Ok(Kind::Object),
            "a" | "lib" => Ok(Kind::Archive),
            "so" if elf => Ok(Kind::Shared),
            "so" | "dylib" | "dll" => {
                let (shown, object) = (path.display(), path.with_extension("o"));
                Err(Diagnostic::error("shared libraries are made for ELF targets, as .so")
                    .in_file(path.display())
                    .help(format!("write {0} and link it: cc -shared -o {shown} {0}", object.display())))
            }
            "h" | "hh" | "hpp" => refused("the header is written beside the object: -o NAME.o".into()),
            _ => {
                refused("end the name in .o for an object, in .a for an archive or in .so for a shared library".into())
            }
        }
    }
    /// Writes the file. `name` is the model's, `soname` the library's.
    fn write(self, compiled: &Compiled, name: &str, soname: &str, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Kind::Object => compiled.object.write(out),
            Kind::Archive => archive::write(&format!("{name}.o"), &compiled.object, out),
            Kind::Shared => shared::write(&compiled.object, soname, out),
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
    weights: Option<Destination>,
    /// By what name a shared library is known to others.
    soname: String,
}

impl Output {
    /// Where `object` and `header`, or the header beside the object, will go, and the weights if they lie apart.
    pub fn find(object: &Path, header: Option<&Path>, weights: Option<&Path>, elf: bool) -> Result<Output, Diagnostic> {
        let known = Kind::of(object, elf);
        let place = Destination::find(object)?;
        place.takes_bytes()?;
        // The name of a pipe says nothing about what it carries.
        let kind = match place {
            Destination::Regular { .. } => known?,
            _ => known.unwrap_or(Kind::Object),
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
        let weights = match weights {
            Some(path) => {
                let weights = Destination::find(path)?;
                weights.takes_bytes()?;
                if weights.is(&place) || header.as_ref().is_some_and(|header| weights.is(header)) {
                    let problem =
                        Diagnostic::error(format!("the weights and something else would both go to {weights}"));
                    return Err(problem.help("give the file of weights another name"));
                }
                Some(weights)
            }
            None => None,
        };
        let soname = object.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
        Ok(Output { kind, object: place, header, weights, soname })
    }
    /// By what name the shared library is known to others, if that is what is written.
    pub fn soname(&self) -> Option<String> {
        (self.kind == Kind::Shared).then(|| self.soname.clone())
    }
    /// Writes the object and its header, and its weights where they lie apart.
    pub fn write(&self, compiled: &Compiled, name: &str) -> Result<(), Problems> {
        let object = |out: &mut dyn Write| self.kind.write(compiled, name, &self.soname, out);
        let header = |out: &mut dyn Write| out.write_all(compiled.header.as_bytes());
        let weights = |out: &mut dyn Write| compiled.object.weights().write_file(&compiled.fingerprint, out);
        let mut files: Vec<(&Destination, Content<'_>)> = vec![(&self.object, &object)];
        files.extend(self.header.iter().map(|to| -> (_, Content<'_>) { (to, &header) }));
        files.extend(self.weights.iter().map(|to| -> (_, Content<'_>) { (to, &weights) }));
        write_all(&files)
    }
    /// Whether something other than an answer goes to the standard output.
    pub fn takes_standard_output(&self) -> bool {
        [Some(&self.object), self.header.as_ref(), self.weights.as_ref()]
            .into_iter()
            .flatten()
            .any(|d| matches!(d, Destination::Standard))
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
        match (&self.header, &self.weights) {
            (Some(header), None) => write!(f, "wrote {} and {header}", self.object),
            (Some(header), Some(weights)) => write!(f, "wrote {}, {header} and {weights}", self.object),
            (None, None) => write!(f, "wrote {}, without a header: --header FILE writes it", self.object),
            (None, Some(weights)) => {
                write!(f, "wrote {} and {weights}, without a header: --header FILE writes it", self.object)
            }
        }
    }
}

#[test]
fn endings_say_what_is_written() {
    let kind = |name: &str| Kind::of(Path::new(name), true).map_err(|d| d.help.unwrap_or_default());
    assert_eq!(kind("x/libm.o"), Ok(Kind::Object));
    assert_eq!(kind("m"), Ok(Kind::Object));
    assert_eq!(kind("m.A"), Ok(Kind::Archive));
    assert_eq!(kind("x.d/m.lib"), Ok(Kind::Archive));
    assert_eq!(kind("libm.so"), Ok(Kind::Shared));
    let elsewhere = |name: &str| Kind::of(Path::new(name), false).unwrap_err().help.unwrap_or_default();
    assert!(elsewhere("libm.so").contains("cc -shared -o libm.so libm.o"));
    assert!(elsewhere("x/libm.dylib").contains("cc -shared -o x/libm.dylib x/libm.o"));
    assert!(kind("m.dll").unwrap_err().contains("cc -shared -o m.dll m.o"));
    assert!(kind("m.h").unwrap_err().contains("-o NAME.o"));
    for name in ["m.c", "m.py", "m.o.tmp", "m.exe"] {
        assert!(kind(name).unwrap_err().contains(".o for an object"), "{name}");
    }
}
