//! Operators that the user declares: calls of functions, whose types and shapes follow from the declaration's rules.

use std::sync::Arc;

use super::{Import, Outputs, Stop, TfOp, Value};
use crate::{
    base::{Diagnostic, Dim},
    graph::{Call, NodeId},
    op::Attribute,
    saved::{
        AttrValue, Node, TfShape,
        custom::{Arith, Attr, Declaration, Expr, Item, Kind, Operators, ShapeRule, TypeRule, type_name},
        data_type, host_type,
    },
    tensor::{DType, TensorType},
};

/// The row of all of them.
pub(super) const OPERATOR: TfOp = TfOp { name: "custom operator", import: call };

impl<'a> Import<'a> {
    /// What is known of operators that are none of TensorFlow's.
    pub(super) fn operators(&self) -> &'a Arc<Operators> {
        &self.around[0].operators
    }
    pub(super) fn declared(&self, op: &str) -> Option<&'a Declaration> {
        self.operators().declared.get(op)
    }
}

fn call(cx: &mut Import) -> Outputs {
    let declared = cx.declared(&cx.node.op).expect("the row was chosen by the declaration");
    if declared.effect && (cx.around.len() > 1 || cx.conditional) {
        let problem =
            format!("{} has an effect and stands within a branch or a loop, which is not supported", declared.name);
        return Err(Diagnostic::error(problem).help("let the model call it outside, on all that it needs").into());
    }
    if cx.count() != declared.inputs.len() {
        let (own, given) = (declared.inputs.len(), cx.count());
        return Err(format!("{} is declared with {own} inputs and has {given} here", declared.name).into());
    }
    let args = cx.args()?;
    for (input, &id) in declared.inputs.iter().zip(&args) {
        let dtype = cx.dtype(id);
        if !input.types.contains(&dtype) {
            let takes: Vec<_> = input.types.iter().map(|&ty| type_name(ty)).collect();
            let (name, is) = (&input.name, type_name(dtype));
            return Err(
                format!("input `{name}` of {} is {is}, and declared as {}", declared.name, takes.join(" or ")).into()
            );
        }
    }
    let rules = Rules { declared, attributes: attributes(cx.node, declared)?, args: &args };
    check_defined(cx.node, cx.operators(), declared)?;
    for condition in &declared.conditions {
        let (left, right) = (rules.value(cx, &condition.left)?, rules.value(cx, &condition.right)?);
        let what = format!("what is declared of {}, `{}`", declared.name, condition.text);
        match condition.equal {
            true => cx.require_equal(&left, &right, &what)?,
            false => cx.require_at_most(&left, &right, &what)?,
        }
    }
    let (mut outputs, mut counted) = (vec![], vec![]);
    for (n, output) in declared.outputs.iter().enumerate() {
        let dtype = rules.ty(cx, &output.ty)?;
        let (shape, bounded) = rules.shape(cx, &output.shape)?;
        for extent in &shape {
            let what = format!("the extents of output `{}` of {}", output.name, declared.name);
            cx.require_at_most(&Dim::zero(), extent, &what)?;
        }
        counted.extend(bounded.then_some(n));
        outputs.push(TensorType::new(dtype, shape));
    }
    let call = Call {
        symbol: declared.symbol.clone(),
        operands: args.iter().map(|&id| cx.graph.ty(id).clone()).collect(),
        outputs,
        counted,
        attributes: declared.attributes.iter().map(|attr| attr.name.clone()).zip(rules.attributes).collect(),
        effect: declared.effect,
        function: declared.function.as_ref().map(|function| function.0.clone()),
    };
    let call = Arc::new(call);
    let results = cx.graph.control(call.clone(), &args)?;
    let (outputs, counts) = results.split_at(call.outputs.len());
    let mut values: Vec<Value> = outputs.iter().map(|&id| id.into()).collect();
    for (&n, &count) in call.counted.iter().zip(counts) {
        let name = &declared.outputs[n].name;
        let node = format!("{}_{name}", cx.node.name);
        let most = call.outputs[n].shape[0].clone();
        let rows = cx.bind(count, Some(&most), &node, &format!("the number of rows of `{name}`"))?;
        values[n] = cx.slice_axis(outputs[n], 0, Dim::zero(), rows)?.into();
    }
    Ok(values)
}

