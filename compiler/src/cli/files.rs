//! Where output goes: the standard output, a device or pipe that is written through, or a regular file.
//!
//! A regular file is written beside its place under another name and renamed when whole, so that nobody ever finds half
//! of one, and a failure leaves what was there. What is no regular file is never replaced. Symbolic links are followed.
//! A place is looked at before the work that it waits for begins.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use smc::{
    base::{Diagnostic, Problems},
    saved::{Model, revise::Revised},
};

/// A place for output that was there, and open to writing, when it was looked at.
#[derive(Debug)]
pub enum Destination {
    /// `-`.
    Standard,
    /// What exists and is no regular file: a device, a pipe.
    Through(PathBuf),
    Regular {
        /// As the user wrote it.
        shown: PathBuf,
        /// Behind all links.
        path: PathBuf,
        /// Those of the file that is there already.
        permissions: Option<Permissions>,
    },
}

impl Destination {
    /// Looks at a path: says what is wrong with it as far as that can be known without writing.
    pub fn find(path: &Path) -> Result<Destination, Diagnostic> {
        if path == Path::new("-") {
            return Ok(Destination::Standard);
        }
        let target = behind_links(path)?;
        let permissions = match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(failure(path, "it is a directory").help("give the name of a file in it"));
            }
            Ok(found) if !found.is_file() => return Ok(Destination::Through(path.into())),
            Ok(found) => {
                OpenOptions::new().write(true).open(path).map_err(|e| failure(path, e))?;
                Some(found.permissions())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(failure(path, e)),
        };
        let folder = folder(&target);
        if !folder.is_dir() {
            return Err(failure(path, format!("there is no folder {}", folder.display())));
        }
        // The file that this makes vanishes at once.
        beside(&target).map_err(|e| failure(path, format!("no file can be made in {}: {e}", folder.display())))?;
        Ok(Destination::Regular { shown: path.into(), path: target, permissions })
    }
    /// Whether both are one place, so that what is written last would be all that is left.
    pub fn is(&self, other: &Destination) -> bool {
        match (self, other) {
            (Destination::Standard, Destination::Standard) => true,
            (Destination::Through(a), Destination::Through(b)) => a == b,
            (Destination::Regular { path: a, .. }, Destination::Regular { path: b, .. }) => a == b,
            _ => false,
        }
    }
    /// Refuses a terminal, for bytes that are no text.
    pub fn takes_bytes(&self) -> Result<(), Diagnostic> {
        match self {
            Destination::Standard if io::stdout().is_terminal() => {
                Err(Diagnostic::error("bytes are not written to a terminal")
                    .help("redirect the output, or name a file"))
            }
            _ => Ok(()),
        }
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Destination::Standard => write!(f, "standard output"),
            Destination::Through(path) | Destination::Regular { shown: path, .. } => write!(f, "{}", path.display()),
        }
    }
}

/// What is written to a place: files of gigabytes are not made in memory first.
pub type Content<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<()>;

