//! A loaded model: its entry points, and the flat graph of each.

use std::sync::{Arc, OnceLock};

use prost::Message;
use sha2::{Digest, Sha256};
use smc_proto::{
    DataType, FingerprintDef, MetaGraphDef, NameAttrList, TensorProto, VariableDef, attr_value::Value,
    collection_def::Kind as Collected, saved_object::Kind,
};

use super::{
    body::{self, Bodies},
    bundle::Bundle,
    custom::Operators,
    directory,
    files::{Disk, Files, read_all},
    foreign, forest, frames,
    generators::{self, Beginning},
    graph::{Branches, Builder, Library, Node, NodeOutput, Origin, Port, Reference, TfGraph},
    init::{self, Asset, Initialiser},
    initial, lent,
    objects::Objects,
    resources::Resources,
    restore::{Restored, is_variable},
    signature::{self, Signature, SignatureKind, Slot, SlotPlace},
    tables,
    types::{TfShape, TfType, base_type, data_type},
    variables::{self, Sources, Variable},
    writes::{Writes, writes},
};
use crate::{
    base::{Diagnostic, Problems, names::advice},
    tensor::Tensor,
};

/// Which of a folder's models is meant.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The exact set of tags of the graph; empty for the only graph, or the one tagged `serve`.
    pub tags: Vec<String>,
    /// The numbered version; by default the newest.
    pub version: Option<u64>,
    /// What operators mean that are none of TensorFlow's.
    pub operators: Arc<Operators>,
}

/// A SavedModel whose main file is decoded; weights stay in their files until they are read.
pub struct Model {
    files: Arc<dyn Files>,
    folder: String,
    path: String,
    bytes: usize,
    meta: MetaGraphDef,
    fingerprint: Option<FingerprintDef>,
    bundle: Option<Bundle>,
    signatures: Vec<Signature>,
    operators: Arc<Operators>,
    /// What is known of variables; worked out at the first graph.
    sources: OnceLock<Result<Sources, Problems>>,
}

impl Model {
    /// Loads the model in a folder on disk.
    pub fn open(folder: impl Into<std::path::PathBuf>, options: &Options) -> Result<Model, Problems> {
        let folder = folder.into();
        match foreign::refuse(&folder) {
            Some(problem) => Err(problem.into()),
            None => Model::load(Arc::new(Disk::new(folder)), options),
        }
    }

    /// Loads a model from its files.
    pub fn load(files: Arc<dyn Files>, options: &Options) -> Result<Model, Problems> {
        let opened = directory::open(&*files, options)?;
        let directory::Opened { folder, path, bytes, meta, fingerprint } = opened;
        let bundle = Bundle::open(files.clone(), &format!("{folder}variables/variables"))?;
        let mut signatures = signature::declared(&meta);
        if signatures.is_empty() {
            signatures = signature::exported(&meta);
        }
        let sources = OnceLock::new();
        let ops = meta.meta_info_def.as_ref().and_then(|info| info.stripped_op_list.as_ref());
        let operators = options.operators.beside(ops.map_or(&[], |list| &list.op));
        Ok(Model { files, folder, path, bytes, meta, fingerprint, bundle, signatures, operators, sources })
    }

    /// The declared signatures, or the exported functions when there is none; in order of names.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The functions that the model's objects export, by the path of attributes that leads to each.
    pub fn functions(&self) -> Vec<Signature> {
        signature::exported(&self.meta)
    }

    /// What is said of a model without any entry point.
    pub fn no_signature(&self) -> Diagnostic {
        Diagnostic::error("the model has no signature and exports no function")
            .in_file(self.shown_path())
            .help(format!("save it with one: {}", foreign::EXPORT))
    }

