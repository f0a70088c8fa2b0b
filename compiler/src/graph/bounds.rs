//! Between which dims the elements of integers and bools lie: what lies between a dim and the same dim is that dim.
//!
//! A bin count that a model clips to a constant from both sides is that constant, whatever is counted. Bounds hold for
//! every element of a tensor, and for every value of the inputs for which nothing above the node is a fault.

use super::{Graph, NodeId};
use crate::{
    base::{Dim, dim::NoVars},
    loops::{BinaryFn, Combine, CompareFn, UnaryFn},
    op::{Op, Reduce},
    tensor::{DType, TensorType},
};

/// Elements of a tensor that are looked at one by one; more of them are data.
const MAX_ELEMENTS: usize = 64;

/// The bounds of the nodes of a growing graph.
#[derive(Clone, Debug, Default)]
pub struct Bounds(Vec<Node>);

#[derive(Clone, Debug)]
struct Node {
    /// None for other types, and where a bound would not be an i64.
    range: Option<Range>,
    /// Whether the node or one above it checks values of the inputs.
    checks: bool,
}

/// The least and the greatest value that an element may have.
#[derive(Clone, Debug, PartialEq)]
struct Range {
    low: Dim,
    high: Dim,
}

impl Bounds {
    /// The one value that all elements of an integer or bool tensor have, where none of what it is computed from checks
    /// anything: who takes the value instead drops no fault.
    pub fn only(&mut self, graph: &Graph, id: NodeId) -> Option<Dim> {
        let node = self.of(graph, id);
        node.range.as_ref().filter(|range| range.low == range.high && !node.checks).map(|range| range.low.clone())
    }

    /// The most that an element may be, where that is less than all that the type holds.
    pub fn most(&mut self, graph: &Graph, id: NodeId) -> Option<Dim> {
        let all = Range::of_type(graph.ty(id).dtype)?;
        let range = self.of(graph, id).range.as_ref()?;
        (range.high != all.high).then(|| range.high.clone())
    }
    fn of(&mut self, graph: &Graph, id: NodeId) -> &Node {
        // Operands precede their users.
        for next in (self.0.len()..graph.len()).map(NodeId::new) {
            let node = self.node(graph, next);
            self.0.push(node);
        }
        &self.0[id.index()]
    }

    fn node(&self, graph: &Graph, id: NodeId) -> Node {
        let node = graph.node(id);
        let checks = checks(&node.op, node.ty.dtype) || node.inputs.iter().any(|i| self.0[i.index()].checks);
        let all = Range::of_type(node.ty.dtype);
        let range = all.map(|all| self.range(graph, id, &all).filter(|range| range.is_within(&all)).unwrap_or(all));
        Node { range, checks }
    }

    /// What is known beyond the type's own range, `all`.
    fn range(&self, graph: &Graph, id: NodeId, all: &Range) -> Option<Range> {
        let node = graph.node(id);
        if let Some(dims) = graph.dims(id).filter(|dims| dims.len() <= MAX_ELEMENTS) {
            return Range::of_all(dims.iter().cloned().map(Range::only));
        }
        let of = |n: usize| self.0[node.inputs[n].index()].range.clone();
        match &node.op {
            Op::Iota(iota) => Some(Range { low: Dim::zero(), high: &iota.shape[iota.axis] - 1 }),
            Op::ArgReduce(arg) => {
                let extent = &graph.shape(node.inputs[0])[arg.axis];
                Some(Range { low: Dim::zero(), high: (extent - 1).at_least(&Dim::zero()) })
            }
            Op::TopK(_) => Some(Range { low: Dim::zero(), high: graph.shape(node.inputs[0]).last()? - 1 }),
            Op::Broadcast(_) | Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) => of(0),
            Op::Pad(_) | Op::Concat(_) => Range::of_all((0..node.inputs.len()).map(of).collect::<Option<Vec<_>>>()?),
            Op::Gather(gather) if gather.checked => of(0),
            // An index that is out of range gives 0.
            Op::Gather(_) => Range::of_all([of(0)?, Range::only(Dim::zero())]),
            Op::Scatter(scatter) => match scatter.f {
                Combine::Add | Combine::Sub | Combine::Mul | Combine::Div | Combine::Or => None,
                _ => Range::of_all([of(0)?, of(2)?]),
            },
            Op::Reduce(reduce) => of(0)?.reduced(reduce, graph.ty(node.inputs[0])),
            Op::Unary(unary) => of(0)?.unary(unary.f, node.ty.dtype),
            Op::Binary(binary) => of(0)?.binary(binary.f, &of(1)?, all),
            Op::Compare(compare) => of(0)?.compare(compare.f, &of(1)?),
            Op::Select(_) => match of(0)? {
                cond if cond.low.is(1) => of(1),
                cond if cond.high.is(0) => of(2),
                _ => Range::of_all([of(1)?, of(2)?]),
            },
            Op::Cast(_) if node.ty.dtype == DType::Bool => of(0)?.compare(CompareFn::Ne, &Range::only(Dim::zero())),
            Op::Cast(_) => of(0),
            _ => None,
        }
    }
}