/// What the model's own definition of an operator says is what is declared.
fn check_defined(node: &Node, operators: &Operators, declared: &Declaration) -> Result<(), Stop> {
    let Some(def) = operators.defined.get(&node.op) else { return Ok(()) };
    let lists = def.input_arg.iter().chain(&def.output_arg);
    let mut lists = lists.filter(|arg| !arg.number_attr.is_empty() || !arg.type_list_attr.is_empty());
    if let Some(list) = lists.next() {
        return Err(
            format!("`{}` of {} is a list of tensors, which no declaration can say", list.name, def.name).into()
        );
    }
    if def.output_arg.len() != declared.outputs.len() {
        let (own, said) = (def.output_arg.len(), declared.outputs.len());
        return Err(format!("{} has {own} outputs, and is declared with {said}", def.name).into());
    }
    for (arg, output) in def.output_arg.iter().zip(&declared.outputs) {
        let TypeRule::Fixed(dtype) = output.ty else { continue };
        let number = match node.attrs.get(&arg.type_attr).and_then(|attr| attr.value.as_ref()) {
            Some(AttrValue::Type(number)) => *number,
            _ => arg.r#type,
        };
        if let Some(own) = host_type(data_type(number)).filter(|own| *own != dtype) {
            let (own, said) = (type_name(own), type_name(dtype));
            return Err(format!("output `{}` of {} is {own} here, and declared as {said}", arg.name, def.name).into());
        }
    }
    Ok(())
}

/// The values of the declared attributes. What else the node has says nothing but types, or TensorFlow's own notes.
fn attributes(node: &Node, declared: &Declaration) -> Result<Vec<Attribute>, Stop> {
    let known = |name: &str| declared.attributes.iter().any(|attr| attr.name == name);
    let matters = |value: &AttrValue| !matches!(value, AttrValue::Type(_)) && !is_types(value);
    for (name, attr) in &node.attrs {
        if !name.starts_with('_') && !known(name) && attr.value.as_ref().is_some_and(matters) {
            let problem =
                format!("the node has an attribute `{name}`, which the declaration of {} does not name", node.op);
            return Err(Diagnostic::error(problem).help("declare it; its function may take no notice of it").into());
        }
    }
    declared.attributes.iter().map(|attr| attribute(node, attr)).collect()
}

fn is_types(value: &AttrValue) -> bool {
    matches!(value, AttrValue::List(list) if !list.r#type.is_empty())
}

fn attribute(node: &Node, attr: &Attr) -> Result<Attribute, Stop> {
    let Some(value) = node.attrs.get(&attr.name).and_then(|attr| attr.value.as_ref()) else {
        let missing = || format!("{} lacks its attribute `{}`, for which no default is declared", node.op, attr.name);
        return attr.default.clone().ok_or_else(|| missing().into());
    };
    let extent = |n: &Option<u64>| n.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1);
    let read = match (attr.kind, value) {
        (Kind::Int, AttrValue::I(n)) => Some(Attribute::Int(*n)),
        (Kind::Bool, AttrValue::B(b)) => Some(Attribute::Int(i64::from(*b))),
        (Kind::Float, AttrValue::F(x)) => Some(Attribute::Real(f64::from(*x))),
        (Kind::String, AttrValue::S(s)) => Some(Attribute::Text(s.to_vec())),
        (Kind::Type, AttrValue::Type(number)) => {
            host_type(data_type(*number)).map(|dtype| Attribute::Int(dtype.number()))
        }
        (Kind::Shape, AttrValue::Shape(shape)) => {
            TfShape::from_proto(Some(shape)).0.map(|extents| Attribute::Ints(extents.iter().map(extent).collect()))
        }
        // An empty list may be of anything.
        (Kind::Ints, AttrValue::List(list)) if list.f.is_empty() && list.s.is_empty() => {
            Some(Attribute::Ints(list.i.clone()))
        }
        (Kind::Floats, AttrValue::List(list)) if list.i.is_empty() && list.s.is_empty() => {
            Some(Attribute::Reals(list.f.iter().map(|&x| f64::from(x)).collect()))
        }
        _ => None,
    };
    read.ok_or_else(|| format!("attribute `{}` of {} is not what is declared of it", attr.name, node.op).into())
}

