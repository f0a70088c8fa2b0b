//! Damaged SavedModels: never a panic, a hang or a huge allocation.
//!
//! Small models are damaged in thousands of seeded ways (cut, bits flipped, spliced, and rewired in their messages) and
//! asked everything. The allocator of this program counts what is in use. SMC_SEED sets the seed (`cargo xtask fuzz` tries
//! fresh ones; `fuzz/` goes deeper), SMC_MUTATIONS the number of mutations per model.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    env,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use smc::{base::Rng, saved::Memory};
use smc_proto::{Message, SavedModel, attr_value::Value};
use smc_tests::saved::{exercise, files_of};

/// What one damaged model may take at most; the whole ones take less than a hundredth.
const MAX_BYTES: usize = 256 << 20;
const MAX_TIME: Duration = Duration::from_secs(20);
/// Models of more bytes are damaged less often.
const LARGE: u64 = 40 << 10;
/// How often the largest model is damaged at least.
const LEAST: u64 = 2;

struct Counting;
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = IN_USE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(used, Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// One of the names, if there is one.
fn any(names: &[String], random: &mut Rng) -> Option<String> {
    names.get(random.below(names.len())).cloned()
}

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Damages the bytes of a file.
fn damage_bytes(bytes: &mut Vec<u8>, random: &mut Rng) {
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len());
        let len = 1 + random.below(40).min(bytes.len());
        match random.below(7) {
            0 => bytes.truncate(at),
            1 | 2 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            3 if at < bytes.len() => bytes[at] = random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
            4 => drop(bytes.drain(at..(at + len).min(bytes.len()))),
            5 => {
                let from = random.below(bytes.len());
                let chunk = bytes[from..(from + len).min(bytes.len())].to_vec();
                bytes.splice(at..at, chunk);
            }
            _ => {
                let from = random.below(bytes.len());
                let chunk = bytes[from..(from + len).min(bytes.len())].to_vec();
                let end = (at + chunk.len()).min(bytes.len());
                bytes.splice(at..end, chunk);
            }
        }
    }
}

/// Rewires the messages of a model: what decodes, but makes no sense.
fn damage_messages(bytes: &[u8], random: &mut Rng) -> Option<Vec<u8>> {
    let mut model = SavedModel::decode(bytes).ok()?;
    let graph = model.meta_graphs.first_mut()?.graph_def.as_mut()?;
    for _ in 0..1 + random.below(4) {
        let functions = graph.library.as_mut().map_or(&mut [][..], |l| &mut l.function[..]);
        let function_names: Vec<String> =
            functions.iter().filter_map(|f| Some(f.signature.as_ref()?.name.clone())).collect();
        let place = random.below(functions.len() + 1);
        if let Some(function) = functions.get_mut(place)
            && random.below(3) == 0
        {
            let names: Vec<String> = function.node_def.iter().map(|n| n.name.clone()).collect();
            let target = names.get(random.below(names.len())).cloned().unwrap_or_default();
            match random.below(4) {
                0 => function.ret.values_mut().for_each(|r| *r = format!("{target}:output:0")),
                1 => function.control_ret.values_mut().for_each(|r| *r = target.clone()),
                2 => function.ret.clear(),
                _ => function.signature.iter_mut().for_each(|s| s.input_arg.reverse()),
            }
            continue;
        }
        let nodes = match functions.get_mut(place) {
            Some(function) => &mut function.node_def,
            None => &mut graph.node,
        };
        let others: Vec<_> = nodes.iter().map(|n| (n.name.clone(), n.op.clone())).collect();
        let count = nodes.len();
        let Some(node) = nodes.get_mut(random.below(count)) else { continue };
        let (name, op) = others[random.below(count)].clone();
        match random.below(8) {
            0 => node.input.push(name),
            1 => node.input.push(format!("^{name}")),
            2 => {
                let at = random.below(node.input.len());
                if let Some(input) = node.input.get_mut(at) {
                    *input = format!("{name}:{}", random.below(3));
                }
            }
            3 => node.op = op,
            4 => node.op = any(&function_names, random).unwrap_or(op),
            5 => node.name = name,
            6 => node.attr.values_mut().for_each(|attr| match &mut attr.value {
                Some(Value::Func(f)) => f.name = any(&function_names, random).unwrap_or_default(),
                Some(Value::I(i)) => *i = random.bits() as i64,
                Some(Value::Tensor(t)) => {
                    t.tensor_shape
                        .iter_mut()
                        .flat_map(|s| &mut s.dim)
                        .for_each(|d| d.size = random.bits() as i64 >> random.below(64));
                }
                Some(Value::Shape(s)) => {
                    s.dim.iter_mut().for_each(|d| d.size = random.bits() as i64 >> random.below(64))
                }
                Some(Value::List(l)) => l.r#type.clear(),
                _ => {}
            }),
            _ => drop(nodes.remove(random.below(count))),
        }
    }
    Some(model.encode_to_vec())
}

fn check(name: &str, whole: &Memory, seed: u64, number: u64) -> bool {
    let mut random = Rng::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(number));
    let mut files = whole.clone();
    let paths: Vec<String> = files.0.keys().filter(|p| !p.contains("assets")).cloned().collect();
    let path = random.pick(&paths);
    let bytes = files.0[&path].to_vec();
    let rewired =
        if path.ends_with(".pb") && random.below(2) == 0 { damage_messages(&bytes, &mut random) } else { None };
    let damaged = rewired.unwrap_or_else(|| {
        let mut bytes = bytes;
        damage_bytes(&mut bytes, &mut random);
        bytes
    });
    files.0.insert(path, damaged.into());
    let (before, started) = (IN_USE.load(Relaxed), Instant::now());
    PEAK.store(before, Relaxed);
    let loaded = std::panic::catch_unwind(|| exercise(files));
    let peak = PEAK.load(Relaxed).saturating_sub(before);
    assert!(loaded.is_ok(), "{name}: mutation {number} panics; SMC_SEED={seed} repeats it");
    assert!(peak < MAX_BYTES, "{name}: mutation {number} of SMC_SEED={seed} takes {peak} bytes");
    let time = started.elapsed();
    assert!(time < MAX_TIME, "{name}: mutation {number} of SMC_SEED={seed} takes {time:?}");
    loaded.unwrap_or_default()
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn corrupted_models_are_refused_or_understood() {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "models"].iter().collect();
    let mut models: Vec<_> =
        std::fs::read_dir(folder).unwrap().flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect();
    models.sort();
    let (seed, count) = (setting("SMC_SEED", 1), setting("SMC_MUTATIONS", 600));
    let (mut loaded, mut all) = (0, 0);
    for path in &models {
        let files = files_of(path);
        // A large model takes longer, and more than in proportion: it is damaged less often.
        let bytes = files.0.values().map(|file| file.len() as u64).sum::<u64>().max(LARGE);
        let count = (count * LARGE.pow(2) / bytes.pow(2)).max(LEAST);
        assert!(exercise(files.clone()));
        let name = path.file_name().unwrap().to_string_lossy();
        all += count;
        loaded += (0..count).filter(|&number| check(&name, &files, seed, number)).count();
    }
    println!("{all} damaged models, {loaded} of which still load");
    assert!(env::var_os("SMC_MUTATIONS").is_some() || all >= 10_000);
}