/// Whether an operator looks for faults.
fn checks(op: &Op, dtype: DType) -> bool {
    match op {
        Op::Gather(gather) => gather.checked,
        Op::Scatter(scatter) => scatter.faults() || scatter.f == Combine::Div && dtype.is_int(),
        Op::Binary(binary) => dtype.is_int() && matches!(binary.f, BinaryFn::Div | BinaryFn::Rem | BinaryFn::Pow),
        _ => false,
    }
}

/// Whether `a <= b` is proved. Dims have no room for differences with the extremes of 64 bits.
fn at_most(a: &Dim, b: &Dim) -> bool {
    match (a.as_int(), b.as_int()) {
        (Some(a), Some(b)) => a <= b,
        (Some(i64::MIN), None) | (None, Some(i64::MAX)) => true,
        (Some(i64::MAX), None) | (None, Some(i64::MIN)) => false,
        _ => (b - a).is_nonneg(&NoVars),
    }
}

/// Whether `a < b` is proved. The greatest integer has no successor.
fn below(a: &Dim, b: &Dim) -> bool {
    match (a.as_int(), b.as_int()) {
        (Some(a), Some(b)) => a < b,
        (Some(i64::MAX), None) => false,
        _ => at_most(&(a + 1), b),
    }
}

impl Range {
    fn only(dim: Dim) -> Range {
        Range { low: dim.clone(), high: dim }
    }
    /// All values of a type.
    fn of_type(dtype: DType) -> Option<Range> {
        let (low, high) = if dtype == DType::Bool { (0, 1) } else { dtype.int_range()? };
        Some(Range { low: i64::try_from(low).ok()?.into(), high: i64::try_from(high).ok()?.into() })
    }
    /// The range of all, where one of the bounds of each two is proved to be the outer one.
    fn of_all(ranges: impl IntoIterator<Item = Range>) -> Option<Range> {
        let mut ranges = ranges.into_iter();
        let first = ranges.next()?;
        ranges.try_fold(first, |a, b| Some(Range { low: least(&a.low, &b.low)?, high: greatest(&a.high, &b.high)? }))
    }
    /// Whether all values are of the type that has `all`. Extents fit the types that models keep them in.
    fn is_within(&self, all: &Range) -> bool {
        let wide = at_most(&i64::from(i32::MAX).into(), &all.high);
        at_most(&all.low, &self.low) && (wide && self.high.as_int().is_none() || at_most(&self.high, &all.high))
    }
    /// The value of a bool.
    fn truth(yes: bool, no: bool) -> Option<Range> {
        (yes || no).then(|| Range::only(Dim::from(yes as i64)))
    }

    fn unary(&self, f: UnaryFn, dtype: DType) -> Option<Range> {
        match f {
            UnaryFn::Not if dtype == DType::Bool => {
                Some(Range { low: Dim::one() - &self.high, high: Dim::one() - &self.low })
            }
            // The least integer stays what it is: of fewer bits it leaves the range, of 64 it has no opposite.
            UnaryFn::Neg if dtype.is_signed_int() && !self.low.is(i64::MIN) => {
                Some(Range { low: -&self.high, high: -&self.low })
            }
            UnaryFn::Abs if self.low.is_nonneg(&NoVars) => Some(self.clone()),
            _ => None,
        }
    }

