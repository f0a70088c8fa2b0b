//! Output files: written beside their place under another name and renamed when whole, so that nobody ever finds half
//! of one, and a failure leaves what was there.

use std::{io::Write, path::Path};

use smc::base::Diagnostic;

/// Writes all files or, as far as the file system allows, none: each is complete before the first is renamed.
pub fn write_all(files: &[(&Path, &[u8])]) -> Result<(), Diagnostic> {
    let fail = |path: &Path, e: &dyn std::fmt::Display| {
        Diagnostic::error(format!("cannot write the file: {e}")).in_file(path.display())
    };
    let mut ready = vec![];
    for (path, bytes) in files {
        let folder = match path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            return Err(fail(path, &format!("there is no folder {}", folder.display())));
        }
        if path.is_dir() {
            return Err(fail(path, &"it is a directory"));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".smc-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder).map_err(|e| fail(path, &e))?;
        file.write_all(bytes).and_then(|()| file.flush()).map_err(|e| fail(path, &e))?;
        ready.push((path, file));
    }
    for (path, file) in ready {
        file.persist(path).map_err(|e| fail(path, &e.error))?;
    }
    Ok(())
}

#[test]
fn a_failure_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("missing/b"));
    assert!(write_all(&[(&a, b"1"), (&b, b"2")]).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    write_all(&[(&a, b"1")]).unwrap();
    assert_eq!(std::fs::read(&a).unwrap(), b"1");
}
