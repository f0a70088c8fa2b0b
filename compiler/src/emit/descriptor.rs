//! The bytes of a model's descriptor; the layout is that of [`smc_runtime::descriptor`].
//!
//! Structs are appended as they become known: what a struct refers to stands before it, the header last of all in time
//! but first in place. Expressions are postfix; of two operands that may change places the one that needs the deeper
//! stack comes first, so the stack grows with the logarithm of a sum's length.

use smc_runtime::{
    abi::{ABI_VERSION, ElementType, WORKSPACE_ALIGN},
    descriptor::{self as layout, Action, Array, Expr, Header, MAGIC, MAX_STACK, Order, Record, Step, Symbol, Text},
};

use crate::{
    base::{
        Dim,
        dim::{Atom, Formula, Function, Number, Real},
    },
    emit::interface::{Interface, Level, Signature, Tensor},
    tensor::DType,
};

/// The descriptor of `model` for a 64-bit target of this byte order.
///
/// Fails on what a descriptor cannot say: texts with a zero character, symbols that are
/// not the signature's, expressions nested too deeply, 4 GB of description.
pub fn descriptor(model: &Interface, order: Order) -> Result<Vec<u8>, String> {
    let mut writer = Writer { bytes: vec![0; Header::BYTES], order };
    let signatures = model
        .signatures
        .iter()
        .map(|s| writer.signature(s).map_err(|e| format!("signature `{}`: {e}", s.key)))
        .collect::<Result<Vec<_>, _>>()?;
    let header = Header {
        magic: MAGIC,
        abi_version: ABI_VERSION,
        pointer_bytes: 8,
        name: writer.text(&model.name)?,
        compiler: writer.text(&model.compiler)?,
        fingerprint: model.fingerprint,
        signatures: writer.array(&signatures)?,
        levels: writer.levels(&model.levels)?,
        total_bytes: writer.here()?,
    };
    let mut bytes = vec![];
    header.write(order, &mut |part| bytes.extend_from_slice(part));
    writer.bytes[..Header::BYTES].copy_from_slice(&bytes);
    Ok(writer.bytes)
}

/// The code of an element type.
pub fn element_type(dtype: DType) -> ElementType {
    match dtype {
        DType::Bool => ElementType::Bool,
        DType::I8 => ElementType::I8,
        DType::I16 => ElementType::I16,
        DType::I32 => ElementType::I32,
        DType::I64 => ElementType::I64,
        DType::U8 => ElementType::U8,
        DType::U16 => ElementType::U16,
        DType::U32 => ElementType::U32,
        DType::U64 => ElementType::U64,
        DType::F16 => ElementType::F16,
        DType::BF16 => ElementType::BF16,
        DType::F32 => ElementType::F32,
        DType::F64 => ElementType::F64,
        DType::C64 => ElementType::C64,
        DType::C128 => ElementType::C128,
        DType::Str => ElementType::Str,
    }
}

/// The type of the elements of this code.
pub fn dtype(element: ElementType) -> DType {
    let is = |dtype: &&DType| element_type(**dtype) == element;
    *DType::ALL.iter().find(is).expect("each has a type")
}

struct Writer {
    bytes: Vec<u8>,
    order: Order,
}

impl Writer {
    fn levels(&mut self, levels: &[Level]) -> Result<Array<layout::Level>, String> {
        let mut described = vec![];
        for level in levels {
            described.push(layout::Level { name: self.text(&level.name)?, number: level.number, reserved: 0 });
        }
        self.array(&described)
    }

    fn signature(&mut self, s: &Signature) -> Result<layout::Signature, String> {
        let inputs = self.tensors(s, &s.inputs, s.input_slot(0))?;
        let outputs = self.tensors(s, &s.outputs, s.output_slot(0))?;
        let mut symbols = vec![];
        for (i, dimension) in s.symbols.iter().enumerate() {
            symbols.push(Symbol {
                name: self.text(dimension.symbol.name())?,
                c_name: self.text(&dimension.c_name)?,
                slot: u32_of(s.symbol_slot(i))?,
                reserved: 0,
                bound: dimension.bound.as_ref().map_or(Ok(Array::new(0, 0)), |bound| self.expr(s, bound))?,
            });
        }
        let mut guards = vec![];
        for guard in &s.guards {
            guards.push(layout::Guard {
                left: self.expr(s, &guard.left)?,
                right: self.expr(s, &guard.right)?,
                text: self.text(&guard.text)?,
            });
        }
        Ok(layout::Signature {
            key: self.text(&s.key)?,
            c_name: self.text(&s.c_name)?,
            inputs,
            outputs,
            symbols: self.array(&symbols)?,
            guards: self.array(&guards)?,
            workspace: self.expr(s, &s.workspace)?,
            workspace_align: u32_of(WORKSPACE_ALIGN)?,
            io_bytes: u32_of(s.io_bytes())?,
            threads_slot: u32_of(s.threads_slot())?,
            cpu_slot: u32_of(s.cpu_slot())?,
            stack_bytes: s.stack_bytes,
        })
    }

