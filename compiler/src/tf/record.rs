//! Serialized records: `tf.train.Example` and `SequenceExample`, parsed to dense, sparse and ragged features.
//!
//! One pass over a record finds the parts that belong to the model's keys ([`Features`]); each feature is then read from its
//! part. Values that a row has as many of as it likes are counted first, and their number, a size that data decide, has a
//! bound that the user may state.

use super::{Import, Outputs, Stop, TfOp, Value, found::Pieces, table};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine},
    op::{Features, Gather, Iota, ListCount, ListKind, ListValues, Outside, Part, Reduce, Scan, Scatter},
    saved::{TfShape, host_type, type_name},
    tensor::{DType, Tensor, count},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "ParseExample", import: example },
    TfOp { name: "ParseExampleV2", import: example_v2 },
    TfOp { name: "ParseSingleExample", import: single_example },
];

/// A feature as the model wants it.
struct Wanted {
    key: Vec<u8>,
    dtype: DType,
    form: Form,
}

enum Form {
    /// A tensor for each row; `None` for the first extent where rows have as many elements as they like. The default is the
    /// operand of this number.
    Dense {
        shape: Vec<Option<i64>>,
        default: usize,
    },
    Sparse,
    /// With splits of this type.
    Ragged(DType),
}

impl Wanted {
    fn kind(&self) -> ListKind {
        match self.dtype {
            DType::F32 => ListKind::Floats,
            DType::I64 => ListKind::Ints,
            _ => ListKind::Bytes,
        }
    }
}

/// The values of features, from messages or their lists, in rows.
struct Columns {
    /// The number of records; `None` where there is one without an axis.
    rows: Option<Dim>,
    /// Messages, `[n]` each, one for each of the features.
    messages: Vec<NodeId>,
}

/// Operands that are scalars or vectors of strings, from one on, as keys.
fn keys(cx: &Import, operands: std::ops::Range<usize>) -> Result<Vec<Vec<u8>>> {
    let mut keys = vec![];
    for n in operands {
        let id = cx.arg(n)?;
        let known = cx.graph.as_const(id).filter(|known| known.has_strings());
        match known {
            Some(known) => keys.extend(known.strings().iter().cloned()),
            None if cx.shape(id).iter().any(|n| n.is(0)) => {}
            None => return Err("the keys of its features are no constants, which is not supported".into()),
        }
    }
    Ok(keys)
}

/// The element types of an attribute.
fn types(cx: &Import, name: &str) -> Result<Vec<DType>> {
    let dtype = |t| host_type(t).ok_or_else(|| format!("features of {} are not supported", type_name(t)).into());
    cx.node.attr_types(name)?.into_iter().map(dtype).collect()
}

fn zip<A, B>(keys: Vec<A>, types: Vec<B>, what: &str) -> Result<Vec<(A, B)>> {
    if keys.len() != types.len() {
        return Err(format!("it has {} keys of {what} and {} types", keys.len(), types.len()).into());
    }
    Ok(keys.into_iter().zip(types).collect())
}

/// The wanted of one node: dense ones first.
fn wanted(
    cx: &Import,
    dense: (Vec<Vec<u8>>, usize),
    sparse: Vec<Vec<u8>>,
    ragged: Option<Vec<Vec<u8>>>,
) -> Result<Vec<Wanted>> {
    let mut all = vec![];
    let shapes = cx.node.attr_shapes("dense_shapes")?;
    let dense_types = types(cx, "Tdense")?;
    let (keys, first) = dense;
    if keys.len() != shapes.len() {
        return Err(format!("it has {} dense keys and {} shapes", keys.len(), shapes.len()).into());
    }
    for (n, ((key, dtype), shape)) in zip(keys, dense_types, "dense features")?.into_iter().zip(shapes).enumerate() {
        all.push(Wanted { key, dtype, form: Form::Dense { shape: extents(&shape)?, default: first + n } });
    }
    for (key, dtype) in zip(sparse, types(cx, "sparse_types")?, "sparse features")? {
        all.push(Wanted { key, dtype, form: Form::Sparse });
    }
    if let Some(ragged) = ragged {
        let splits = types(cx, "ragged_split_types")?;
        let ragged = zip(ragged, types(cx, "ragged_value_types")?, "ragged features")?;
        for ((key, dtype), splits) in zip(ragged, splits, "splits")? {
            all.push(Wanted { key, dtype, form: Form::Ragged(splits) });
        }
    }
    Ok(all)
}

