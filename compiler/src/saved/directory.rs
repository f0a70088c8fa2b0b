//! Which files of a folder make up the model: its version, its main file, the meta graph with the wanted tags.

use prost::Message;
use smc_proto::{FingerprintDef, MetaGraphDef, SavedModel};

use super::{
    Options,
    files::{Files, read_all},
    foreign, text,
};
use crate::base::{Diagnostic, Problems};

/// The parts of a folder that were chosen and decoded.
pub(super) struct Opened {
    /// The version's folder with a slash behind it; empty when the model is not versioned.
    pub folder: String,
    /// The main file.
    pub path: String,
    pub bytes: usize,
    pub meta: MetaGraphDef,
    pub fingerprint: Option<FingerprintDef>,
}

/// In the order in which they are preferred.
const MAIN_FILES: [&str; 3] = ["saved_model.pb", "saved_model.pbtxt", "saved_model.cpb"];

/// What stands beside the main file.
const BESIDE: [&str; 2] = ["fingerprint.pb", "variables"];

pub(super) fn open(files: &dyn Files, options: &Options) -> Result<Opened, Problems> {
    let folder = version_folder(files, options.version)?;
    let exists = |name: &&&str| files.size(&format!("{folder}{name}")).is_some();
    let name = MAIN_FILES.iter().find(exists).expect("the folder was chosen because it has one");
    let path = format!("{folder}{name}");
    let shown = files.shown(&path);
    let bytes = read_all(files, &path)?.unwrap_or_default();
    let damaged = |what: String| {
        Diagnostic::error(format!("this is not a readable SavedModel: {what}"))
            .in_file(&shown)
            .help("the file is truncated or corrupt; copy or export the model again")
    };
    let size = bytes.len();
    let model = match *name {
        "saved_model.pb" => {
            let decoded = SavedModel::decode(bytes.clone());
            // Some other bytes decode as a message without contents.
            let other = || foreign::other_bytes(&bytes).map(|d| d.in_file(&shown));
            match decoded {
                Ok(model) if !model.meta_graphs.is_empty() => model,
                Ok(model) => other().map_or(Ok(model), Err)?,
                Err(e) => return Err(other().unwrap_or_else(|| damaged(e.to_string())).into()),
            }
        }
        "saved_model.pbtxt" => {
            let model = text::decode::<SavedModel>(&bytes, "tensorflow.SavedModel").map_err(damaged)?;
            // The fields of a graph are unknown ones, which are skipped.
            let graph = || text::decode(&bytes, "tensorflow.GraphDef").ok();
            let graph = if model.meta_graphs.is_empty() { graph() } else { None };
            match graph.and_then(|graph| foreign::frozen(&graph)) {
                Some(problem) => return Err(problem.in_file(shown).into()),
                None => model,
            }
        }
        _ => {
            return Err(Diagnostic::error("the model is split into chunks (saved_model.cpb), which smc does not read")
                .in_file(shown)
                .help("save it again without `experimental_image_format`, which gives a saved_model.pb")
                .into());
        }
    };
    let meta = choose_meta_graph(model, &options.tags).map_err(|d| d.in_file(&shown))?;
    let fingerprint = read_all(files, &format!("{folder}fingerprint.pb"))?.and_then(|b| FingerprintDef::decode(b).ok());
    Ok(Opened { folder, path, bytes: size, meta, fingerprint })
}

/// The folder itself, or the folder of a version in it as TensorFlow Serving lays them out.
fn version_folder(files: &dyn Files, wanted: Option<u64>) -> Result<String, Diagnostic> {
    let is_model = |folder: &str| MAIN_FILES.iter().any(|name| files.size(&format!("{folder}{name}")).is_some());
    let here = || files.shown("");
    if is_model("") {
        return match wanted {
            None => Ok(String::new()),
            Some(version) => {
                Err(Diagnostic::error(format!("the model has no versions, so there is no version {version}"))
                    .in_file(here())
                    .help("leave out the version, or name the folder above the numbered ones"))
            }
        };
    }
    let number = |name: &str| name.bytes().all(|b| b.is_ascii_digit()).then(|| name.parse::<u64>().ok()).flatten();
    let numbered = files.list("").into_iter().filter_map(|name| Some((number(&name)?, format!("{name}/"))));
    let mut versions: Vec<_> = numbered.filter(|(_, folder)| is_model(folder)).collect();
    versions.sort();
    let Some(version) = wanted else {
        let newest = versions.pop().map(|(_, folder)| folder);
        return newest.ok_or_else(|| {
            let problem = Diagnostic::error("there is no SavedModel in this folder").in_file(here());
            if BESIDE.iter().any(|name| files.list("").iter().any(|file| file == name)) {
                let what = "the folder is of a SavedModel whose main file, saved_model.pb, is missing";
                return Diagnostic::error(what)
                    .in_file(here())
                    .help("copy the whole folder, or export the model again");
            }
            let named = |name: String| Some((foreign::kind(&name, b"")?, name));
            match files.list("").into_iter().find_map(named) {
                Some(((what, help), name)) => problem.help(format!("`{name}` is {what}: {help}")),
                None => problem.help("name the folder that holds saved_model.pb, or one with numbered versions of it"),
            }
        });
    };
    let available: Vec<_> = versions.iter().map(|(v, _)| v.to_string()).collect();
    versions.into_iter().find(|(v, _)| *v == version).map(|(_, folder)| folder).ok_or_else(|| {
        Diagnostic::error(format!("the model has no version {version}"))
            .in_file(here())
            .help(format!("available versions: {}", available.join(", ")))
    })
}

/// The meta graph whose set of tags equals the wanted one; by default the only one, or the one for serving.
fn choose_meta_graph(model: SavedModel, wanted: &[String]) -> Result<MetaGraphDef, Diagnostic> {
    let tags_of = |meta: &MetaGraphDef| {
        let mut tags = meta.meta_info_def.as_ref().map(|info| info.tags.clone()).unwrap_or_default();
        tags.sort();
        tags.dedup();
        tags
    };
    let mut graphs = model.meta_graphs;
    let mut tags = if wanted.is_empty() { vec!["serve".to_string()] } else { wanted.to_vec() };
    tags.sort();
    tags.dedup();
    let only_one = wanted.is_empty() && graphs.len() == 1;
    let found = if only_one { Some(0) } else { graphs.iter().position(|g| tags_of(g) == tags) };
    match found {
        Some(at) => Ok(graphs.swap_remove(at)),
        None if graphs.is_empty() => Err(Diagnostic::error("the file holds no graph")
            .help("the file is empty or not a SavedModel; export the model again")),
        None => {
            let sets: Vec<_> = graphs.iter().map(|g| format!("{{{}}}", tags_of(g).join(","))).collect();
            Err(Diagnostic::error(format!("no graph of the model has exactly the tags {{{}}}", tags.join(",")))
                .help(format!("choose one of these sets of tags: {}", sets.join(" "))))
        }
    }
}
