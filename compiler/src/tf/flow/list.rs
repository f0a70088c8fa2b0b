//! Lists of tensors: a dense tensor with one more axis in front, and how many of its rows are elements.
//!
//! Elements are of one shape, or differ in their first extent alone ([`super::uneven`]). Until one is set, a list whose element shape is open has no tensor at all. Elements that
//! nobody set are zeros, as TensorFlow gives them.

use std::collections::HashSet;

use crate::{
    base::{Diagnostic, Dim},
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn},
    op::{Gather, Op, Put, Scatter},
    tensor::DType,
    tf::{Import, Outputs, Stop, TfOp, Value, build::one, flow::uneven, import::Handle},
};

type Result<T> = std::result::Result<T, Stop>;

pub(in crate::tf) const OPS: &[TfOp] = &[
    TfOp { name: "EmptyTensorList", import: empty },
    TfOp { name: "TensorListConcat", import: concat },
    TfOp { name: "TensorListConcatLists", import: concat_lists },
    TfOp { name: "TensorListConcatV2", import: concat },
    TfOp { name: "TensorListElementShape", import: element_shape },
    TfOp { name: "TensorListFromTensor", import: from_tensor },
    TfOp { name: "TensorListGather", import: gather },
    TfOp { name: "TensorListGetItem", import: get },
    TfOp { name: "TensorListLength", import: length },
    TfOp { name: "TensorListPopBack", import: pop },
    TfOp { name: "TensorListPushBack", import: push },
    TfOp { name: "TensorListReserve", import: reserve },
    TfOp { name: "TensorListResize", import: resize },
    TfOp { name: "TensorListScatter", import: scatter },
    TfOp { name: "TensorListScatterIntoExistingList", import: scatter_into },
    TfOp { name: "TensorListScatterV2", import: scatter },
    TfOp { name: "TensorListSetItem", import: set },
    TfOp { name: "TensorListSplit", import: split },
    TfOp { name: "TensorListStack", import: stack },
];

/// One of [`Lists`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct List(usize);

/// All lists of an import. What changes a list makes another one.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    all: Vec<ListOf>,
    /// The arrays that a node wrote to: TensorFlow has one array, whoever writes.
    written: HashSet<List>,
}

/// A shape of which some extents, or the rank, may be open.
pub(super) type Open = Option<Vec<Option<Dim>>>;

/// What a list is.
#[derive(Clone, Debug)]
pub(in crate::tf) struct ListOf {
    pub dtype: DType,
    /// The elements in front, and room behind them; none as long as the shape of an element is open.
    pub data: Option<NodeId>,
    pub length: Dim,
    /// How many elements there are, where data decide: then `length` is the most that there can be.
    pub count: Option<NodeId>,
    /// The first extent of each row of `data`, `i64[rows]`, where elements differ in it: then rows have room for the greatest.
    pub extents: Option<NodeId>,
    /// The elements of this `data` that were set, where that is known; all others are zeros.
    pub set: Option<(NodeId, Vec<i64>)>,
    /// What the list says of the shape of its elements.
    pub shape: Open,
    /// The numbers that all elements are, where they follow from extents and each was pushed: shapes, mostly.
    pub alike: Option<Vec<Dim>>,
    /// Elements at most, where that is limited.
    pub most: Option<i64>,
    /// Whether what is set behind the last element makes the list longer.
    pub grows: bool,
    /// The node that made it, where it is an array of TensorFlow 1.
    pub array: Option<Handle>,
    /// Whether what is written is added to what is there: it is the gradient of an array.
    pub sums: bool,
}

impl ListOf {
    /// A list without a limit, which does not grow by itself.
    pub(super) fn new(dtype: DType, data: Option<NodeId>, length: Dim, shape: Open) -> ListOf {
        ListOf {
            dtype,
            data,
            length,
            count: None,
            extents: None,
            set: None,
            shape,
            alike: None,
            most: None,
            grows: false,
            array: None,
            sums: false,
        }
    }
}