/// A shape whose first extent alone may be open.
fn extents(shape: &TfShape) -> Result<Vec<Option<i64>>> {
    let open = || Stop::from("a dense feature's shape is open in more than its first extent".to_string());
    let extents = shape.0.as_ref().ok_or_else(open)?;
    if extents.iter().skip(1).any(Option::is_none) {
        return Err(open());
    }
    Ok(extents.iter().map(|n| n.map(|n| n as i64)).collect())
}

fn example(cx: &mut Import) -> Outputs {
    let (sparse, dense) = (cx.node.attr_int("Nsparse")? as usize, cx.node.attr_int("Ndense")? as usize);
    let (sparse_keys, dense_keys) = (keys(cx, 2..2 + sparse)?, keys(cx, 2 + sparse..2 + sparse + dense)?);
    let wanted = wanted(cx, (dense_keys, 2 + sparse + dense), sparse_keys, None)?;
    if cx.rank(cx.arg(0)?) != 1 {
        return Err(format!("expected a vector of records, got rank {}", cx.rank(cx.arg(0)?)).into());
    }
    check_names(cx)?;
    parse(cx, &wanted)
}

fn example_v2(cx: &mut Import) -> Outputs {
    let [sparse, dense, ragged] = [keys(cx, 2..3)?, keys(cx, 3..4)?, keys(cx, 4..5)?];
    let wanted = wanted(cx, (dense, 5), sparse, Some(ragged))?;
    if cx.rank(cx.arg(0)?) > 1 {
        return Err(format!("expected a record or a vector of them, got rank {}", cx.rank(cx.arg(0)?)).into());
    }
    check_names(cx)?;
    parse(cx, &wanted)
}

fn single_example(cx: &mut Import) -> Outputs {
    let of =
        |name: &str| -> Result<Vec<Vec<u8>>> { Ok(cx.node.attr_strs(name)?.into_iter().map(<[u8]>::to_vec).collect()) };
    let wanted = wanted(cx, (of("dense_keys")?, 1), of("sparse_keys")?, None)?;
    if cx.rank(cx.arg(0)?) != 0 {
        return Err(format!("expected one record, got rank {}", cx.rank(cx.arg(0)?)).into());
    }
    parse(cx, &wanted)
}

/// Names of records, for TensorFlow's messages: none, or one for each.
fn check_names(cx: &mut Import) -> Result<()> {
    let (records, names) = (cx.shape(cx.arg(0)?), cx.shape(cx.arg(1)?));
    if names == [Dim::zero()] || records == names {
        return Ok(());
    }
    match (&records[..], &names[..]) {
        ([records], [names]) => cx.require_equal(records, names, "the numbers of records and of their names"),
        _ => Err("the shapes of the records and of their names differ".into()),
    }
}

/// All features of the node, in the order of its outputs: indices, values and shapes of sparse ones, dense ones, values and
/// splits of ragged ones.
fn parse(cx: &mut Import, wanted: &[Wanted]) -> Outputs {
    let records = cx.arg(0)?;
    let columns = columns(cx, records, Part::Features, wanted)?;
    let mut outputs: [Vec<Value>; 6] = Default::default();
    for (feature, &message) in wanted.iter().zip(&columns.messages) {
        match &feature.form {
            Form::Dense { shape, default } => {
                let dense = dense(cx, &columns, feature, message, shape, *default)?;
                outputs[3].push(dense.into());
            }
            Form::Sparse => {
                let sparse = sparse(cx, &columns, feature, message)?;
                sparse.into_iter().zip(&mut outputs).for_each(|(id, all)| all.push(id.into()));
            }
            Form::Ragged(splits) => {
                let [values, splits] = ragged(cx, &columns, feature, message, *splits)?;
                outputs[4].push(values.into());
                outputs[5].push(splits.into());
            }
        }
    }
    Ok(outputs.concat())
}

/// What of each record belongs to each of the features.
fn columns(cx: &mut Import, records: NodeId, part: Part, wanted: &[Wanted]) -> Result<Columns> {
    let rows = cx.shape(records).first().cloned();
    let n = rows.clone().unwrap_or(Dim::one());
    let records = cx.reshape(records, std::slice::from_ref(&n))?;
    let names: Vec<Vec<u8>> = wanted.iter().map(|feature| feature.key.clone()).collect();
    // Of one record alone, an empty feature counts for nothing whatever the form.
    let is_firm = |feature: &&Wanted| rows.is_none() || matches!(feature.form, Form::Dense { .. });
    let firm = wanted.iter().take_while(is_firm).count() as i64;
    let (seed, hash) = table::perfect(cx, Tensor::from_strings([names.len()], names))
        .map_err(|key| format!("it parses the feature {key} twice, which is not supported"))?;
    let found = cx.add(Features { part, firm, seed }, &[&[records][..], &hash].concat())?;
    let mut messages = vec![];
    for k in 0..wanted.len() {
        let column = cx.slice_axis(found, 1, k.into(), Dim::one())?;
        messages.push(cx.reshape(column, std::slice::from_ref(&n))?);
    }
    Ok(Columns { rows, messages })
}

