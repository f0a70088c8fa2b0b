//! Between which dims the elements of integers and bools lie: what lies between a dim and the same dim is that dim.
//!
//! A bin count that a model clips to a constant from both sides is that constant, whatever is counted. Bounds hold for
//! every element of a tensor, and for every value of the inputs for which nothing above the node is a fault.

use super::{Graph, NodeId};
use crate::{
    base::{Dim, dim::NoVars},
    loops::{BinaryFn, Combine, CompareFn, UnaryFn},
    op::{Malformed, Op, Reduce},
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

    /// The most that an element may be, where that is less than all that a type of at least 32 bits holds.
    pub fn most(&mut self, graph: &Graph, id: NodeId) -> Option<Dim> {
        let all = Range::of_type(graph.ty(id).dtype)?;
        let range = self.of(graph, id).range.as_ref()?;
        (range.high != all.high || all.is_narrow()).then(|| range.high.clone())
    }
    /// Whether every element is proved to be at least 1.
    pub fn is_positive(&mut self, graph: &Graph, id: NodeId) -> bool {
        self.of(graph, id).range.as_ref().is_some_and(|range| range.is_positive())
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
        let checks = refuses(&node.op, node.ty.dtype) || node.inputs.iter().any(|i| self.0[i.index()].checks);
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
            Op::Unary(unary) => of(0)?.unary(unary.f, all),
            Op::Binary(binary) => of(0)?.binary(binary.f, &of(1)?, all),
            Op::Compare(compare) => of(0)?.compare(compare.f, &of(1)?),
            Op::Select(_) => match of(0)? {
                cond if cond.low.is(1) => of(1),
                cond if cond.high.is(0) => of(2),
                _ => Range::of_all([self.chosen(graph, id, true)?, self.chosen(graph, id, false)?]),
            },
            Op::Cast(_) if node.ty.dtype == DType::Bool => of(0)?.compare(CompareFn::Ne, &Range::only(Dim::zero())),
            Op::Cast(_) => of(0),
            _ => None,
        }
    }

    /// What a Select gives where its condition holds, or where it does not: what is compared lies on that side there.
    fn chosen(&self, graph: &Graph, select: NodeId, holds: bool) -> Option<Range> {
        let [cond, yes, no] = graph.node(select).inputs[..] else { return None };
        let (value, compared) = (if holds { yes } else { no }, graph.node(cond));
        let of = |id: NodeId| self.0[id.index()].range.clone();
        let Op::Compare(compare) = &compared.op else { return of(value) };
        let x = compared.inputs[0];
        let (Some(whole), Some(limit)) = (of(x), of(compared.inputs[1])) else { return of(value) };
        let part = whole.where_compared(compare.f, &limit, holds);
        let within = |id: NodeId| if id == x { Some(part.clone()) } else { of(id) };
        match &graph.node(value).op {
            _ if value == x => Some(part),
            Op::Binary(binary) if graph.ty(value).dtype == graph.ty(x).dtype => {
                let [a, b] = graph.node(value).inputs[..] else { return None };
                let all = Range::of_type(graph.ty(value).dtype)?;
                let range = within(a)?.binary(binary.f, &within(b)?, &all).filter(|range| range.is_within(&all));
                range.or_else(|| of(value))
            }
            _ => of(value),
        }
    }
}