    fn binary(&self, f: BinaryFn, other: &Range, all: &Range) -> Option<Range> {
        let (a, b) = (self, other);
        match f {
            // Each operand bounds the result from one side; from the other, both do.
            BinaryFn::Min => Some(Range {
                low: least(&a.low, &b.low).unwrap_or_else(|| all.low.clone()),
                high: least(&a.high, &b.high).unwrap_or_else(|| a.high.clone()),
            }),
            BinaryFn::Max => Some(Range {
                low: greatest(&a.low, &b.low).unwrap_or_else(|| a.low.clone()),
                high: greatest(&a.high, &b.high).unwrap_or_else(|| all.high.clone()),
            }),
            BinaryFn::And if a.is_truth() && b.is_truth() => {
                Some(Range { low: least(&a.low, &b.low)?, high: least(&a.high, &b.high)? })
            }
            BinaryFn::Or if a.is_truth() && b.is_truth() => {
                Some(Range { low: greatest(&a.low, &b.low)?, high: greatest(&a.high, &b.high)? })
            }
            BinaryFn::Add => {
                let whole = from_corners([(&a.low, &b.low), (&a.high, &b.high)], i64::checked_add);
                whole.or_else(|| a.is_small(all).then(|| b.is_small(all)).filter(|&both| both).map(|_| a.plus(b)))
            }
            BinaryFn::Sub => from_corners([(&a.low, &b.high), (&a.high, &b.low)], i64::checked_sub),
            BinaryFn::Mul => {
                let corners = [(&a.low, &b.low), (&a.low, &b.high), (&a.high, &b.low), (&a.high, &b.high)];
                from_corners(corners, i64::checked_mul)
            }
            _ => None,
        }
    }
    /// Whether the bounds are far from those of the type: extents, and numbers that are no larger.
    fn is_small(&self, all: &Range) -> bool {
        let most = i64::from(i32::MAX);
        let fits = |dim: &Dim| dim.as_int().is_none_or(|n| (-most..=most).contains(&n));
        at_most(&most.into(), &all.high) && fits(&self.low) && fits(&self.high)
    }
    fn plus(&self, other: &Range) -> Range {
        Range { low: &self.low + &other.low, high: &self.high + &other.high }
    }
    fn is_truth(&self) -> bool {
        at_most(&Dim::zero(), &self.low) && at_most(&self.high, &Dim::one())
    }

    fn compare(&self, f: CompareFn, other: &Range) -> Option<Range> {
        let (a, b) = (self, other);
        let (lt, ge) = (below(&a.high, &b.low), at_most(&b.high, &a.low));
        let (gt, le) = (below(&b.high, &a.low), at_most(&a.high, &b.low));
        let same = a.low == a.high && b.low == b.high && a.low == b.low;
        match f {
            CompareFn::Lt => Range::truth(lt, ge),
            CompareFn::Ge => Range::truth(ge, lt),
            CompareFn::Gt => Range::truth(gt, le),
            CompareFn::Le => Range::truth(le, gt),
            CompareFn::Eq => Range::truth(same, lt || gt),
            CompareFn::Ne => Range::truth(lt || gt, same),
        }
    }

    /// Extremes of at least one element lie between the elements.
    fn reduced(&self, reduce: &Reduce, of: &TensorType) -> Option<Range> {
        if reduce.f == BinaryFn::Add && of.dtype.is_int() && self.low.is_nonneg(&NoVars) {
            let folded: Vec<Dim> = reduce.axes.iter().map(|&a| of.shape[a].clone()).collect();
            let all = Range::of_type(of.dtype)?;
            // A sum that wraps is another one.
            let high = (self.high != all.high).then(|| &self.high * crate::tensor::count(&folded))?;
            return Some(Range { low: Dim::zero(), high });
        }
        let some = reduce.axes.iter().all(|&a| at_most(&Dim::one(), &of.shape[a]));
        let between = matches!(reduce.f, BinaryFn::Min | BinaryFn::Max)
            || matches!(reduce.f, BinaryFn::And | BinaryFn::Or) && of.dtype == DType::Bool;
        (some && between).then(|| self.clone())
    }
}

fn least(a: &Dim, b: &Dim) -> Option<Dim> {
    if at_most(a, b) { Some(a.clone()) } else { at_most(b, a).then(|| b.clone()) }
}
fn greatest(a: &Dim, b: &Dim) -> Option<Dim> {
    if at_most(a, b) { Some(b.clone()) } else { at_most(b, a).then(|| a.clone()) }
}