    /// A signature or an exported function by name; the error lists what there is.
    pub fn signature(&self, name: &str) -> Result<Signature, Diagnostic> {
        let is_named = |s: &Signature| {
            s.name == name || matches!(&s.kind, SignatureKind::Function { function } if function == name)
        };
        if let Some(found) = self.signatures.iter().find(|s| is_named(s)) {
            return Ok(found.clone());
        }
        let functions = self.functions();
        if let Some(found) = functions.iter().find(|s| is_named(s)) {
            return Ok(found.clone());
        }
        let names: Vec<_> = self.signatures.iter().map(|s| s.name.as_str()).collect();
        let help = match names.len() {
            0 => "the model exports nothing that could be compiled".to_string(),
            _ => advice(name, "signatures", &names),
        };
        Err(Diagnostic::error(format!("the model has no signature `{name}`")).in_file(self.shown_path()).help(help))
    }

    /// The main file as the user would open it.
    pub fn shown_path(&self) -> String {
        self.files.shown(&self.path)
    }
    /// The folder of the chosen version, as the user would open it.
    pub fn shown_folder(&self) -> String {
        self.files.shown(self.folder.trim_end_matches('/'))
    }
    pub fn tags(&self) -> Vec<String> {
        self.meta.meta_info_def.as_ref().map(|i| i.tags.clone()).unwrap_or_default()
    }
    /// The version of TensorFlow that wrote the model; empty when it does not say.
    pub fn tensorflow_version(&self) -> &str {
        self.meta.meta_info_def.as_ref().map_or("", |i| &i.tensorflow_version)
    }
    /// The files that the model was loaded from, and the chosen version's folder in them with a slash behind it.
    pub(super) fn files(&self) -> (&Arc<dyn Files>, &str) {
        (&self.files, &self.folder)
    }
    pub fn fingerprint(&self) -> Option<&FingerprintDef> {
        self.fingerprint.as_ref()
    }
    /// SHA-256 of the main file and of the checkpoint's index, which holds a checksum of every stored tensor.
    pub fn digest(&self) -> Result<[u8; 32], Diagnostic> {
        let mut hash = Sha256::new();
        let listed = self.bundle.iter().flat_map(|b| b.listed_in());
        for path in std::iter::once(&self.path).chain(listed) {
            hash.update(read_all(&*self.files, path)?.unwrap_or_default());
        }
        Ok(hash.finalize().into())
    }
    /// The stored variables, if the model has any.
    pub fn bundle(&self) -> Option<&Bundle> {
        self.bundle.as_ref()
    }
    /// The files that the model reads when it is initialised.
    pub fn assets(&self) -> Vec<Asset> {
        init::assets(&self.meta, &*self.files, &self.folder)
    }
    /// The operations that TensorFlow runs once after loading, such as filling lookup tables.
    pub fn initialisers(&self) -> Result<Vec<Initialiser>, Problems> {
        let graph = init::graph(&self.meta, &self.library(), &self.assets()).map_err(|p| self.located(p))?;
        Ok(init::initialisers(&graph))
    }

    /// What computes the value of a variable that the initialisation sets: a graph without inputs, whose variables are
    /// those that were restored, and the places of generators.
    pub fn initial(&self, variable: &Variable) -> Result<TfGraph, Problems> {
        let unknown = |why: String| Diagnostic::error(why).in_file(self.shown_path());
        let initial = variable.initial.as_ref().ok_or_else(|| unknown("the initialisation does not set it".into()))?;
        let library = self.library();
        let init = init::graph(&self.meta, &library, &self.assets())?;
        let mut graph = initial::value(&init, initial, &variable.ty).map_err(unknown)?;
        let sources = self.sources(&library)?;
        let restored = Sources { initialised: Default::default(), ..sources.clone() };
        variables::resolve(&mut graph, Writes::default(), &restored, self.bundle.as_ref())?;
        let mut graph = frames::functional(graph)?;
        generators::add(&mut graph, "");
        Ok(graph)
    }