    fn tensors(
        &mut self,
        s: &Signature,
        tensors: &[Tensor],
        first_slot: usize,
    ) -> Result<Array<layout::Tensor>, String> {
        let mut described = vec![];
        for (i, tensor) in tensors.iter().enumerate() {
            let element = element_type(tensor.ty.dtype);
            let extents = tensor.ty.shape.iter().map(|d| self.expr(s, d)).collect::<Result<Vec<_>, _>>()?;
            described.push(layout::Tensor {
                key: self.text(&tensor.key)?,
                c_name: self.text(&tensor.c_name)?,
                element: element.code(),
                slot: u32_of(first_slot + i * smc_runtime::abi::SLOT_BYTES)?,
                extents: self.array(&extents)?,
                room: self.expr(s, &tensor.room)?,
            });
        }
        self.array(&described)
    }

    fn expr(&mut self, s: &Signature, dim: &Dim) -> Result<Expr, String> {
        let program = sum(s, dim)?;
        if program.depth > MAX_STACK {
            return Err(format!("the size {dim} is nested too deeply"));
        }
        self.array(&program.steps)
    }

    fn text(&mut self, text: &str) -> Result<Text, String> {
        if text.contains('\0') {
            return Err(format!("the name {text:?} contains a zero character"));
        }
        let at = Text::new(self.here()?, u32_of(text.len())?);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        Ok(at)
    }

    fn array<T: Record>(&mut self, values: &[T]) -> Result<Array<T>, String> {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = Array::new(self.here()?, u32_of(values.len())?);
        for value in values {
            value.write(self.order, &mut |part| self.bytes.extend_from_slice(part));
        }
        Ok(at)
    }

    fn here(&self) -> Result<u32, String> {
        u32_of(self.bytes.len())
    }
}

fn u32_of(n: usize) -> Result<u32, String> {
    u32::try_from(n).map_err(|_| "the descriptor exceeds 4 GB".into())
}

/// Postfix steps and the stack they need.
struct Program {
    steps: Vec<Step>,
    depth: usize,
}

impl Program {
    fn leaf(action: Action, symbol: u32, value: i64) -> Program {
        Program { steps: vec![Step { action: action as u32, symbol, value }], depth: 1 }
    }
    /// `self action other`, in this order.
    fn then(mut self, action: Action, other: Program) -> Program {
        self.steps.extend(other.steps);
        self.steps.push(Step { action: action as u32, symbol: 0, value: 0 });
        Program { steps: self.steps, depth: self.depth.max(1 + other.depth) }
    }
}

/// Combines operands of an action that commutes and associates.
fn chain(action: Action, mut operands: Vec<Program>) -> Option<Program> {
    operands.sort_by_key(|p| std::cmp::Reverse(p.depth));
    operands.into_iter().reduce(|a, b| a.then(action, b))
}

fn sum(s: &Signature, dim: &Dim) -> Result<Program, String> {
    let mut terms = vec![];
    for term in dim.terms() {
        let mut factors = term.atoms.iter().map(|a| atom(s, a)).collect::<Result<Vec<_>, _>>()?;
        if term.k != 1 || factors.is_empty() {
            factors.push(Program::leaf(Action::Const, 0, term.k));
        }
        terms.extend(chain(Action::Mul, factors));
    }
    Ok(chain(Action::Add, terms).unwrap_or_else(|| Program::leaf(Action::Const, 0, 0)))
}

fn atom(s: &Signature, atom: &Atom) -> Result<Program, String> {
    match atom {
        Atom::Sym(symbol) => {
            let index = s.symbols.iter().position(|d| d.symbol == *symbol);
            let index = index.ok_or_else(|| format!("`{symbol}` is not a dimension of the signature"))?;
            Ok(Program::leaf(Action::Symbol, u32_of(index)?, 0))
        }
        Atom::Var(v) => Err(format!("the variable i{v} of a kernel in a size")),
        Atom::Div(a, b) => Ok(sum(s, a)?.then(Action::FloorDiv, sum(s, b)?)),
        Atom::Max(a, b) => {
            let (a, b) = (sum(s, a)?, sum(s, b)?);
            Ok(if a.depth >= b.depth { a.then(Action::Max, b) } else { b.then(Action::Max, a) })
        }
        Atom::Of(of) => formula(s, of),
    }
}