/// The rules of a declaration at one node.
struct Rules<'d> {
    declared: &'d Declaration,
    attributes: Vec<Attribute>,
    args: &'d [NodeId],
}

impl Rules<'_> {
    fn input(&self, name: &str) -> Option<NodeId> {
        self.declared.inputs.iter().position(|input| input.name == name).map(|n| self.args[n])
    }
    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.declared.attributes.iter().position(|attr| attr.name == name).map(|n| &self.attributes[n])
    }
    fn ty(&self, cx: &Import, rule: &TypeRule) -> Result<DType, Stop> {
        Ok(match rule {
            TypeRule::Fixed(dtype) => *dtype,
            TypeRule::Of(name) => cx.dtype(self.input(name).expect("the declaration was checked")),
            TypeRule::Attr(name) => {
                let is = |dtype: &DType| self.attribute(name) == Some(&Attribute::Int(dtype.number()));
                DType::ALL.into_iter().find(is).expect("the attribute is a type")
            }
        })
    }
    /// The extents, and whether the first is a bound.
    fn shape(&self, cx: &Import, rule: &ShapeRule) -> Result<(Vec<Dim>, bool), Stop> {
        match rule {
            ShapeRule::Of(name) => Ok((cx.shape(self.input(name).expect("the declaration was checked")), false)),
            ShapeRule::Extents { items, bounded } => {
                let mut shape = vec![];
                for item in items {
                    match item {
                        Item::One(expr) => shape.push(self.value(cx, expr)?),
                        Item::Some(name, from, to) => {
                            let all = self.list(cx, name);
                            let at = |n: i64| if n < 0 { n.saturating_add(all.len() as i64) } else { n };
                            let at = |n: i64| at(n).clamp(0, all.len() as i64) as usize;
                            let (from, to) = (from.map_or(0, at), to.map_or(all.len(), at));
                            shape.extend_from_slice(all.get(from..to).unwrap_or(&[]));
                        }
                    }
                }
                Ok((shape, *bounded))
            }
        }
    }
    /// The extents of an input, or the elements of an attribute.
    fn list(&self, cx: &Import, name: &str) -> Vec<Dim> {
        match (self.input(name), self.attribute(name)) {
            (Some(id), _) => cx.shape(id),
            (None, Some(Attribute::Ints(all))) => all.iter().map(|&n| Dim::from(n)).collect(),
            _ => vec![],
        }
    }
    fn value(&self, cx: &Import, expr: &Expr) -> Result<Dim, Stop> {
        Ok(match expr {
            Expr::Int(n) => Dim::from(*n),
            Expr::Name(name) => match self.attribute(name) {
                Some(Attribute::Int(n)) => Dim::from(*n),
                _ => return Err(format!("`{name}` is no integer").into()),
            },
            Expr::Rank(name) => Dim::from(cx.rank(self.input(name).expect("the declaration was checked"))),
            Expr::At(name, at) => {
                let all = self.list(cx, name);
                let from_front = if *at < 0 { at.saturating_add(all.len() as i64) } else { *at };
                let found = usize::try_from(from_front).ok().and_then(|n| all.get(n)).cloned();
                found.ok_or_else(|| {
                    format!("the declaration asks for `{name}[{at}]`, and there are {} of them", all.len())
                })?
            }
            Expr::Op(op, a, b) => {
                let (a, b) = (self.value(cx, a)?, self.value(cx, b)?);
                match op {
                    Arith::Add => a + b,
                    Arith::Sub => a - b,
                    Arith::Mul => a * b,
                    Arith::Max => cx.greater(&a, &b),
                    Arith::Min => cx.lesser(&a, &b),
                    Arith::Div | Arith::Rem if !cx.is_nonneg(&(&b - 1)) => {
                        return Err(format!("the declaration divides by {b}, which may be less than 1").into());
                    }
                    Arith::Div => a.floor_div(&b),
                    Arith::Rem => &a - &(&b * &a.floor_div(&b)),
                }
            }
        })
    }
}