impl ListOf {
    /// Which elements were set, where that is known.
    pub(super) fn known_set(&self) -> Option<Vec<i64>> {
        match (self.data, &self.set) {
            (None, _) => Some(vec![]),
            (Some(data), Some((of, set))) if data == *of => Some(set.clone()),
            _ => None,
        }
    }
}

impl Lists {
    pub(in crate::tf) fn add(&mut self, list: ListOf) -> List {
        self.all.push(list);
        List(self.all.len() - 1)
    }
    pub(in crate::tf) fn get(&self, list: List) -> &ListOf {
        &self.all[list.0]
    }
    /// Notes that a node writes to an array; whether none did before.
    pub(super) fn write(&mut self, list: List) -> bool {
        self.written.insert(list)
    }
}

pub(super) fn give(cx: &mut Import, list: ListOf) -> Value {
    Value::List(cx.lists.add(list))
}

/// The list that is operand `n`.
pub(super) fn any_list(cx: &Import, n: usize) -> Result<ListOf> {
    match cx.value(n)? {
        Value::List(list) => Ok(cx.lists.get(list).clone()),
        _ => Err(format!("operand {n} of {} is not a list of tensors", cx.node.op).into()),
    }
}

/// The list that is operand `n`. Where data decide how long it is, its length is a size that is found.
fn list(cx: &mut Import, n: usize) -> Result<ListOf> {
    let list = any_list(cx, n)?;
    let Some(count) = list.count else { return Ok(list) };
    let most = list.data.map_or(list.length.clone(), |data| cx.shape(data)[0].clone());
    let length = cx.size_at(count, 0, "the length of a list", Some(&most))?;
    Ok(ListOf { length, count: None, ..list })
}

/// The list that is operand `n`, whose length is known, and whose elements have one shape.
fn even(cx: &mut Import, n: usize) -> Result<ListOf> {
    let list = list(cx, n)?;
    uneven::even(cx, list)
}

/// What is said where a list's length has to be known, and data decide about it.
pub(super) fn of_data(op: &str) -> Stop {
    let problem = format!(
        "the length of a list depends on how often a loop or a branch runs, which data decide, and {op} needs to know it: \
         that is not supported yet"
    );
    Diagnostic::error(problem).help("give the array its size and let it stay: `tf.TensorArray(dtype, size=n)`").into()
}

pub(super) fn dtype(cx: &Import, attr: &str) -> Result<DType> {
    match cx.attr_dtype(attr)? {
        d if d.is_complex() => Err("lists of complex numbers are not supported yet".into()),
        d => Ok(d),
    }
}

/// Operand `n` as the shape of an element: -1 stands for what is open, a scalar for an open rank.
fn shape_operand(cx: &Import, n: usize) -> Result<Open> {
    let dims = cx.dims(n, "the shape of the elements")?;
    if cx.rank(cx.arg(n)?) == 0 {
        let all = dims.first().is_some_and(|d| d.is(-1));
        return if all { Ok(None) } else { Err("a scalar shape of elements has to be -1".into()) };
    }
    Ok(Some(dims.into_iter().map(|d| Some(d).filter(|d| d.as_int().is_none_or(|n| n >= 0))).collect()))
}

/// What both say of a shape; they have to agree.
pub(super) fn merged(cx: &mut Import, a: &Open, b: &Open) -> Result<Open> {
    let (Some(a), Some(b)) = (a, b) else { return Ok(a.clone().or(b.clone())) };
    if a.len() != b.len() {
        return Err(format!("elements of rank {} do not fit a list of rank {}", a.len(), b.len()).into());
    }
    for (a, b) in a.iter().zip(b) {
        if let (Some(a), Some(b)) = (a, b) {
            cx.require_equal(a, b, "the extents of elements")?;
        }
    }
    Ok(Some(a.iter().zip(b).map(|(a, b)| a.clone().or(b.clone())).collect()))
}

pub(super) fn known(shape: &Open) -> Option<Vec<Dim>> {
    shape.as_ref()?.iter().cloned().collect()
}

pub(super) fn open(shape: &[Dim]) -> Open {
    Some(shape.iter().cloned().map(Some).collect())
}