/// The range of a function that has its extremes where its operands have theirs; of integers that fit an i64.
fn from_corners<const N: usize>(corners: [(&Dim, &Dim); N], f: fn(i64, i64) -> Option<i64>) -> Option<Range> {
    let values: Option<Vec<i64>> = corners.iter().map(|(a, b)| f(a.as_int()?, b.as_int()?)).collect();
    let values = values?;
    Some(Range { low: (*values.iter().min()?).into(), high: (*values.iter().max()?).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value that every element of `%9` has: lines after an input `%0`.
    fn only(input: &str, lines: &[&str]) -> Option<String> {
        let head = format!("input \"x\" %0\n%0 = input : {input}\n");
        let text = head + &lines.join("\n") + "\noutput \"y\" %9\n";
        let graph = crate::graph::text::parse(&text, &Default::default()).unwrap_or_else(|e| panic!("{e}\n{text}"));
        Bounds::default().only(&graph, graph.outputs[0].node).map(|dim| dim.to_string())
    }

    #[test]
    fn clipping_from_both_sides_leaves_one_value() {
        let clip = |low: &str, high: &str| {
            let [low, high] = [format!("%1 = {low}"), format!("%2 = {high}")];
            only("i32[]", &[&low, &high, "%3 = binary {\"f\":\"max\"} %1 %0", "%9 = binary {\"f\":\"min\"} %2 %3"])
        };
        assert_eq!(clip("const [5] : i32[]", "const [5] : i32[]").as_deref(), Some("5"));
        assert_eq!(clip("const [7] : i32[]", "const [5] : i32[]").as_deref(), Some("5"));
        assert_eq!(clip("const [4] : i32[]", "const [5] : i32[]"), None);
    }

    #[test]
    fn extents_are_bounds_too() {
        let lines = [
            "%1 = extent N",
            "%2 = const [3] : i64[]",
            "%3 = binary {\"f\":\"add\"} %1 %2",
            "%4 = reduce {\"f\":\"max\",\"axes\":[0]} %0",
            "%5 = reshape {\"shape\":[]} %4",
            "%6 = binary {\"f\":\"max\"} %3 %5",
            "%9 = binary {\"f\":\"min\"} %6 %1",
        ];
        assert_eq!(only("i64[N]", &lines).as_deref(), Some("N"));
    }

    #[test]
    fn comparisons_are_decided_by_types_and_arithmetic() {
        let compare = |input: &str, add: &str, f: &str, with: &str| {
            let ty = input.split('[').next().unwrap();
            let [add, with] = [(1, add), (2, with)].map(|(n, value)| format!("%{n} = const [{value}] : {ty}[]"));
            let sum = "%3 = binary {\"f\":\"add\"} %0 %1";
            only(input, &[&add, &with, sum, &format!("%9 = compare {{\"f\":\"{f}\"}} %3 %2")])
        };
        assert_eq!(compare("u8[]", "0", "ge", "0").as_deref(), Some("1"));
        assert_eq!(compare("i8[]", "0", "lt", "-128").as_deref(), Some("0"));
        assert_eq!(compare("u8[]", "0", "gt", "0"), None);
        assert_eq!(compare("u8[]", "1", "ge", "1"), None, "255 + 1 wraps");
        // The extremes of 64 bits are values like others.
        for (f, extreme) in [("lt", i64::MAX), ("ge", i64::MAX), ("gt", i64::MIN), ("le", i64::MIN)] {
            assert_eq!(compare("i64[]", "0", f, &extreme.to_string()), None, "{f} {extreme}");
        }
        assert_eq!(compare("i64[]", "0", "gt", &i64::MAX.to_string()).as_deref(), Some("0"));
        assert_eq!(compare("i64[]", "0", "ge", &i64::MIN.to_string()).as_deref(), Some("1"));
    }

    #[test]
    fn the_least_integer_is_its_own_opposite() {
        let opposite = |ty: &str, f: &str, with: i64| {
            let with = format!("%2 = const [{with}] : {ty}[]");
            let compare = format!("%9 = compare {{\"f\":\"{f}\"}} %1 %2");
            only(&format!("{ty}[]"), &["%1 = unary {\"f\":\"neg\"} %0", &with, &compare])
        };
        assert_eq!(opposite("i64", "ge", -i64::MAX), None);
        assert_eq!(opposite("i8", "ge", -127), None);
        assert_eq!(opposite("i8", "ge", -128).as_deref(), Some("1"));
    }

    #[test]
    fn nothing_follows_where_a_fault_would_be_lost_or_a_minimum_is_of_nothing() {
        let pick = |checked: bool| {
            let gather = format!("%2 = gather {{\"axis\":0,\"batch\":0,\"checked\":{checked}}} %1 %0");
            only("i32[]", &["%1 = const [0,0] : i32[2]", &gather, "%9 = binary {\"f\":\"mul\"} %2 %0"])
        };
        assert_eq!((pick(true), pick(false).as_deref()), (None, Some("0")));
        let least = |extent: &str| {
            let low = "%1 = const [0] : u8[]";
            let one = "%2 = reshape {\"shape\":[1]} %1";
            let spread = format!("%3 = broadcast {{\"shape\":[\"{extent}\"]}} %2");
            only(
                &format!("u8[{extent}]"),
                &[
                    low,
                    one,
                    &spread,
                    "%4 = binary {\"f\":\"min\"} %0 %3",
                    "%9 = reduce {\"f\":\"min\",\"axes\":[0]} %4",
                ],
            )
        };
        assert_eq!((least("N+1").as_deref(), least("N")), (Some("0"), None));
    }
}
