//! The inputs of `smc run`: from numpy files, from the command line, or at random; converted to the types that the signature
//! declares where no value is lost.

use std::path::Path;

use smc::{
    base::{Bindings, Diagnostic, Problems, Rng, names::advice},
    driver::{InputShape, bind, memory, random},
    emit::interface,
    saved::Signature,
    tensor::{DType, Scalar, Tensor, TensorType},
};

use super::{args::Run, literal::Literal, npz, term::Term};

/// What a user gave for one input.
#[derive(Clone, Debug)]
pub enum Given {
    Array(Tensor),
    Literal(Literal),
}

impl Given {
    fn shape(&self) -> &[usize] {
        match self {
            Given::Array(t) => &t.shape,
            Given::Literal(l) => &l.shape,
        }
    }
}

/// Everything that the arguments name, by key; what comes later in this order wins: the archive, files, literals.
pub fn read(args: &Run) -> Result<Vec<(String, Given)>, Problems> {
    let mut given: Vec<(String, Given)> = vec![];
    let mut take = |key: &str, value: Given| {
        given.retain(|(known, _)| known != key);
        given.push((key.to_string(), value));
    };
    if let Some(path) = &args.inputs {
        npz::read_npz(path)?.into_iter().for_each(|(key, t)| take(&key, Given::Array(t)));
    }
    for text in &args.input {
        let (key, path) = text.split_once('=').ok_or_else(|| {
            Diagnostic::error(format!("`{text}` is not KEY=FILE.npy"))
                .help(format!("give the input's key before the file: --input KEY={text}"))
        })?;
        if path.is_empty() {
            let problem = Diagnostic::error(format!("no file is named for input `{key}`"));
            return Err(problem.help(format!("--input {key}=FILE.npy")).into());
        }
        take(key, Given::Array(npz::read_npy(Path::new(path))?));
    }
    for text in &args.values {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            Diagnostic::error(format!("`{text}` is not KEY=VALUE")).help("such as --value 'x=[[1, 2, 3]]'")
        })?;
        let literal = value.parse().map_err(|e| {
            Diagnostic::error(format!("the value of input `{key}` cannot be read: {e}"))
                .help("write numbers, true, false, nan, inf or strings in quotes, in lists: [[1, 2, 3]]")
        })?;
        take(key.trim(), Given::Literal(literal));
    }
    Ok(given)
}

/// The shapes to compile for: those that the arguments fix, and for inputs of unknown rank that of the value.
pub fn shapes(args: &Run, signature: &Signature, given: &[(String, Given)]) -> Vec<InputShape> {
    let unknown = signature.inputs.iter().filter(|slot| slot.ty.shape.rank().is_none());
    let value = |key: &str| given.iter().find(|(k, _)| k == key).map(|(_, value)| value);
    let ranks = unknown.filter_map(|slot| {
        Some(InputShape { input: slot.key.clone(), extents: vec![None; value(&slot.key)?.shape().len()] })
    });
    let fixed = |s: &InputShape| args.shapes.iter().all(|f| f.input != s.input);
    args.shapes.iter().cloned().chain(ranks.filter(fixed)).collect()
}

/// A value for each declared input, in their order. Complains of every one missing and every one too many.
pub fn values(
    args: &Run,
    declared: &[interface::Tensor],
    given: Vec<(String, Given)>,
    term: &Term,
) -> Result<Vec<Tensor>, Problems> {
    let (mut typed, mut problems) = (vec![], Problems::default());
    for (key, value) in given {
        // An unknown key is the next step's to complain of.
        let ty = declared.iter().find(|t| t.key == key).map(|t| t.ty.dtype);
        let value = match (value, ty) {
            (Given::Array(t), Some(ty)) => convert(&format!("input `{key}`"), t, ty, term),
            (Given::Literal(l), Some(ty)) => l.tensor(ty).map_err(|e| Diagnostic::error(format!("input `{key}`: {e}"))),
            (Given::Array(t), None) => Ok(t),
            (Given::Literal(_), None) => Ok(Tensor::from_f32([], &[0.0])),
        };
        match value {
            Ok(value) => typed.push((key, value)),
            Err(problem) => problems.push(problem),
        }
    }
    problems.or(())?;
    if let Some(seed) = args.random {
        fill(declared, &mut typed, seed)?;
    }
    ordered(&declared.iter().map(|t| t.key.as_str()).collect::<Vec<_>>(), typed)
}

/// Adds random values of the inputs that were not given.
fn fill(declared: &[interface::Tensor], given: &mut Vec<(String, Tensor)>, seed: u64) -> Result<(), Problems> {
    let value = |key: &str| given.iter().find(|(k, _)| k == key).map(|(_, t)| t.clone());
    let known: Vec<_> = declared.iter().filter_map(|t| Some((t.key.as_str(), &t.ty, value(&t.key)?))).collect();
    let types: Vec<(&str, &TensorType)> = known.iter().map(|(key, ty, _)| (*key, *ty)).collect();
    let values: Vec<Tensor> = known.iter().map(|(.., value)| value.clone()).collect();
    let mut bindings: Bindings = bind(&types, &values)?;
    let missing: Vec<_> = declared.iter().filter(|t| value(&t.key).is_none()).cloned().collect();
    for t in &missing {
        for symbol in t.ty.shape.iter().flat_map(|d| d.symbols()) {
            if symbol.name() == "batch" {
                bindings.entry(symbol).or_insert(1);
            } else if !bindings.contains_key(&symbol) {
                let problem = format!("the extent `{symbol}` of input `{}` is open: {}", t.key, t.ty);
                return Err(Diagnostic::error(problem)
                    .help(format!("random values need a shape: --shape {}=.. with a number for each axis", t.key))
                    .into());
            }
        }
    }
    memory::tensors(missing.iter().map(|t| &t.ty), &bindings, "the random inputs")?;
    let drawn = random::inputs(&missing, &bindings, &mut Rng::new(seed))?;
    given.extend(missing.into_iter().map(|t| t.key).zip(drawn));
    Ok(())
}