/// Its arguments in order, and its action.
fn formula(s: &Signature, formula: &Formula) -> Result<Program, String> {
    let (mut steps, mut depth) = (vec![], 0);
    for (below, arg) in formula.args().iter().enumerate() {
        let program = match arg {
            Number::Int(dim) => sum(s, dim)?,
            Number::Real(Real::Of(inner)) => self::formula(s, inner)?,
            Number::Real(Real::Const(bits)) => Program::leaf(Action::Const, 0, *bits as i64),
        };
        steps.extend(program.steps);
        depth = depth.max(below + program.depth);
    }
    steps.push(Step { action: action(formula.function()) as u32, symbol: 0, value: 0 });
    Ok(Program { steps, depth })
}

fn action(f: Function) -> Action {
    match f {
        Function::ToI32 => Action::ToI32,
        Function::ToI64 => Action::ToI64,
        Function::Less => Action::Less,
        Function::LessEqual => Action::LessEqual,
        Function::Equal => Action::Equal,
        Function::And => Action::And,
        Function::Or => Action::Or,
        Function::Xor => Action::Xor,
        Function::Shl => Action::Shl,
        Function::Shr => Action::Shr,
        Function::Pow => Action::Pow,
        Function::Quotient => Action::Quotient,
        Function::Select => Action::Select,
        Function::ToReal => Action::ToReal,
        Function::Single => Action::Single,
        Function::Neg => Action::Neg,
        Function::Abs => Action::Abs,
        Function::Floor => Action::Floor,
        Function::Ceil => Action::Ceil,
        Function::Round => Action::Round,
        Function::Trunc => Action::Trunc,
        Function::Add => Action::AddReal,
        Function::Sub => Action::SubReal,
        Function::Mul => Action::MulReal,
        Function::Div => Action::DivReal,
        Function::Min => Action::MinReal,
        Function::Max => Action::MaxReal,
    }
}

#[cfg(test)]
mod tests {
    use smc_runtime::{Descriptor, Status, descriptor::Tensor as Described};

    use super::*;
    use crate::{
        base::{Bindings, Symbol},
        emit::interface::{Guard, signatures},
        tensor::TensorType,
    };

    fn dim(text: &str) -> Dim {
        text.parse().unwrap()
    }