/// Sees to it that the elements of a list have the shape that is asked for.
pub(super) fn fits(cx: &mut Import, list: &ListOf, shape: &Open) -> Result<()> {
    let own = match list.data {
        Some(data) => uneven::open_first(list, &cx.shape(data)[1..]),
        None => list.shape.clone(),
    };
    merged(cx, &own, shape).map(drop)
}

/// The shape of so many elements.
pub(super) fn rows(number: &Dim, element: &[Dim]) -> Vec<Dim> {
    [std::slice::from_ref(number), element].concat()
}

/// Zeros of a list's type.
pub(super) fn zeros(cx: &mut Import, dtype: DType, shape: &[Dim]) -> Result<NodeId> {
    let zero = cx.scalar(dtype, 0.0)?;
    cx.broadcast_to(zero, shape)
}

/// The tensor of a list, whose elements are zeros of `shape` where there is none yet. Where even that is open, what needs
/// an element has no answer, and TensorFlow none either.
pub(super) fn data(cx: &mut Import, list: &ListOf, shape: &Open) -> Result<NodeId> {
    if let Some(data) = list.data {
        return Ok(data);
    }
    let shape = merged(cx, &list.shape, shape)?;
    let Some(element) = known(&shape) else {
        let problem = Diagnostic::error("no element of the list was set, and the shape of its elements is not known");
        return Err(problem.help("give the array the shape of its elements: `element_shape=`").into());
    };
    zeros(cx, list.dtype, &rows(&list.length, &element))
}

/// The tensor of a list without the room behind its elements.
pub(super) fn elements(cx: &mut Import, list: &ListOf, shape: &Open) -> Result<NodeId> {
    let data = data(cx, list, shape)?;
    if cx.shape(data)[0] == list.length { Ok(data) } else { cx.slice_axis(data, 0, Dim::zero(), list.length.clone()) }
}

/// Room for `wanted` elements, at least.
pub(super) fn with_room(cx: &mut Import, data: NodeId, wanted: &Dim) -> Result<NodeId> {
    let held = cx.shape(data)[0].clone();
    if cx.is_nonneg(&(&held - wanted)) {
        return Ok(data);
    }
    let mut high = vec![Dim::zero(); cx.rank(data)];
    high[0] = cx.greater(&Dim::zero(), &(wanted - held));
    let zero = cx.scalar_like(data, 0.0)?;
    cx.pad(data, zero, &vec![Dim::zero(); high.len()], &high)
}

fn empty(cx: &mut Import) -> Outputs {
    let (dtype, shape) = (dtype(cx, "element_dtype")?, shape_operand(cx, 0)?);
    let most = Some(cx.int(1, "the greatest length of a list")?).filter(|&n| n >= 0);
    Ok(vec![give(cx, ListOf { most, ..ListOf::new(dtype, None, Dim::zero(), shape) })])
}

fn reserve(cx: &mut Import) -> Outputs {
    let (dtype, shape, length) =
        (dtype(cx, "element_dtype")?, shape_operand(cx, 0)?, cx.size(1, "the length of a list", None)?);
    cx.require_at_most(&Dim::zero(), &length, "the length of a list")?;
    let mut list = ListOf::new(dtype, None, length, shape);
    if let Some(element) = known(&list.shape) {
        list.data = Some(zeros(cx, dtype, &rows(&list.length, &element))?);
    }
    Ok(vec![give(cx, list)])
}

fn from_tensor(cx: &mut Import) -> Outputs {
    let (x, shape) = (cx.arg(0)?, shape_operand(cx, 1)?);
    let of = cx.shape(x);
    let [length, element @ ..] = &of[..] else { return Err("a scalar has no elements for a list".into()) };
    let list = ListOf::new(cx.dtype(x), Some(x), length.clone(), shape);
    merged(cx, &open(element), &list.shape)?;
    Ok(vec![give(cx, list)])
}

fn length(cx: &mut Import) -> Outputs {
    let list = any_list(cx, 0)?;
    one(match list.count {
        Some(count) => cx.cast(count, DType::I32)?,
        None => cx.dim_scalar(&list.length, DType::I32)?,
    })
}