/// The values in the order of the keys.
pub fn ordered(keys: &[&str], mut given: Vec<(String, Tensor)>) -> Result<Vec<Tensor>, Problems> {
    let (mut values, mut problems) = (vec![], Problems::default());
    for key in keys {
        match given.iter().position(|(k, _)| k == key) {
            Some(at) => values.push(given.swap_remove(at).1),
            None => problems.push(Diagnostic::error(format!("input `{key}` is missing")).help(format!(
                "give it by --input {key}=FILE.npy, --value {key}=[..] or as an array of --inputs; or --random"
            ))),
        }
    }
    for (key, _) in given {
        let problem = Diagnostic::error(format!("the signature has no input `{key}`"));
        problems.push(problem.help(advice(&key, "inputs", keys)));
    }
    problems.or(values)
}

/// The tensor in another type, where every value stays what it is; f64 may round to a narrower float. Says so of `what`.
pub fn convert(what: &str, t: Tensor, to: DType, term: &Term) -> Result<Tensor, Diagnostic> {
    let from = t.dtype;
    if from == to {
        return Ok(t);
    }
    let refused = |why: String| {
        Diagnostic::error(format!("{what} is {from}, and the model takes {to}: {why}"))
            .help(format!("convert the array: array.astype('{}')", npz::numpy_name(to)))
    };
    if [from, to].iter().any(|d| d.is_complex() || *d == DType::Str) {
        return Err(refused("no value of one is a value of the other".into()));
    }
    let mut bytes = Vec::with_capacity(t.count() * to.size());
    let mut rounded = false;
    for value in t.scalars() {
        let (converted, exact) =
            converted(value, to).ok_or_else(|| refused(format!("{value} is not a value of {to}")))?;
        rounded |= !exact;
        converted.write_le(to, &mut bytes);
    }
    let how = if rounded { "; values are rounded" } else { "; no value changes" };
    term.note(format_args!("note: {what} is converted from {from} to {to}{how}"));
    Ok(Tensor::from_bytes(to, t.shape, bytes))
}

/// The value in another type and whether it is the same; `None` where it would be another.
fn converted(value: Scalar, to: DType) -> Option<(Scalar, bool)> {
    let whole = match value {
        Scalar::Uint(n) => Some(i128::from(n)),
        value => value.as_i64().map(i128::from),
    };
    if to.is_float() {
        let x = value.as_f64()?;
        let y = Scalar::from_f64(to, x);
        let back = y.as_f64()?;
        let exact = whole.map_or(back == x || x.is_nan(), |n| back as i128 == n);
        // Floats round; whole numbers stay whole, and nothing finite becomes infinite.
        let fits = exact || (whole.is_none() && back.is_finite());
        return fits.then_some((y, exact));
    }
    let n = match whole {
        Some(n) => n,
        None => Some(value.as_f64()?).filter(|x| x.fract() == 0.0 && x.abs() < 9e18)? as i128,
    };
    if to == DType::Bool {
        return (n == 0 || n == 1).then_some((Scalar::Bool(n == 1), true));
    }
    let (least, greatest) = to.int_range()?;
    let scalar = if to.is_signed_int() { Scalar::Int(n as i64) } else { Scalar::Uint(n as u64) };
    (least <= n && n <= greatest).then_some((scalar, true))
}

#[test]
fn conversions_lose_nothing_silently() {
    let to = |value, dtype| converted(value, dtype);
    assert_eq!(to(Scalar::Int(7), DType::I32), Some((Scalar::Int(7), true)));
    assert_eq!(to(Scalar::Int(1 << 40), DType::I32), None);
    assert_eq!(to(Scalar::Int(-1), DType::U8), None);
    assert_eq!(to(Scalar::F64(0.1), DType::F32), Some((Scalar::F32(0.1), false)));
    assert_eq!(to(Scalar::F64(0.5), DType::F32), Some((Scalar::F32(0.5), true)));
    assert_eq!(to(Scalar::F64(1e300), DType::F32), None);
    assert_eq!(to(Scalar::Int(16_777_217), DType::F32), None, "the next float is another number");
    assert_eq!(to(Scalar::Uint(200), DType::F32), Some((Scalar::F32(200.0), true)));
    assert_eq!(to(Scalar::F32(1.5), DType::I32), None);
    assert_eq!(to(Scalar::F32(f32::NAN), DType::I32), None);
    assert_eq!(to(Scalar::Bool(true), DType::F32), Some((Scalar::F32(1.0), true)));
    assert_eq!(to(Scalar::Int(2), DType::Bool), None);
}