impl Columns {
    /// The rows, one where there is no axis.
    fn count(&self) -> Dim {
        self.rows.clone().unwrap_or(Dim::one())
    }
    /// A shape within a row, behind the axis of rows where there is one.
    fn behind(&self, inner: &[Dim]) -> Vec<Dim> {
        self.rows.iter().chain(inner).cloned().collect()
    }
}

/// A number of values of so many rows as a size.
fn bind(cx: &mut Import, value: NodeId, rows: &Dim, name: &str, what: &str) -> Result<Dim> {
    cx.bind_within(value, (None, Some(&Pieces::Features.most(rows))), name, what)
}

/// The place of each row's first value where each row has so many.
fn places(cx: &mut Import, rows: &Dim, each: &Dim) -> Result<NodeId> {
    let row = cx.add(Iota { shape: vec![rows.clone()], axis: 0, dtype: DType::I64 }, &[])?;
    let each = cx.dim_scalar(each, DType::I64)?;
    let each = cx.broadcast_to(each, std::slice::from_ref(rows))?;
    cx.mul(row, each)
}

fn dense(
    cx: &mut Import,
    columns: &Columns,
    feature: &Wanted,
    message: NodeId,
    shape: &[Option<i64>],
    default: usize,
) -> Result<NodeId> {
    let default = cx.arg(default)?;
    if cx.dtype(default) != feature.dtype {
        return Err(format!("a default of {} for a feature of {}", cx.dtype(default), feature.dtype).into());
    }
    let (rows, kind, given) = (columns.count(), feature.kind(), count(&cx.shape(default)));
    let Some(given) = given.as_int() else {
        return Err("the extents of a default are not known, which is not supported".into());
    };
    if let Some(None) = shape.first() {
        if given != 1 {
            return Err(format!("a feature of an open shape has one value as its default, not {given}").into());
        }
        let inner: Vec<Dim> = shape[1..].iter().map(|n| n.unwrap_or(0).into()).collect();
        return padded(cx, columns, feature, message, &inner, default);
    }
    let shape: Vec<Dim> = shape.iter().map(|n| n.unwrap_or(0).into()).collect();
    let each = count(&shape);
    let required = given == 0;
    let default = if required {
        cx.scalar(feature.dtype, 0.0)?
    } else {
        if cx.shape(default) != shape {
            return Err(format!("a default of {} for a feature of another shape", cx.graph.ty(default)).into());
        }
        default
    };
    let whole = [&[rows.clone()][..], &shape].concat();
    let rest = cx.broadcast_to(default, &whole)?;
    let rest = cx.reshape(rest, &[&rows * &each])?;
    let places = places(cx, &rows, &each)?;
    let values = cx.add(ListValues { kind, each: each.as_int(), required }, &[message, places, rest])?;
    cx.reshape(values, &columns.behind(&shape))
}

/// Rows of as many elements as the longest has, the others padded by the default.
fn padded(
    cx: &mut Import,
    columns: &Columns,
    feature: &Wanted,
    message: NodeId,
    inner: &[Dim],
    default: NodeId,
) -> Result<NodeId> {
    let (rows, kind) = (columns.count(), feature.kind());
    let each = count(inner);
    let of = each.as_int().filter(|&of| of > 0).ok_or("elements of a feature that are empty are not supported")?;
    let counts = counts(cx, message, kind, of)?;
    let longest = longest(cx, feature, counts)?;
    let places = places(cx, &rows, &(&longest * &each))?;
    let default = cx.reshape(default, &[])?;
    let rest = cx.broadcast_to(default, &[&rows * &longest * &each])?;
    let values = cx.add(ListValues { kind, each: None, required: false }, &[message, places, rest])?;
    cx.reshape(values, &columns.behind(&[&[longest][..], inner].concat()))
}

/// The number of elements of each row, of so many values; of what says nothing there are none.
fn counts(cx: &mut Import, message: NodeId, kind: ListKind, of: i64) -> Result<NodeId> {
    let counts = cx.add(ListCount { kind, of }, &[message])?;
    let none = cx.full_like(counts, 0.0)?;
    cx.binary(BinaryFn::Max, counts, none)
}