fn element_shape(cx: &mut Import) -> Outputs {
    let (list, dtype) = (any_list(cx, 0)?, cx.attr_dtype("shape_type")?);
    match list.shape {
        None => one(cx.scalar(dtype, -1.0)?),
        Some(shape) => {
            let dims: Vec<Dim> = shape.into_iter().map(|d| d.unwrap_or(Dim::from(-1))).collect();
            one(cx.dims_tensor(&dims, dtype)?)
        }
    }
}

/// Where an element is.
#[derive(Clone)]
pub(super) enum Place {
    At(Dim),
    /// Where a value says, which is checked.
    Computed(NodeId),
}

/// Operand `n`, an index of a list.
fn place(cx: &mut Import, n: usize, list: &ListOf) -> Result<Place> {
    let length = &list.length;
    let computed = |cx: &mut Import, id: NodeId| {
        let id = cx.cast(id, DType::I64)?;
        cx.reshape(id, &[])
    };
    let id = cx.arg(n)?;
    if let Some(count) = list.count {
        let id = computed(cx, id)?;
        return Ok(Place::Computed(below(cx, id, count)?));
    }
    let Ok(at) = cx.dim(n, "the index") else {
        let id = computed(cx, id)?;
        return Ok(Place::Computed(within(cx, id, length)?));
    };
    let inside = cx.is_nonneg(&at) && cx.is_nonneg(&(length - &at - 1));
    // In a body that may not run, it is no condition of the call.
    if !inside && cx.conditional {
        let id = computed(cx, id)?;
        return Ok(Place::Computed(within(cx, id, length)?));
    }
    cx.require_at_most(&Dim::zero(), &at, "the index of an element")?;
    cx.require_at_most(&(&at + 1), length, "the index of an element and the length of its list")?;
    Ok(Place::At(at))
}

/// An index, or -1 where it is not below the length: what is behind the elements is none.
fn within(cx: &mut Import, index: NodeId, length: &Dim) -> Result<NodeId> {
    let length = cx.dim_scalar(length, DType::I64)?;
    below(cx, index, length)
}

/// As [`within`], of a length that is computed.
fn below(cx: &mut Import, index: NodeId, length: NodeId) -> Result<NodeId> {
    let inside = cx.compare(CompareFn::Lt, index, length)?;
    let none = cx.scalar(DType::I64, -1.0)?;
    cx.select(inside, index, none)
}

pub(super) fn element(cx: &mut Import, data: NodeId, place: Place) -> Result<NodeId> {
    match place {
        Place::Computed(index) => cx.add(Gather { axis: 0, batch: 0, checked: true }, &[data, index]),
        Place::At(at) => {
            let row = cx.slice_axis(data, 0, at, Dim::one())?;
            cx.drop_axes(row, &[0])
        }
    }
}

fn get(cx: &mut Import) -> Outputs {
    let (list, shape) = (any_list(cx, 0)?, shape_operand(cx, 2)?);
    read(cx, &list, &shape)
}

/// The element at the index that is operand 1.
pub(super) fn read(cx: &mut Import, list: &ListOf, shape: &Open) -> Outputs {
    fits(cx, list, shape)?;
    let place = place(cx, 1, list)?;
    let data = data(cx, list, shape)?;
    let Some(extents) = list.extents else { return one(element(cx, data, place)?) };
    let part = uneven::part(cx, extents, data, place)?;
    merged(cx, &open(&cx.shape(part)), shape)?;
    one(part)
}

/// A list's tensor in which one element is another.
pub(super) fn replaced(cx: &mut Import, data: NodeId, place: Place, item: NodeId) -> Result<NodeId> {
    match place {
        Place::At(at) => {
            let row = cx.insert_axes(item, &[0])?;
            let mut start = vec![Dim::zero(); cx.rank(data)];
            start[0] = at;
            cx.add(Put { start }, &[data, row])
        }
        Place::Computed(index) => {
            let index = cx.reshape(index, &[Dim::one()])?;
            cx.add(Scatter::checked(Combine::Set, 1), &[data, index, item])
        }
    }
}