/// Writes everything or, as far as the file system allows, nothing: each regular file is complete before anything is
/// written through, and that before the first file is renamed.
pub fn write_all(outputs: &[(&Destination, Content<'_>)]) -> Result<(), Problems> {
    let mut ready = vec![];
    for (to, content) in outputs {
        let Destination::Regular { shown, path, permissions } = to else { continue };
        let whole = || -> io::Result<tempfile::NamedTempFile> {
            let mut file = beside(path)?;
            content(&mut file)?;
            file.flush()?;
            if let Some(permissions) = permissions {
                file.as_file().set_permissions(permissions.clone())?;
            }
            Ok(file)
        };
        ready.push((shown, path, whole().map_err(|e| failure(shown, e))?));
    }
    for (to, content) in outputs {
        match to {
            Destination::Standard => {
                let mut out = io::stdout().lock();
                content(&mut out).and_then(|()| out.flush()).map_err(|e| failure(Path::new("standard output"), e))?;
            }
            Destination::Through(path) => {
                let write = |mut file: File| content(&mut file).and_then(|()| file.flush());
                OpenOptions::new().write(true).open(path).and_then(write).map_err(|e| failure(path, e))?;
            }
            Destination::Regular { .. } => {}
        }
    }
    for (shown, path, file) in ready {
        file.persist(path).map_err(|e| failure(shown, e.error))?;
    }
    Ok(())
}

/// A folder to be written, which did not exist or was empty when it was looked at.
#[derive(Debug)]
pub struct Folder {
    /// As the user wrote it.
    shown: PathBuf,
    /// Behind all links.
    path: PathBuf,
}

impl Folder {
    /// Looks at a path: says what is wrong with it as far as that can be known without writing.
    pub fn find(path: &Path) -> Result<Folder, Diagnostic> {
        let target = behind_links(path)?;
        let target = target.canonicalize().unwrap_or(target);
        match fs::read_dir(&target).map(|mut entries| entries.next().is_some()) {
            Ok(false) => {}
            Ok(true) => {
                let help = "name a folder that does not exist yet: a model is never written over another";
                return Err(unwritten(path, "the folder exists and is not empty").help(help));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(unwritten(path, e)),
        }
        let above = folder(&target);
        let existing = above.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
        // The file that this makes vanishes at once.
        let try_it = tempfile::tempfile_in(if existing == Path::new("") { Path::new(".") } else { existing });
        try_it.map_err(|e| unwritten(path, format!("nothing can be made in {}: {e}", existing.display())))?;
        Ok(Folder { shown: path.into(), path: target })
    }

    /// Refuses a place within the model that it is to be made of.
    pub fn is_apart(&self, original: &Model) -> Result<(), Diagnostic> {
        match fs::canonicalize(original.shown_folder()).is_ok_and(|of| self.path.starts_with(of)) {
            true => {
                Err(unwritten(&self.shown, "it lies in the folder of the model itself").help("name a folder beside it"))
            }
            false => Ok(()),
        }
    }

    /// Writes a model that was made of another one. It is whole in a folder beside its place before it is renamed, so that
    /// a failure leaves nothing.
    pub fn write_model(&self, original: &Model, revised: &Revised) -> Result<(), Problems> {
        self.is_apart(original)?;
        let above = folder(&self.path);
        let made: Vec<_> = above.ancestors().take_while(|folder| !folder.exists()).collect();
        let written = fs::create_dir_all(above).and_then(|()| self.write_in(above, revised));
        if let Err(e) = written {
            made.iter().for_each(|folder| drop(fs::remove_dir(folder)));
            return Err(unwritten(&self.shown, e).into());
        }
        Ok(())
    }

    /// As the user wrote it.
    pub fn shown(&self) -> &Path {
        &self.shown
    }

    fn write_in(&self, above: &Path, revised: &Revised) -> io::Result<()> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".smc-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let whole = builder.tempdir_in(above)?;
        for path in revised.paths() {
            let to = whole.path().join(&path);
            fs::create_dir_all(folder(&to))?;
            let mut file = File::create_new(to)?;
            revised.copy(&path, &mut file)?;
            // Some file systems say only now that they are full.
            file.sync_all()?;
        }
        // Others than Unix rename to no folder, not even an empty one.
        #[cfg(not(unix))]
        let _ = fs::remove_dir(&self.path);
        fs::rename(whole.path(), &self.path)?;
        let _ = whole.keep();
        Ok(())
    }
}

fn unwritten(path: &Path, e: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error(format!("cannot write the model: {e}")).in_file(path.display())
}

fn failure(path: &Path, e: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error(format!("cannot write the file: {e}")).in_file(path.display())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file without a lasting name in the folder of another.
fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".smc-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder(path))
}

/// Where a path leads: its links followed, also those to what does not exist yet. Names the folder in one way, so that
/// equal places have equal paths.
fn behind_links(path: &Path) -> Result<PathBuf, Diagnostic> {
    /// As many as the kernel of Linux follows.
    const MOST: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..MOST {
        match fs::read_link(&path) {
            Ok(next) => path = folder(&path).join(next),
            Err(_) => {
                let whole = path.file_name().and_then(|name| Some(folder(&path).canonicalize().ok()?.join(name)));
                return Ok(whole.unwrap_or(path));
            }
        }
    }
    Err(failure(&path, "its links lead in a circle"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (a, missing) = (folder.path().join("a"), folder.path().join("missing/b"));
        assert!(Destination::find(&missing).unwrap_err().message.contains("there is no folder"));
        assert!(Destination::find(folder.path()).unwrap_err().message.contains("directory"));
        let (good, gone) = (
            Destination::find(&a).unwrap(),
            Destination::Regular { shown: missing.clone(), path: missing, permissions: None },
        );
        assert!(write_all(&[(&good, &|out| out.write_all(b"1")), (&gone, &|out| out.write_all(b"2"))]).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        write_all(&[(&good, &|out| out.write_all(b"1"))]).unwrap();
        assert_eq!(fs::read(&a).unwrap(), b"1");
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_links_and_permissions_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("deep")).unwrap();
        symlink("deep/file", at("link")).unwrap();
        symlink("link", at("second")).unwrap();
        for bytes in [b"1", b"2"] {
            write_all(&[(&Destination::find(&at("second")).unwrap(), &|out| out.write_all(bytes))]).unwrap();
            assert_eq!(fs::read(at("deep/file")).unwrap(), bytes);
            fs::set_permissions(at("deep/file"), Permissions::from_mode(0o640)).unwrap();
        }
        write_all(&[(&Destination::find(&at("link")).unwrap(), &|out| out.write_all(b"3"))]).unwrap();
        assert_eq!(fs::metadata(at("deep/file")).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(at("second")).unwrap().is_symlink());
        assert!(Destination::find(&at("link")).unwrap().is(&Destination::find(&at("deep/../deep/file")).unwrap()));
        symlink("a", at("b")).unwrap();
        symlink("b", at("a")).unwrap();
        assert!(Destination::find(&at("a")).is_err());
    }
}