/// The greatest number of elements that a row has, or 0, as a size.
fn longest(cx: &mut Import, feature: &Wanted, counts: NodeId) -> Result<Dim> {
    let longest = cx.add(Reduce { f: BinaryFn::Max, axes: vec![0] }, &[counts])?;
    let longest = cx.reshape(longest, &[])?;
    // Of no numbers there is no greatest one.
    let none = cx.scalar(DType::I64, 0.0)?;
    let longest = cx.binary(BinaryFn::Max, longest, none)?;
    let name = format!("{}/{}_length", cx.node.name, String::from_utf8_lossy(&feature.key));
    bind(cx, longest, &Dim::one(), &name, "the greatest number of values of a feature")
}

/// Values of rows one behind another.
struct Flat {
    /// `i64[n]`: how many each row has, and where its first one lies.
    counts: NodeId,
    starts: NodeId,
    /// How many there are, and that many of them.
    count: Dim,
    values: NodeId,
}

fn flat(cx: &mut Import, rows: &Dim, feature: &Wanted, message: NodeId) -> Result<Flat> {
    let kind = feature.kind();
    let counts = counts(cx, message, kind, 1)?;
    let total = cx.add(Reduce { f: BinaryFn::Add, axes: vec![0] }, &[counts])?;
    let total = cx.reshape(total, &[])?;
    let name = format!("{}/{}_values", cx.node.name, String::from_utf8_lossy(&feature.key));
    let count = bind(cx, total, rows, &name, "the number of values of a feature")?;
    let starts = cx.add(Scan { f: BinaryFn::Add, axis: 0, exclusive: true, reverse: false }, &[counts])?;
    let rest = cx.scalar(feature.dtype, 0.0)?;
    let rest = cx.broadcast_to(rest, std::slice::from_ref(&count))?;
    let values = cx.add(ListValues { kind, each: None, required: false }, &[message, starts, rest])?;
    Ok(Flat { counts, starts, count, values })
}

/// Indices, values and the dense shape.
fn sparse(cx: &mut Import, columns: &Columns, feature: &Wanted, message: NodeId) -> Result<[NodeId; 3]> {
    let rows = columns.count();
    let flat = flat(cx, &rows, feature, message)?;
    let k = flat.count.clone();
    let place = cx.add(Iota { shape: vec![k.clone()], axis: 0, dtype: DType::I64 }, &[])?;
    let Some(n) = &columns.rows else {
        let indices = cx.insert_axes(place, &[1])?;
        let shape = cx.dims_tensor(&[k], DType::I64)?;
        return Ok([indices, flat.values, shape]);
    };
    let row = rows_of(cx, &flat, n)?;
    let start = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[flat.starts, row])?;
    let column = cx.sub(place, start)?;
    let (row, column) = (cx.insert_axes(row, &[1])?, cx.insert_axes(column, &[1])?);
    let indices = cx.concat(&[row, column], 1)?;
    // What makes a dense tensor of it needs to know the greatest number.
    let longest = longest(cx, feature, flat.counts)?;
    let shape = cx.dims_tensor(&[n.clone(), longest], DType::I64)?;
    Ok([indices, flat.values, shape])
}

/// The row of each value: one less than how many rows begin at it or before.
fn rows_of(cx: &mut Import, flat: &Flat, rows: &Dim) -> Result<NodeId> {
    let zero = cx.scalar(DType::I64, 0.0)?;
    let begun = cx.broadcast_to(zero, std::slice::from_ref(&flat.count))?;
    let starts = cx.insert_axes(flat.starts, &[1])?;
    let one = cx.scalar(DType::I64, 1.0)?;
    let ones = cx.broadcast_to(one, std::slice::from_ref(rows))?;
    // Rows behind all values begin nowhere.
    let scatter = Scatter { f: Combine::Add, depth: 1, below: Outside::Drop, above: Outside::Drop };
    let begun = cx.add(scatter, &[begun, starts, ones])?;
    let begun = cx.add(Scan { f: BinaryFn::Add, axis: 0, exclusive: false, reverse: false }, &[begun])?;
    let one = cx.broadcast_to(one, std::slice::from_ref(&flat.count))?;
    cx.sub(begun, one)
}

/// Values, and where those of each row begin and end: nothing is split where there are no rows.
fn ragged(cx: &mut Import, columns: &Columns, feature: &Wanted, message: NodeId, splits: DType) -> Result<[NodeId; 2]> {
    let flat = flat(cx, &columns.count(), feature, message)?;
    if columns.rows.is_none() {
        let none = cx.dims_tensor(&[], splits)?;
        return Ok([flat.values, none]);
    }
    let total = cx.dims_tensor(&[flat.count], DType::I64)?;
    let all = cx.concat(&[flat.starts, total], 0)?;
    Ok([flat.values, cx.cast(all, splits)?])
}