/// The tensor of a list that takes `item`, in the shape of its elements, and the item's extent where they differ in it.
fn data_for(cx: &mut Import, list: &mut ListOf, item: NodeId) -> Result<(NodeId, NodeId, Option<NodeId>)> {
    *list = uneven::ready_for(cx, list.clone(), item)?;
    if list.extents.is_some() {
        let (data, item, extent) = uneven::fitted(cx, list, item)?;
        return Ok((data, item, Some(extent)));
    }
    if cx.dtype(item) != list.dtype {
        return Err(format!("an element of {} does not fit a list of {}", cx.dtype(item), list.dtype).into());
    }
    let shape = open(&cx.shape(item));
    merged(cx, &list.shape, &shape)?;
    let data = data(cx, list, &shape)?;
    let element = cx.shape(data)[1..].to_vec();
    merged(cx, &open(&element), &shape)?;
    Ok((data, cx.reshape(item, &element)?, None))
}

fn set(cx: &mut Import) -> Outputs {
    let (mut list, item) = (any_list(cx, 0)?, cx.arg(2)?);
    list.grows = cx.node.attr_bool("resize_if_index_out_of_bounds")?;
    if list.grows && is_behind(cx, &list)? {
        let list = pushed(cx, list, item)?;
        return Ok(vec![give(cx, ListOf { grows: false, ..list })]);
    }
    let list = with_item(cx, list, item)?;
    Ok(vec![give(cx, ListOf { grows: false, ..list })])
}

/// Whether the index that is operand 1 is how many elements a list has of which data decide that.
fn is_behind(cx: &Import, list: &ListOf) -> Result<bool> {
    let moved = |mut id: NodeId| {
        while let Op::Cast(_) | Op::Reshape(_) = cx.graph.op(id) {
            id = cx.graph.node(id).inputs[0];
        }
        id
    };
    let at = cx.arg(1)?;
    Ok(list.count.is_some_and(|count| moved(count) == moved(at)))
}

/// The list in which `item` is at the index that is operand 1.
pub(super) fn with_item(cx: &mut Import, mut list: ListOf, item: NodeId) -> Result<ListOf> {
    let mut set = list.known_set();
    let (mut data, item, extent) = data_for(cx, &mut list, item)?;
    if list.grows {
        let end = cx.dim(1, "the index in a list that grows")? + 1;
        list.length = cx.greater(&list.length, &end);
        data = with_room(cx, data, &list.length)?;
        if let Some(count) = list.count {
            let end = cx.dim_scalar(&end, DType::I64)?;
            list.count = Some(cx.binary(BinaryFn::Max, count, end)?);
        }
    }
    let place = place(cx, 1, &list)?;
    let item = match list.sums {
        true => {
            let before = element(cx, data, place.clone())?;
            cx.add_(before, item)?
        }
        false => item,
    };
    list.data = Some(replaced(cx, data, place.clone(), item)?);
    list.alike = None;
    set = set.filter(|_| matches!(&place, Place::At(at) if at.as_int().is_some()));
    if let (Some(set), Place::At(at)) = (&mut set, &place) {
        set.extend(at.as_int());
    }
    list.set = list.data.zip(set);
    if let Some(extent) = extent {
        list.extents = uneven::told(cx, &list, place, extent)?;
    }
    Ok(list)
}

fn push(cx: &mut Import) -> Outputs {
    let (list, item) = (any_list(cx, 0)?, cx.arg(1)?);
    let list = pushed(cx, list, item)?;
    Ok(vec![give(cx, list)])
}

/// The list with one element more.
fn pushed(cx: &mut Import, mut list: ListOf, item: NodeId) -> Result<ListOf> {
    if let Some(most) = list.most {
        cx.require_at_most(&(&list.length + 1), &Dim::from(most), "the length of a list and its limit")?;
    }
    let numbers = cx.graph.dims(item).map(<[Dim]>::to_vec);
    list.alike = numbers.filter(|numbers| list.length.is(0) || list.alike.as_ref() == Some(numbers));
    let (data, item, extent) = data_for(cx, &mut list, item)?;
    let end = list.length.clone();
    list.length = &end + 1;
    let data = with_room(cx, data, &list.length)?;
    let place = match list.count {
        Some(count) => Place::Computed(count),
        None => Place::At(end),
    };
    list.data = Some(replaced(cx, data, place.clone(), item)?);
    if let Some(extent) = extent {
        list.extents = uneven::told(cx, &list, place, extent)?;
    }
    list.count = list.count.map(|count| more(cx, count, 1)).transpose()?;
    Ok(list)
}