    /// The stored value of a variable, read now.
    pub fn read(&self, variable: &Variable) -> Result<Tensor, Problems> {
        if let Some(initial) = &variable.initial {
            let what = format!("variable `{}` is set when the model is initialised", variable.name);
            return Err(Diagnostic::error(what).at_node(&initial.writer).into());
        }
        if variable.unset {
            let what = format!(
                "variable `{}` has no value: neither the saved objects nor the restore graph name one, and no signature \
                 that is compiled assigns one",
                variable.name
            );
            let help = "export the model again; smc never guesses by names which weights belong to a variable";
            return Err(Diagnostic::error(what).help(help).into());
        }
        if let Some(Beginning { place, .. }) = &variable.begins {
            return Ok(Tensor::from_i64([place.len()], place));
        }
        let missing = || Diagnostic::error("the model has no variables").in_file(self.shown_folder());
        let bundle = self.bundle.as_ref().ok_or_else(missing)?;
        Ok(bundle.read(&variable.key, variable.part.as_ref())?)
    }

    /// Whether a variable is in a layer that the author froze, and could be trained otherwise, as far as the model tells.
    pub fn is_frozen(&self, variable: &Variable) -> bool {
        let Ok(sources) = self.known() else { return false };
        match sources.objects.trainable.contains_key(&variable.key) {
            true => sources.objects.frozen.contains(&variable.key),
            false => self.collected(variable) == Some((false, true)),
        }
    }

    /// Whether the author's training changes a variable, where the model tells: by its saved objects, or by the collections of
    /// TensorFlow 1. Those of frozen layers count.
    pub fn is_trainable(&self, variable: &Variable) -> Option<bool> {
        if let Some(&flag) = self.known().ok()?.objects.trainable.get(&variable.key) {
            return Some(flag);
        }
        self.collected(variable).map(|(trained, could_be)| trained || could_be)
    }

    /// Whether a variable is among those that training changes, and whether its own definition says that it could be; nothing
    /// where the model has no such collection.
    fn collected(&self, variable: &Variable) -> Option<(bool, bool)> {
        let definition = |collection: &str| {
            let Some(Collected::BytesList(list)) = &self.meta.collection_def.get(collection)?.kind else { return None };
            let all = list.value.iter().filter_map(|bytes| VariableDef::decode(&bytes[..]).ok());
            let is_it = |name: &str| name.strip_suffix(":0").unwrap_or(name) == variable.name;
            Some(all.into_iter().find(|definition| is_it(&definition.variable_name)))
        };
        let trained = definition("trainable_variables")?.is_some();
        let could_be = definition("variables").flatten().is_some_and(|definition| definition.trainable);
        Some((trained, could_be))
    }

    /// The flat graph of an entry point, in which all branches are open.
    pub fn graph(&self, signature: &Signature) -> Result<TfGraph, Problems> {
        self.graph_taking(signature, &Branches::new())
    }

    /// The flat graph of an entry point in which these branches are taken.
    pub fn graph_taking(&self, signature: &Signature, branches: &Branches) -> Result<TfGraph, Problems> {
        let library = self.library();
        let (graph, scope) = self.flattened(&library, signature, branches);
        graph.and_then(|graph| self.finish(&library, graph, scope)).map_err(|p| self.located(p))
    }

    /// The same with control flow as the file writes it: functions by their names, or the edges of TensorFlow 1.
    pub fn graph_as_written(&self, signature: &Signature, branches: &Branches) -> Result<TfGraph, Problems> {
        let library = self.library();
        let (graph, _) = self.flattened(&library, signature, branches);
        graph.and_then(|graph| self.with_variables(&library, graph)).map_err(|p| self.located(p))
    }