/// Whether an operator with a result of this type refuses some values of its operands.
pub fn refuses(op: &Op, dtype: DType) -> bool {
    match op {
        Op::Within(_) | Op::TextPart(_) | Op::TextJoin(_) | Op::TextInt(_) | Op::TextFloat(_) => true,
        Op::TextCodes(codes) => codes.by.malformed == Malformed::Fault,
        Op::TextDecode(codes) => codes.by.malformed == Malformed::Fault,
        Op::TextRaw(raw) => !raw.padded,
        Op::Features(_) | Op::ListCount(_) | Op::ListValues(_) => true,
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

    fn unary(&self, f: UnaryFn, all: &Range) -> Option<Range> {
        match f {
            UnaryFn::Not if all.is_truth() => {
                Some(Range { low: Dim::one() - &self.high, high: Dim::one() - &self.low })
            }
            // The least integer stays what it is: of fewer bits it leaves the range, of 64 it has no opposite.
            UnaryFn::Neg if all.low.as_int()? < 0 => self.negated(),
            UnaryFn::Abs if self.low.is_nonneg(&NoVars) => Some(self.clone()),
            UnaryFn::Abs => {
                let high = greatest(&self.negated()?.high, &self.high)?;
                Some(Range { low: Dim::zero(), high })
            }
            _ => None,
        }
    }
    fn negated(&self) -> Option<Range> {
        let has_opposite = |dim: &Dim| !dim.is(i64::MIN);
        let range = || Range { low: -&self.high, high: -&self.low };
        (has_opposite(&self.low) && has_opposite(&self.high)).then(range)
    }
    fn is_positive(&self) -> bool {
        at_most(&Dim::one(), &self.low)
    }
    /// Of a type that holds so little that all of it is a bound.
    fn is_narrow(&self) -> bool {
        at_most(&self.high, &i64::from(u16::MAX).into())
    }

    /// The values of which a comparison with `limit` holds, or does not.
    fn where_compared(&self, f: CompareFn, limit: &Range, holds: bool) -> Range {
        let f = match (f, holds) {
            (f, true) => f,
            (CompareFn::Lt, false) => CompareFn::Ge,
            (CompareFn::Ge, false) => CompareFn::Lt,
            (CompareFn::Gt, false) => CompareFn::Le,
            (CompareFn::Le, false) => CompareFn::Gt,
            (CompareFn::Eq, false) => CompareFn::Ne,
            (CompareFn::Ne, false) => CompareFn::Eq,
        };
        let next = |dim: &Dim, by: i64| match dim.as_int() {
            Some(n) => n.checked_add(by).map(Dim::from),
            None => Some(dim + by),
        };
        let below =
            |most: Option<Dim>| most.and_then(|most| least(&self.high, &most)).unwrap_or_else(|| self.high.clone());
        let above =
            |most: Option<Dim>| most.and_then(|most| greatest(&self.low, &most)).unwrap_or_else(|| self.low.clone());
        let (low, high) = (|| self.low.clone(), || self.high.clone());
        match f {
            CompareFn::Lt => Range { low: low(), high: below(next(&limit.high, -1)) },
            CompareFn::Le => Range { low: low(), high: below(Some(limit.high.clone())) },
            CompareFn::Gt => Range { low: above(next(&limit.low, 1)), high: high() },
            CompareFn::Ge => Range { low: above(Some(limit.low.clone())), high: high() },
            CompareFn::Eq => Range { low: above(Some(limit.low.clone())), high: below(Some(limit.high.clone())) },
            CompareFn::Ne => self.clone(),
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
            BinaryFn::Sub => {
                let whole = from_corners([(&a.low, &b.high), (&a.high, &b.low)], i64::checked_sub);
                whole.or_else(|| (a.is_small(all) && b.is_small(all)).then(|| b.negated().map(|b| a.plus(&b)))?)
            }
            BinaryFn::Mul => {
                let corners = [(&a.low, &b.low), (&a.low, &b.high), (&a.high, &b.low), (&a.high, &b.high)];
                from_corners(corners, i64::checked_mul)
            }
            BinaryFn::Div if b.is_positive() => a.over(b),
            BinaryFn::Rem => a.rest(b),
            // A bit that one of two lacks both lack.
            BinaryFn::And => {
                let sides = [a, b].into_iter().filter(|side| side.low.is_nonneg(&NoVars));
                let high = sides.map(|side| side.high.clone()).reduce(|a, b| least(&a, &b).unwrap_or(a))?;
                Some(Range { low: Dim::zero(), high })
            }
            BinaryFn::Shr if a.low.is_nonneg(&NoVars) => Some(Range { low: Dim::zero(), high: a.high.clone() }),
            _ => None,
        }
    }
    /// Quotients toward zero, by divisors of at least 1.
    fn over(&self, by: &Range) -> Option<Range> {
        let least_divisor = by.low.as_int();
        let low = match (self.low.as_int(), least_divisor) {
            (Some(n), Some(k)) if n < 0 || by.high.is(k) => (n / k).into(),
            _ if self.low.is_nonneg(&NoVars) => Dim::zero(),
            _ => self.low.as_int()?.into(),
        };
        let high = match (self.high.as_int(), least_divisor) {
            (Some(n), Some(k)) if n >= 0 || by.high.is(k) => (n / k).into(),
            _ if at_most(&self.high, &Dim::zero()) => Dim::zero(),
            (None, Some(_)) if self.high.is_nonneg(&NoVars) => self.high.floor_div(&by.low),
            _ => self.high.at_least(&Dim::zero()),
        };
        Some(Range { low, high })
    }
    /// What divisions leave: less than the divisor and no more than the dividend, of whose sign it is.
    fn rest(&self, by: &Range) -> Option<Range> {
        let divisor = by.negated().and_then(|minus| greatest(&minus.high, &by.high));
        let below_divisor = divisor.map(|most| most - Dim::one());
        let side = |dividend: Option<Dim>| match (dividend.filter(|dim| dim.is_nonneg(&NoVars)), &below_divisor) {
            (Some(dim), Some(most)) => Some(least(&dim, most).unwrap_or_else(|| most.clone())),
            (dim, most) => dim.or_else(|| most.clone()),
        };
        let (falls, rises) = (!self.low.is_nonneg(&NoVars), !at_most(&self.high, &Dim::zero()));
        let down = if falls { side(self.negated().map(|minus| minus.high))? } else { Dim::zero() };
        let up = if rises { side(Some(self.high.clone()))? } else { Dim::zero() };
        Some(Range { low: -down, high: up })
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

    /// The most that an element of `%9` is: lines after inputs `%0`.
    fn most(input: &str, lines: &[&str]) -> Option<String> {
        let text = format!("input \"x\" %0\n%0 = input : {input}\n{}\noutput \"y\" %9\n", lines.join("\n"));
        let graph = crate::graph::text::parse(&text, &Default::default()).unwrap_or_else(|e| panic!("{e}\n{text}"));
        Bounds::default().most(&graph, graph.outputs[0].node).map(|dim| dim.to_string())
    }

    #[test]
    fn division_bounds_what_it_gives_and_leaves() {
        let of = |ty: &str, f: &str, by: &str| {
            let by = format!("%1 = const [{by}] : {ty}[]");
            most(&format!("{ty}[]"), &[&by, &format!("%9 = binary {{\"f\":\"{f}\"}} %0 %1")])
        };
        assert_eq!(of("i32", "rem", "4").as_deref(), Some("3"));
        assert_eq!(of("i64", "rem", "-4").as_deref(), Some("3"));
        assert_eq!(of("i64", "and", "7").as_deref(), Some("7"));
        assert_eq!(of("i32", "div", "65536").as_deref(), Some("32767"));
        assert_eq!(of("i32", "div", "-2"), None);
        let extent = ["%1 = extent N+1", "%2 = extent 2*N", "%9 = binary {\"f\":\"rem\"} %0 %1"];
        assert_eq!(most("i64[]", &extent).as_deref(), Some("N"));
        let rest_of = |dividend: &str| {
            let low = "%1 = const [-3] : i64[]";
            let [high, by] = [format!("%2 = const [{dividend}] : i64[]"), "%5 = const [100] : i64[]".into()];
            let clip = ["%3 = binary {\"f\":\"max\"} %0 %1", "%4 = binary {\"f\":\"min\"} %3 %2"];
            let lines: Vec<&str> = [low, &high, clip[0], clip[1], &by, "%9 = binary {\"f\":\"rem\"} %4 %5"].into();
            most("i64[]", &lines)
        };
        assert_eq!((rest_of("5").as_deref(), rest_of("500").as_deref()), (Some("5"), Some("99")));
    }

    #[test]
    fn a_divisor_of_a_range_bounds_no_quotient_from_below() {
        let quotient = [
            "%1 = const [1] : i64[]",
            "%2 = const [5] : i64[]",
            "%3 = binary {\"f\":\"max\"} %0 %1",
            "%4 = binary {\"f\":\"min\"} %3 %2",
            "%5 = const [10] : i64[]",
            "%6 = binary {\"f\":\"div\"} %5 %4",
        ];
        let with = |last: &str| most("i64[]", &[&quotient[..], &[last]].concat());
        assert_eq!(with("%9 = reshape {\"shape\":[]} %6").as_deref(), Some("10"));
        assert_eq!(with("%9 = unary {\"f\":\"neg\"} %6").as_deref(), Some("0"), "10 over 5 is 2");
    }

    #[test]
    fn a_choice_knows_what_it_compared() {
        let rest = [
            "%1 = const [4] : i32[]",
            "%2 = binary {\"f\":\"rem\"} %0 %1",
            "%3 = const [0] : i32[]",
            "%4 = compare {\"f\":\"lt\"} %2 %3",
            "%5 = binary {\"f\":\"add\"} %2 %1",
        ];
        let floored = [&rest[..], &["%9 = select {} %4 %5 %2"]].concat();
        let turned = [&rest[..], &["%9 = select {} %4 %2 %5"]].concat();
        assert_eq!(most("i32[]", &floored).as_deref(), Some("3"));
        assert_eq!(most("i32[]", &turned).as_deref(), Some("7"));
    }

    #[test]
    fn what_a_part_is_needed_for_is_not_known_ahead() {
        let nothing = |measured: &str| {
            let length = format!("%3 = text_length {{\"unit\":\"bytes\"}} {measured}");
            let zeros = ["%4 = const [0] : i64[]", "%9 = binary {\"f\":\"mul\"} %3 %4"];
            only("str[]", &["%1 = const [2] : i64[]", "%2 = text_part {} %0 %1 %1", &length, zeros[0], zeros[1]])
        };
        assert_eq!(nothing("%0").as_deref(), Some("0"));
        assert_eq!(nothing("%2"), None, "a string that is too short is a fault");
    }

    #[test]
    fn narrow_types_are_bounds() {
        assert_eq!(most("u8[]", &["%9 = reshape {\"shape\":[1]} %0"]).as_deref(), Some("255"));
        assert_eq!(most("i32[]", &["%9 = reshape {\"shape\":[1]} %0"]), None);
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