/// A count and `by`.
fn more(cx: &mut Import, count: NodeId, by: i64) -> Result<NodeId> {
    let by = cx.scalar(DType::I64, by as f64)?;
    cx.add_(count, by)
}

fn pop(cx: &mut Import) -> Outputs {
    let (mut list, shape) = (any_list(cx, 0)?, shape_operand(cx, 1)?);
    if list.extents.is_some() && list.count.is_some() {
        list = uneven::even(cx, list)?;
    }
    fits(cx, &list, &shape)?;
    let data = data(cx, &list, &shape)?;
    if let Some(count) = list.count {
        // Nobody but who pops sees what lies behind the last element; an empty list has no element -1.
        let last = more(cx, count, -1)?;
        list.count = Some(last);
        let item = element(cx, data, Place::Computed(last))?;
        let item = alike(cx, &list, item)?;
        return Ok(vec![give(cx, list), item.into()]);
    }
    list.length = &list.length - 1;
    let last = list.length.clone();
    // In a body that may not run, what is not known is no condition of the call.
    let looks_when_run = cx.conditional && last.as_int().is_none() && !cx.is_nonneg(&last);
    let place = match looks_when_run {
        true => Place::Computed(cx.dim_scalar(&last, DType::I64)?),
        false => {
            cx.require_at_most(&Dim::one(), &(&last + 1), "the length of a list of which one is taken")?;
            Place::At(last.clone())
        }
    };
    if let Some(extents) = list.extents {
        let item = uneven::part(cx, extents, data, place)?;
        merged(cx, &open(&cx.shape(item)), &shape)?;
        if !looks_when_run && !cx.varies(&last) {
            list.data = Some(cx.slice_axis(data, 0, Dim::zero(), last.clone())?);
            list.extents = Some(cx.slice_axis(extents, 0, Dim::zero(), last)?);
        }
        return Ok(vec![give(cx, list), item.into()]);
    }
    let item = element(cx, data, place.clone())?;
    // What is pushed behind an element that was taken replaces it; what is only counted must be zero.
    list.data = Some(match looks_when_run || cx.varies(&last) {
        true => {
            let element = cx.shape(item);
            let zero = zeros(cx, list.dtype, &element)?;
            replaced(cx, data, place, zero)?
        }
        false => cx.slice_axis(data, 0, Dim::zero(), last)?,
    });
    let item = alike(cx, &list, item)?;
    Ok(vec![give(cx, list), item.into()])
}

/// An element of a list as what all of them are, if that is known.
fn alike(cx: &mut Import, list: &ListOf, item: NodeId) -> Result<NodeId> {
    let ty = cx.graph.ty(item).clone();
    match &list.alike {
        Some(numbers) => cx.known(numbers, &ty),
        None => Ok(item),
    }
}

fn resize(cx: &mut Import) -> Outputs {
    let (mut list, size) = (even(cx, 0)?, cx.dim(1, "the length of a list")?);
    cx.require_at_most(&Dim::zero(), &size, "the length of a list")?;
    if let Some(data) = list.data {
        let kept = cx.lesser(&list.length, &size);
        let data = cx.slice_axis(data, 0, Dim::zero(), kept)?;
        list.data = Some(with_room(cx, data, &size)?);
    }
    (list.length, list.alike) = (size, None);
    Ok(vec![give(cx, list)])
}

/// TensorFlow stacks no empty list whose element shape is open.
pub(super) fn refuse_empty(cx: &mut Import, list: &ListOf, shape: &Open) -> Result<()> {
    match known(&merged(cx, &list.shape, shape)?) {
        Some(_) => Ok(()),
        None => cx.require_at_most(&Dim::one(), &list.length, "the length of a list whose element shape is open"),
    }
}