    fn model() -> Interface {
        let tensor = |key: &str, ty: &str| (key.to_owned(), ty.parse::<TensorType>().unwrap());
        let mut signatures = signatures(vec![
            (
                "serving_default".into(),
                vec![tensor("x", "f32[batch,28,28]"), tensor("größe", "i64[]"), tensor("mask", "bool[n,batch*n+3]")],
                vec![tensor("output_0", "c128[floor(batch+n,2),max(n-4,0)]")],
            ),
            ("empty".into(), vec![], vec![]),
        ]);
        signatures[0].workspace = dim("64*floor(40*batch*n+max(batch,n*n)+63,64)-floor(n,batch+1)");
        signatures[0].stack_bytes = 4096;
        signatures[0].guards.push(Guard { left: dim("n"), right: dim("batch+1"), text: "n = batch + 1".into() });
        let levels = vec![Level { name: "x86-64".into(), number: 1 }, Level { name: "x86-64-v4".into(), number: 4 }];
        Interface {
            name: "m".into(),
            compiler: "smc 0.1.0".into(),
            fingerprint: [7; 32],
            levels,
            binds_weights: false,
            signatures,
            state: None,
            operators: vec![],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for order in [Order::Little, Order::Big] {
            let model = model();
            let bytes = descriptor(&model, order).unwrap();
            let d = Descriptor::new(&bytes).unwrap();
            assert_eq!((d.order(), d.name(), d.compiler()), (order, "m", "smc 0.1.0"));
            assert_eq!((d.header().fingerprint, d.header().total_bytes as usize), ([7; 32], bytes.len()));
            assert_eq!(d.signatures().len(), 2);
            let levels: Vec<_> = d.items(d.header().levels).map(|l| (d.text(l.name), l.number)).collect();
            assert_eq!(levels, [("x86-64", 1), ("x86-64-v4", 4)]);
            for (read, written) in d.signatures().zip(&model.signatures) {
                assert_eq!((d.text(read.key), d.text(read.c_name)), (&*written.key, &*written.c_name));
                assert_eq!((read.io_bytes as usize, read.stack_bytes), (written.io_bytes(), written.stack_bytes));
                assert_eq!(
                    (read.threads_slot as usize, read.cpu_slot as usize),
                    (written.threads_slot(), written.cpu_slot())
                );
                let symbols: Vec<_> = d.items(read.symbols).map(|s| (d.text(s.name), s.slot as usize)).collect();
                let expected =
                    written.symbols.iter().enumerate().map(|(i, s)| (s.symbol.name(), written.symbol_slot(i)));
                assert_eq!(symbols, expected.collect::<Vec<_>>());
                for (read, written) in d.items(read.guards).zip(&written.guards) {
                    assert_eq!(d.text(read.text), written.text);
                }
                let tensors: Vec<Described> = d.items(read.inputs).chain(d.items(read.outputs)).collect();
                let all = written.inputs.iter().chain(&written.outputs);
                assert_eq!(tensors.len(), all.clone().count());
                for (i, (read, written)) in tensors.iter().zip(all).enumerate() {
                    assert_eq!((d.text(read.key), d.text(read.c_name)), (&*written.key, &*written.c_name));
                    assert_eq!(ElementType::from_code(read.element), Some(element_type(written.ty.dtype)));
                    assert_eq!((read.slot as usize, read.extents.count as usize), (i * 8, written.ty.rank()));
                }
            }
        }
    }

    #[test]
    fn expressions_have_the_values_of_their_dims() {
        let model = model();
        let bytes = descriptor(&model, Order::NATIVE).unwrap();
        let d = Descriptor::new(&bytes).unwrap();
        let (read, written) = (d.signatures().next().unwrap(), &model.signatures[0]);
        let read_dims = d.items(read.inputs).chain(d.items(read.outputs)).flat_map(|t| d.items(t.extents));
        let read_dims = read_dims.chain([read.workspace]).chain(d.items(read.guards).flat_map(|g| [g.left, g.right]));
        let written_dims = written.inputs.iter().chain(&written.outputs).flat_map(|t| t.ty.shape.clone());
        let written_dims = written_dims.chain([written.workspace.clone(), dim("n"), dim("batch+1")]);
        for (expr, dim) in read_dims.zip(written_dims) {
            for (batch, n) in [(0, 0), (1, 2), (17, 5), (i64::MAX, 1), (1 << 40, 1 << 40)] {
                let bind = Bindings::from([(Symbol::new("batch"), batch), (Symbol::new("n"), n)]);
                assert_eq!(d.eval(expr, &[batch, n]).ok(), dim.eval(&bind), "{dim} at {batch}, {n}");
            }
            if dim.as_int().is_none() && !dim.symbols().is_empty() {
                assert_eq!(d.eval(expr, &[-1, -1]), Err(Status::BadDimension));
                assert_eq!(d.eval(expr, &[]), Err(Status::BadDimension));
            }
        }
    }

    #[test]
    fn a_long_sum_needs_a_shallow_stack() {
        let long =
            (0..500).fold(Dim::zero(), |sum, k| (sum + dim(&format!("floor(batch+{k},7)"))).floor_div(&dim("n+2")) + k);
        let mut model = model();
        model.signatures[0].workspace = long.clone();
        let bytes = descriptor(&model, Order::NATIVE).unwrap();
        let d = Descriptor::new(&bytes).unwrap();
        let bind = Bindings::from([(Symbol::new("batch"), 1000), (Symbol::new("n"), 0)]);
        let workspace = d.signatures().next().unwrap().workspace;
        assert_eq!(d.eval(workspace, &[1000, 0]).ok(), long.eval(&bind));
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let refused = |change: fn(&mut Interface)| {
            let mut model = model();
            change(&mut model);
            descriptor(&model, Order::NATIVE).unwrap_err()
        };
        let message = refused(|m| m.signatures[1].workspace = Dim::sym("z"));
        assert_eq!(message, "signature `empty`: `z` is not a dimension of the signature");
        assert!(refused(|m| m.signatures[1].key.push('\0')).contains("zero character"));
    }

    /// Every mutation is either refused or read without a panic, whatever is asked.
    #[test]
    fn a_corrupt_descriptor_is_an_error_or_harmless() {
        let good = descriptor(&model(), Order::NATIVE).unwrap();
        let mut seed = 1u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize
        };
        let mut refused = 0;
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..1 + random() % 3 {
                let at = random() % bytes.len();
                bytes[at] = [0, 1, 255, bytes[at] ^ 1 << (random() % 8), random() as u8][random() % 5];
            }
            bytes.truncate(if random() % 4 == 0 { random() % (bytes.len() + 1) } else { bytes.len() });
            let Ok(d) = Descriptor::new(&bytes) else {
                refused += 1;
                continue;
            };
            for s in d.signatures() {
                let _ = d.eval(s.workspace, &[3, 4]);
                for t in d.items(s.inputs).chain(d.items(s.outputs)) {
                    d.text(t.key);
                    for e in d.items(t.extents) {
                        let _ = d.eval(e, &[1 << 40, 1 << 60]);
                    }
                }
            }
        }
        assert!(refused > 1000, "only {refused} were refused");
    }
}