    /// The graph with its functions inlined, and the function whose graph it is, if it is one's.
    fn flattened<'s>(
        &self,
        library: &Library,
        signature: &'s Signature,
        branches: &Branches,
    ) -> (Result<TfGraph, Problems>, &'s str) {
        let builder = Builder::taking(library, branches);
        match &signature.kind {
            SignatureKind::Declared { .. } => (self.declared_graph(builder, library, signature), ""),
            SignatureKind::Function { function } => {
                (self.function_graph(builder, signature, function), function.as_str())
            }
        }
    }

    /// The body of functional control flow: what a function named in an attribute computes from its arguments.
    pub fn body(&self, function: &NameAttrList) -> Result<TfGraph, Problems> {
        let library = self.library();
        let body = body::body(&library, function).and_then(|g| self.finish(&library, g, &function.name));
        body.map_err(|p| self.located(p))
    }

    pub(super) fn library(&self) -> Library<'_> {
        Library::new(self.meta.graph_def.as_ref(), self.operators.clone(), self.bytes)
    }

    /// What is declared of operators that are none of TensorFlow's.
    pub fn operators(&self) -> &Arc<Operators> {
        &self.operators
    }

    fn located(&self, problems: Problems) -> Problems {
        let path = self.shown_path();
        problems.map(|d| d.in_file(&path))
    }

    /// Ties a graph's variables to their values, gives its control flow its bodies, and makes that of TensorFlow 1
    /// functional. `function` is whose graph it is, if it is a function's.
    fn finish(&self, library: &Library, graph: TfGraph, function: &str) -> Result<TfGraph, Problems> {
        let mut graph = self.finish_within(library, graph, function, &mut Bodies::default())?;
        if tables::has_readers(&graph) {
            self.with_resources(library, |resources| {
                tables::resolve(&mut graph, resources, &*self.files, &self.folder, tables::changer(&self.meta));
            })?;
        }
        Ok(graph)
    }

    fn finish_within(
        &self,
        library: &Library,
        graph: TfGraph,
        function: &str,
        bodies: &mut Bodies,
    ) -> Result<TfGraph, Problems> {
        let mut graph = self.with_variables(library, graph)?;
        for (id, node) in graph.nodes.iter() {
            for (which, region) in node.regions().into_iter().enumerate() {
                let finish = |bodies: &mut Bodies, body| self.finish_within(library, body, &region.name, bodies);
                graph.bodies.insert((id, which), bodies.body(library, region, finish));
            }
        }
        let mut graph = frames::functional(graph)?;
        let scope = if function.is_empty() { String::new() } else { format!("{function}/") };
        generators::add(&mut graph, &scope);
        lent::leave_out(&mut graph);
        if graph.nodes.iter().any(|(_, node)| forest::runs(&node.op)) {
            self.with_resources(library, |resources| {
                forest::resolve(&mut graph, resources, &*self.files, &self.folder);
            })?;
        }
        Ok(graph)
    }

    /// What the initialisation fills, for those who look for it.
    fn with_resources(&self, library: &Library, look: impl FnOnce(&Resources<'_>)) -> Result<(), Problems> {
        let (init, assets) = (init::graph(&self.meta, library, &self.assets())?, self.assets());
        let objects = &self.sources(library)?.objects;
        look(&Resources { init: &init, objects, assets: &assets });
        Ok(())
    }

    fn with_variables(&self, library: &Library, mut graph: TfGraph) -> Result<TfGraph, Problems> {
        // What may be wrong with variables does not concern graphs that have none.
        let writes = writes(&graph, library)?;
        if writes.inside.is_empty() && !graph.nodes.iter().any(|(_, n)| is_variable(&n.op)) {
            return Ok(graph);
        }
        variables::resolve(&mut graph, writes, self.sources(library)?, self.bundle.as_ref())?;
        Ok(graph)
    }

    /// What is known of the model's variables.
    pub(super) fn known(&self) -> Result<&Sources, Problems> {
        match self.sources.get() {
            Some(known) => known.as_ref().map_err(Problems::clone),
            None => self.sources(&self.library()),
        }
    }
    /// The path of the main file among the model's files.
    pub(super) fn main_file(&self) -> &str {
        &self.path
    }
    pub(super) fn meta(&self) -> &MetaGraphDef {
        &self.meta
    }

    fn sources(&self, library: &Library) -> Result<&Sources, Problems> {
        let read = || {
            let objects = Objects::read(&self.meta, self.bundle.as_ref())?;
            let init = init::graph(&self.meta, library, &self.assets())?;
            let initialised = initial::assigned(&init, &writes(&init, library)?);
            let (restored, restore_faults) = match Restored::read(&self.meta, library) {
                Ok(restored) => (restored, Problems::default()),
                Err(faults) => (Restored::default(), faults),
            };
            Ok(Sources { objects, restored, restore_faults, initialised })
        };
        self.sources.get_or_init(read).as_ref().map_err(Problems::clone)
    }

    fn declared_graph(
        &self,
        mut builder: Builder,
        library: &Library,
        signature: &Signature,
    ) -> Result<TfGraph, Problems> {
        let mut problems = Problems::default();
        let mut inputs = Vec::new();
        for slot in &signature.inputs {
            let port = tensor_name(signature, slot, "input").and_then(|tensor| {
                let (at, index) = builder.locate(tensor)?;
                let ty = self.input_type(&library.main.nodes[at], index, &slot.ty);
                builder.feed(&slot.key, tensor, ty).map_err(|d| of_slot(d, "input", slot, tensor))
            });
            collect(port, &mut inputs, &mut problems);
        }
        let mut outputs = Vec::new();
        for slot in &signature.outputs {
            let source = tensor_name(signature, slot, "output")
                .and_then(|tensor| builder.fetch(tensor).map_err(|d| of_slot(d, "output", slot, tensor)));
            collect(
                source.map(|source| Port { key: slot.key.clone(), source, ty: slot.ty.clone() }),
                &mut outputs,
                &mut problems,
            );
        }
        problems.or(())?;
        builder.finish(inputs, outputs)
    }

    /// What a fed tensor looks like: the node's own attributes are right where the signature contradicts them.
    fn input_type(&self, node: &smc_proto::NodeDef, index: u32, declared: &TfType) -> TfType {
        let attr = |name: &str| node.attr.get(name).and_then(|a| a.value.as_ref());
        let own = index == 0 && node.op.starts_with("Placeholder");
        let dtype = match attr("dtype") {
            Some(Value::Type(t)) if own => data_type(base_type(*t)),
            _ => declared.dtype,
        };
        let producer = self.meta.graph_def.as_ref().and_then(|g| g.versions.as_ref()).map_or(0, |v| v.producer);
        let shape = match (attr("shape"), attr("_output_shapes")) {
            // Before version 24 of the graph format, a placeholder of unknown shape had the shape of a scalar.
            (Some(Value::Shape(s)), _) if own && !(s.dim.is_empty() && producer < 24) => TfShape::from_proto(Some(s)),
            (_, Some(Value::List(list))) => TfShape::from_proto(list.shape.get(index as usize)),
            _ => TfShape::UNKNOWN,
        };
        TfType { dtype, shape: shape.refined_by(&declared.shape) }
    }

    fn function_graph(&self, mut builder: Builder, signature: &Signature, function: &str) -> Result<TfGraph, Problems> {
        let mut inputs = Vec::new();
        let mut args = Vec::new();
        for slot in &signature.inputs {
            let port = builder.input(&slot.key, &slot.key, slot.ty.clone());
            args.push(port.source);
            inputs.push(port);
        }
        let concrete = self.meta.object_graph_def.as_ref().and_then(|g| g.concrete_functions.get(function));
        let mut problems = Problems::default();
        for &object in concrete.map_or(&[][..], |c| &c.bound_inputs) {
            collect(self.captured(&mut builder, object), &mut args, &mut problems);
        }
        problems.or(())?;
        let call = NameAttrList { name: function.into(), attr: Default::default() };
        let results = builder.call(&call, args)?;
        // The caller may want some of the outputs alone.
        let is_whole = |s: &Signature| matches!(&s.kind, SignatureKind::Function { function: f } if f == function);
        let whole = self.functions().into_iter().find(is_whole).map_or(signature.outputs.clone(), |s| s.outputs);
        if results.len() != whole.len() {
            return Err(
                Diagnostic::error(format!("function `{function}` returns lists, which is not supported")).into()
            );
        }
        let port = |(slot, source): (&Slot, NodeOutput)| Port { key: slot.key.clone(), source, ty: slot.ty.clone() };
        let wanted = |(slot, _): &(&Slot, NodeOutput)| signature.outputs.iter().any(|s| s.key == slot.key);
        let outputs = whole.iter().zip(results).filter(wanted).map(port).collect();
        builder.finish(inputs, outputs)
    }

    /// The tensor that stands for an object which a function captured.
    fn captured(&self, builder: &mut Builder, object: i32) -> Result<NodeOutput, Diagnostic> {
        let number = usize::try_from(object).ok();
        let objects = self.meta.object_graph_def.as_ref().map_or(&[][..], |g| &g.nodes);
        let unknown = || Diagnostic::error(format!("the function captures object {object}, which does not exist"));
        let number = number.filter(|n| *n < objects.len()).ok_or_else(unknown)?;
        let node = |name: String, op: &str, attrs: Vec<(&str, Value)>| Node {
            name,
            op: op.into(),
            inputs: vec![],
            controls: vec![],
            attrs: attrs.into_iter().map(|(k, v)| (k.to_string(), smc_proto::AttrValue { value: Some(v) })).collect(),
            origin: Origin::Object(number),
        };
        match &objects[number].kind {
            Some(Kind::Variable(v)) => {
                let shape = v.shape.clone().unwrap_or_default();
                let attrs = vec![("dtype", Value::Type(v.dtype)), ("shape", Value::Shape(shape))];
                Ok(builder.add(node(v.name.clone(), "VarHandleOp", attrs)))
            }
            Some(Kind::Constant(c)) => builder.fetch(&c.operation),
            Some(Kind::CapturedTensor(t)) => builder.fetch(&t.name),
            Some(Kind::Asset(asset)) => {
                let at = usize::try_from(asset.asset_file_def_index).ok();
                let asset = at.and_then(|at| self.assets().into_iter().nth(at));
                let asset =
                    asset.ok_or_else(|| Diagnostic::error("the function captures an asset that does not exist"))?;
                let dtype = DataType::DtString as i32;
                let path = TensorProto { dtype, string_val: vec![asset.path.clone().into()], ..Default::default() };
                let attrs = vec![("dtype", Value::Type(dtype)), ("value", Value::Tensor(path))];
                Ok(builder.add(node(asset.path, "Const", attrs)))
            }
            // Tables and the like: importers know what they can do with a handle.
            Some(Kind::Resource(_)) => Ok(builder.add(node(format!("resource_{number}"), "CapturedResource", vec![]))),
            _ => Err(Diagnostic::error(format!("the function captures object {object}, which is not a value"))),
        }
    }
}

fn collect<T>(result: Result<T, Diagnostic>, values: &mut Vec<T>, problems: &mut Problems) {
    match result {
        Ok(value) => values.push(value),
        Err(problem) => problems.push(problem),
    }
}

/// Says of which input or output of the signature a problem speaks.
fn of_slot(problem: Diagnostic, what: &str, slot: &Slot, tensor: &str) -> Diagnostic {
    let message = format!("{what} `{}` of the signature is `{tensor}`: {}", slot.key, problem.message);
    Diagnostic { message, ..problem }
}

fn tensor_name<'s>(signature: &Signature, slot: &'s Slot, what: &str) -> Result<&'s str, Diagnostic> {
    let unsupported = |kind: &str| {
        let message =
            format!("{what} `{}` of signature `{}` is {kind}, which is not supported", slot.key, signature.name);
        Err(Diagnostic::error(message))
    };
    match &slot.place {
        SlotPlace::Tensor(name) if Reference::parse(name).is_some() => Ok(name),
        SlotPlace::Tensor(_) => unsupported("a tensor without a name"),
        SlotPlace::Unsupported(kind) => unsupported(kind),
    }
}