fn stack(cx: &mut Import) -> Outputs {
    let (list, shape) = (even(cx, 0)?, shape_operand(cx, 1)?);
    let number = cx.node.attr_int("num_elements")?;
    if number >= 0 {
        cx.require_equal(&list.length, &Dim::from(number), "the length of a list and the one that is asserted")?;
    }
    fits(cx, &list, &shape)?;
    refuse_empty(cx, &list, &shape)?;
    one(elements(cx, &list, &shape)?)
}

fn gather(cx: &mut Import) -> Outputs {
    let (list, indices, shape) = (even(cx, 0)?, cx.arg(1)?, shape_operand(cx, 2)?);
    fits(cx, &list, &shape)?;
    let data = elements(cx, &list, &shape)?;
    one(cx.add(Gather { axis: 0, batch: 0, checked: true }, &[data, indices])?)
}

/// One element for each index, the last of those with the same; the length is the operand's, or what the indices need.
fn scatter(cx: &mut Import) -> Outputs {
    let (x, indices, shape) = (cx.arg(0)?, cx.arg(1)?, shape_operand(cx, 2)?);
    let of = cx.shape(x);
    let given = if cx.count() > 3 { Some(cx.dim(3, "the length of a list")?).filter(|n| !n.is(-1)) } else { None };
    let length = match given {
        Some(length) => length,
        None => {
            let known = cx.ints(1, "the indices that say how long a list is")?;
            Dim::from(known.iter().max().map_or(0, |max| max.saturating_add(1)))
        }
    };
    let [_, element @ ..] = &of[..] else { return Err("a scalar has no elements for a list".into()) };
    merged(cx, &open(element), &shape)?;
    let data = zeros(cx, cx.dtype(x), &rows(&length, element))?;
    let list = ListOf::new(cx.dtype(x), Some(data), length, shape);
    let list = scattered(cx, list, x, indices)?;
    Ok(vec![give(cx, list)])
}

fn scatter_into(cx: &mut Import) -> Outputs {
    let (mut list, x, indices) = (even(cx, 0)?, cx.arg(1)?, cx.arg(2)?);
    let of = cx.shape(x);
    let [_, element @ ..] = &of[..] else { return Err("a scalar has no elements for a list".into()) };
    fits(cx, &list, &open(element))?;
    let data = elements(cx, &list, &open(element))?;
    if let Some(known) = cx.known_ints(indices) {
        let needed = Dim::from(known.iter().max().map_or(0, |max| max.saturating_add(1)));
        list.length = cx.greater(&list.length, &needed);
    }
    list.data = Some(with_room(cx, data, &list.length)?);
    let list = scattered(cx, list, x, indices)?;
    Ok(vec![give(cx, list)])
}

/// The rows of `x` at these indices of a list, in order.
pub(super) fn scattered(cx: &mut Import, mut list: ListOf, x: NodeId, indices: NodeId) -> Result<ListOf> {
    let data = list.data.expect("there is one");
    let (held, count) = (cx.shape(x)[0].clone(), crate::tensor::count(&cx.shape(indices)));
    cx.require_equal(&held, &count, "the number of indices and of elements")?;
    let element = cx.shape(data)[1..].to_vec();
    let x = cx.reshape(x, &rows(&count, &element))?;
    let indices = cx.reshape(indices, &[count, Dim::one()])?;
    let f = if list.sums { Combine::Add } else { Combine::Set };
    list.data = Some(cx.add(Scatter::checked(f, 1), &[data, indices, x])?);
    list.alike = None;
    Ok(list)
}

fn concat(cx: &mut Import) -> Outputs {
    let mut list = list(cx, 0)?;
    let shape = if cx.count() > 1 {
        shape_operand(cx, 1)?
    } else {
        let shape = cx.node.attr_shape("element_shape")?.0;
        shape.map(|dims| dims.into_iter().map(|d| d.map(|n| Dim::from(n as usize))).collect())
    };
    // Of elements that nobody set, the last operand tells the first extents.
    if list.data.is_none() && cx.count() > 2 && !cx.shape(cx.arg(2)?)[0].is(0) {
        list = unset(cx, list, &shape)?;
    }
    joined(cx, &list, &shape)
}

