//! Where training was left: the state in a file like that of `smc run --state`, and beside it how far training had come
//! (`.json`) and, where the best epoch is kept, the state that it left (`.best`).

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use smc::{
    base::{Diagnostic, Problems},
    driver::{
        Block, Executable,
        train::{LEARNING_RATE, Learned, Mark, OWN, Progress},
    },
};
use smc_runtime::state::CHECKSUM;

use super::files::{self, Content, Destination};

/// Three files, each looked at.
pub struct Checkpoint {
    path: PathBuf,
    state: Destination,
    course: Destination,
    best: Destination,
}

/// What `.json` holds.
#[derive(Serialize, Deserialize)]
struct Record {
    /// Of the state that it belongs to.
    checksum: u64,
    training: Mark,
    progress: Progress,
}

/// What was found in the files.
pub enum Found {
    Nothing,
    /// A state that another training left, or none.
    Variables,
    /// The training that is asked for.
    Course,
}

impl Checkpoint {
    pub fn find(path: &Path) -> Result<Checkpoint, Diagnostic> {
        let regular = |path: PathBuf| match Destination::find(&path)? {
            place @ Destination::Regular { .. } => Ok(place),
            _ => Err(Diagnostic::error("a training is kept in regular files").in_file(path.display())),
        };
        Ok(Checkpoint {
            path: path.into(),
            state: regular(path.into())?,
            course: regular(behind(path, ".json"))?,
            best: regular(behind(path, ".best"))?,
        })
    }
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes over what the files hold. The learning rate is that of the present command, as all settings are.
    pub fn read(&self, executable: &Executable, mark: &Mark, learned: &mut Learned) -> Result<Found, Problems> {
        let Some(bytes) = read(&self.path)? else { return Ok(Found::Nothing) };
        let mut state = load(executable, &self.path, &bytes)?;
        let slots = executable.interface().state.iter().flat_map(|state| &state.layout.slots);
        slots
            .filter(|slot| slot.name == format!("{OWN}{LEARNING_RATE}"))
            .for_each(|slot| state.take(slot, &learned.state));
        learned.state = state;
        let record = read(&behind(&self.path, ".json"))?.and_then(|text| serde_json::from_slice::<Record>(&text).ok());
        let same = |record: &Record| Some(record.checksum) == checksum(&bytes) && record.training == *mark;
        let Some(record) = record.filter(same) else { return Ok(Found::Variables) };
        if mark.keeps_best && record.progress.best().is_some() {
            let path = behind(&self.path, ".best");
            let bytes = read(&path)?.ok_or_else(|| {
                let what = "the file with the state of the best epoch is gone";
                Diagnostic::error(what)
                    .in_file(path.display())
                    .help("leave --patience out, and the training begins anew")
            })?;
            learned.best = Some(load(executable, &path, &bytes)?);
        }
        learned.progress = record.progress;
        Ok(Found::Course)
    }

    pub fn write(&self, executable: &Executable, mark: &Mark, learned: &Learned) -> Result<(), Problems> {
        let state = executable.save(&learned.state)?;
        let best = learned.best.as_ref().map(|best| executable.save(best)).transpose()?;
        let record = Record {
            checksum: checksum(&state).unwrap_or(0),
            training: mark.clone(),
            progress: learned.progress.clone(),
        };
        let record = serde_json::to_string_pretty(&record).expect("plain data");
        let mut outputs: Vec<(&Destination, Content<'_>)> = vec![];
        let (state, record) = (whole(&state), whole(record.as_bytes()));
        let best = best.as_deref().map(whole);
        outputs.extend(best.as_ref().map(|best| -> (_, Content<'_>) { (&self.best, best) }));
        // The state comes last: a record of another state says nothing.
        outputs.push((&self.course, &record));
        outputs.push((&self.state, &state));
        files::write_all(&outputs)
    }
}

fn whole(bytes: &[u8]) -> impl Fn(&mut dyn Write) -> io::Result<()> + '_ {
    move |out| out.write_all(bytes)
}

fn load(executable: &Executable, path: &Path, bytes: &[u8]) -> Result<Block, Diagnostic> {
    executable.load(bytes).map_err(|problem| {
        let help = "the file stays as it is; it may be of another model, optimizer or choice of what learns: `smc state \
                    show FILE` tells";
        problem.in_file(path.display()).help(help)
    })
}

/// That which a saved state has in its header.
fn checksum(state: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(state.get(CHECKSUM..)?.first_chunk().copied()?))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Diagnostic> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Diagnostic::error(format!("cannot read the state: {e}")).in_file(path.display())),
    }
}

/// The path with something behind its name.
pub fn behind(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}