/// Zeros as long as operand 2 says.
fn unset(cx: &mut Import, mut list: ListOf, shape: &Open) -> Result<ListOf> {
    let lengths = cx.dims(2, "the lengths of elements that nobody set")?;
    let rest = merged(cx, &list.shape, shape)?.map(|dims| dims.into_iter().skip(1).collect());
    let Some(rest) = known(&rest) else { return Ok(list) };
    let rows = lengths.iter().fold(Dim::zero(), |sum, length| sum + length);
    let x = zeros(cx, list.dtype, &[&[rows], &rest[..]].concat())?;
    let parts = uneven::parted(cx, x, &lengths)?;
    (list.data, list.extents, list.length) = (parts.data, parts.extents, parts.length);
    Ok(list)
}

/// All elements behind each other, and the first extent of each.
pub(super) fn joined(cx: &mut Import, list: &ListOf, shape: &Open) -> Outputs {
    fits(cx, list, shape)?;
    if let Some(extents) = list.extents {
        return uneven::joined(cx, list, extents);
    }
    refuse_empty(cx, list, shape)?;
    let data = elements(cx, list, shape)?;
    let of = cx.shape(data);
    let [length, each, rest @ ..] = &of[..] else { return Err("scalars cannot be joined".into()) };
    let joined = cx.reshape(data, &[&[length * each], rest].concat())?;
    let each = cx.dim_scalar(each, DType::I64)?;
    let lengths = cx.broadcast_to(each, std::slice::from_ref(length))?;
    Ok(vec![joined.into(), lengths.into()])
}

fn concat_lists(cx: &mut Import) -> Outputs {
    let (a, b) = (even(cx, 0)?, even(cx, 1)?);
    let shape = merged(cx, &a.shape, &b.shape)?;
    let like = a.data.or(b.data).map(|id| cx.shape(id)[1..].to_vec());
    let length = &a.length + &b.length;
    let data = match like {
        None => None,
        Some(element) => {
            let element = open(&element);
            fits(cx, &a, &element)?;
            fits(cx, &b, &element)?;
            let parts = [elements(cx, &a, &element)?, elements(cx, &b, &element)?];
            Some(cx.concat(&parts, 0)?)
        }
    };
    Ok(vec![give(cx, ListOf::new(a.dtype, data, length, shape))])
}

fn split(cx: &mut Import) -> Outputs {
    let (x, shape) = (cx.arg(0)?, shape_operand(cx, 1)?);
    let list = parted(cx, x, &shape)?;
    Ok(vec![give(cx, list)])
}

/// The list of the parts of `x` that are as long as operand 2 says.
pub(super) fn parted(cx: &mut Import, x: NodeId, shape: &Open) -> Result<ListOf> {
    let of = cx.shape(x);
    let [rows, rest @ ..] = &of[..] else { return Err("a scalar has no elements for a list".into()) };
    let lengths = cx.sizes(2, "the length of an element", Some(rows))?;
    let sum = lengths.iter().fold(Dim::zero(), |sum, length| sum + length);
    let each = lengths.first().cloned().unwrap_or_default();
    let is_even = lengths.iter().all(|length| cx.graph.facts().equal(length, &each)) && !cx.is_found(&each);
    for length in &lengths {
        cx.require_at_most(&Dim::zero(), length, "the length of an element")?;
    }
    cx.require_equal(rows, &sum, "the rows and the lengths of the elements")?;
    if !is_even {
        let list = uneven::parted(cx, x, &lengths)?;
        merged(
            cx,
            &open(&of).map(|mut of| {
                of[0] = None;
                of
            }),
            shape,
        )?;
        if let Some([Some(first), ..]) = shape.as_deref() {
            for length in &lengths {
                cx.require_equal(length, first, "the length of an element and the one that is asserted")?;
            }
        }
        return Ok(ListOf { shape: shape.clone(), ..list });
    }
    let element = [&[each], rest].concat();
    merged(cx, &open(&element), shape)?;
    let data = cx.reshape(x, &[&[Dim::from(lengths.len())], &element[..]].concat())?;
    Ok(ListOf::new(cx.dtype(x), Some(data), lengths.len().into(), shape.clone()))
}
