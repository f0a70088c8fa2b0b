//! Runs a kernel on bytes, by the definitions in the loop IR and nothing else.
//!
//! The interpreter is the meaning of a kernel for every test of what lies below: plain scalars, every loop in order,
//! elementary functions in double precision, multiply-adds rounded once. It checks what the verifier cannot: each load
//! and store is in its buffer, divisors are not 0, exponents are not negative, an index variable keeps its extent.
//! Dims and expressions are resolved once before the run, so that a step costs tens of nanoseconds.

mod resolve;
mod scalar;

use std::ops::Range;

use super::*;
use crate::{base::Bindings, tensor::Text};
use resolve::{Block, Code, Op, Poly, Value};

/// The memory of one buffer: row-major little-endian elements, at least as many as the buffer declares.
pub enum Bytes<'a> {
    In(&'a [u8]),
    Out(&'a mut [u8]),
    /// Read from the memory of the `Out` buffer of this number, whose elements take the place of this one's.
    Of(usize),
}

impl Bytes<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Bytes::In(bytes) => bytes,
            Bytes::Out(bytes) => bytes,
            Bytes::Of(_) => &[],
        }
    }
}

/// The memory of a buffer.
fn memory<'b>(buffers: &'b [Bytes<'_>], n: usize) -> &'b [u8] {
    match &buffers[n] {
        Bytes::Of(other) => buffers.get(*other).map_or(&[], Bytes::bytes),
        bytes => bytes.bytes(),
    }
}

/// Why a run ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A `Check` failed: the caller's data.
    Fault(Fault),
    /// The kernel did what no kernel may do, or was called with buffers that do not fit: a bug of the compiler.
    Bug(String),
}

/// Runs a kernel that verifies. `buffers[n]` is the memory of the n-th buffer, `Out` where the kernel writes; `bind`
/// gives every symbol a value. There are no strings but empty ones.
pub fn run(kernel: &Kernel, buffers: &mut [Bytes<'_>], bind: &Bindings) -> Result<(), Stop> {
    run_part(kernel, buffers, bind, None, &mut Text::default())
}

/// The same for some iterations of the outermost loop, where a part is given; strings are spans of `text`.
pub fn run_part(
    kernel: &Kernel,
    buffers: &mut [Bytes<'_>],
    bind: &Bindings,
    part: Option<Range<i64>>,
    text: &mut Text,
) -> Result<(), Stop> {
    let bug = |message: String| Stop::Bug(format!("kernel `{}`: {message}", kernel.name));
    let resolved = resolve::resolve(kernel, bind).map_err(bug)?;
    if buffers.len() != kernel.buffers.len() {
        return Err(bug(format!("{} buffers for {}", buffers.len(), kernel.buffers.len())));
    }
    let mut lens = vec![];
    for ((id, declared), bytes) in kernel.buffers.iter().zip(buffers.iter()) {
        let len = declared.len.eval(bind).and_then(|n| usize::try_from(n).ok());
        let held = memory(buffers, id.index()).len();
        let fits = len.filter(|&n| n.checked_mul(declared.dtype.size()).is_some_and(|n| n <= held));
        let kind = !declared.written || matches!(bytes, Bytes::Out(_));
        let len = fits
            .filter(|_| kind)
            .ok_or_else(|| bug(format!("{held} bytes do not serve for buffer {}, {declared:?}", id.index())))?;
        lens.push(len);
    }
    let dummy = Scalar::Bool(false);
    let mut machine = Machine {
        kernel,
        ops: &resolved.ops,
        buffers,
        lens,
        indices: vec![0; kernel.vars.len()],
        vars: vec![dummy; kernel.vars.len()],
        registers: vec![dummy; resolved.registers],
        values: vec![dummy; kernel.exprs.len()],
        part,
        text,
    };
    machine.text.begin();
    machine.block(&resolved.body).map_err(|stop| match stop {
        Stop::Bug(message) => bug(message),
        fault => fault,
    })?;
    if text.is_exceeded() { Err(Stop::Fault(Fault::StringsExceeded)) } else { Ok(()) }
}

struct Machine<'a, 'b, 'c> {
    kernel: &'a Kernel,
    /// One per expression.
    ops: &'a [Op],
    buffers: &'b mut [Bytes<'c>],
    /// Elements of each buffer.
    lens: Vec<usize>,
    /// The values of loop and index variables.
    indices: Vec<i64>,
    vars: Vec<Scalar>,
    registers: Vec<Scalar>,
    /// The last value of each expression.
    values: Vec<Scalar>,
    /// What to run of the loop that comes next, which is the outermost one.
    part: Option<Range<i64>>,
    text: &'b mut Text,
}

type Run<T = ()> = Result<T, Stop>;

/// The parts of a string.
fn span(value: Scalar) -> (u64, u64) {
    if let Scalar::Span(start, bytes) = value { (start, bytes) } else { (0, 0) }
}

fn overflow() -> Stop {
    Stop::Bug("an index overflows".into())
}

impl Machine<'_, '_, '_> {
    fn block(&mut self, block: &Block) -> Run {
        block.iter().try_for_each(|code| self.code(code))
    }
    fn dim(&self, dim: &Poly) -> Run<i64> {
        dim.eval(&self.indices).ok_or_else(overflow)
    }
    fn code(&mut self, code: &Code) -> Run {
        match code {
            Code::For { var, extent, body } => {
                let extent = self.dim(extent)?;
                for n in self.part.take().unwrap_or(0..extent) {
                    self.indices[*var] = n;
                    self.block(body)?;
                }
            }
            Code::SetIndex { var, extent, value } => {
                let index = self.value(value)?.as_i64().unwrap_or_default();
                self.indices[*var] = index;
                if let Some(extent) = extent {
                    let extent = self.dim(extent)?;
                    if !(0..extent).contains(&index) {
                        return Err(Stop::Bug(format!("index variable {var} is {index}, not below {extent}")));
                    }
                }
            }
            Code::Set { var, value } => self.vars[*var] = self.value(value)?,
            Code::Assign { local, value } => {
                let at = local.at(&self.indices).ok_or_else(overflow)?;
                self.registers[at] = self.value(value)?;
            }
            Code::Accumulate { local, dtype, f, value } => {
                let at = local.at(&self.indices).ok_or_else(overflow)?;
                let value = self.value(value)?;
                self.registers[at] = scalar::binary(*f, *dtype, self.registers[at], value).map_err(Stop::Bug)?;
            }
            Code::Store { buffer, dtype, index, value } => {
                let at = self.position(*buffer, index)?;
                let value = self.value(value)?;
                if let Bytes::Out(bytes) = &mut self.buffers[*buffer] {
                    scalar::write(*dtype, value, &mut bytes[at * dtype.size()..][..dtype.size()]);
                }
            }
            Code::Update { buffer, dtype, index, f, value } => {
                let at = self.position(*buffer, index)?;
                let value = self.value(value)?;
                if let Bytes::Out(bytes) = &mut self.buffers[*buffer] {
                    let element = &mut bytes[at * dtype.size()..][..dtype.size()];
                    let old = Scalar::read_le(*dtype, element);
                    scalar::write(*dtype, scalar::combine(*f, *dtype, old, value).map_err(Stop::Bug)?, element);
                }
            }
            Code::If { bounds, then, otherwise } => {
                let mut holds = true;
                for (index, extent) in bounds {
                    holds &= (0..self.dim(extent)?).contains(&self.dim(index)?);
                }
                self.block(if holds { then } else { otherwise })?;
            }
            Code::Nothing => {}
            Code::Check { cond, fault } => {
                if self.value(cond)?.as_bool() != Some(true) {
                    return Err(Stop::Fault(*fault));
                }
            }
            Code::Append { value } => match self.value(value)? {
                Scalar::Span(start, bytes) => {
                    let missing = || Stop::Bug(format!("a string of {bytes} bytes at {start} is appended"));
                    let string = self.text.get(start, bytes).ok_or_else(missing)?.to_vec();
                    self.text.append(&string);
                }
                byte => self.text.append(&[byte.as_i64().unwrap_or_default() as u8]),
            },
            Code::Take { var } => {
                let (start, bytes) = self.text.take();
                self.vars[*var] = Scalar::Span(start, bytes);
            }
        }
        Ok(())
    }
    /// A flat position that lies in the buffer.
    fn position(&self, buffer: usize, index: &Poly) -> Run<usize> {
        let (index, len) = (self.dim(index)?, self.lens[buffer]);
        let at = usize::try_from(index).ok().filter(|&at| at < len);
        at.ok_or_else(|| Stop::Bug(format!("buffer {buffer} of {len} elements is used at {index}")))
    }
    /// Evaluates the value's expressions in order; the last one is the value.
    fn value(&mut self, value: &Value) -> Run<Scalar> {
        for &x in &value.order {
            self.values[x] = self.op(x)?;
        }
        Ok(self.values[value.root])
    }
    fn op(&self, x: usize) -> Run<Scalar> {
        let dtype = self.kernel.exprs[Id::new(x)].dtype;
        let v = |x: usize| self.values[x];
        Ok(match &self.ops[x] {
            Op::Const(value) => *value,
            Op::Var(var) => self.vars[*var],
            Op::Index(dim) => Scalar::Int(self.dim(dim)?),
            Op::Load(buffer, index) => {
                let at = self.position(*buffer, index)?;
                let bytes = memory(self.buffers, *buffer);
                Scalar::read_le(dtype, &bytes[at * dtype.size()..][..dtype.size()])
            }
            Op::Local(local) => self.registers[local.at(&self.indices).ok_or_else(overflow)?],
            Op::Unary(f, x) => scalar::unary(*f, dtype, v(*x)),
            Op::Binary(f, x, y) => scalar::binary(*f, dtype, v(*x), v(*y)).map_err(Stop::Bug)?,
            Op::MulAdd(x, y, z) => scalar::mul_add(dtype, v(*x), v(*y), v(*z)),
            Op::Scale(x, n) => scalar::scale(v(*x), v(*n)),
            Op::Exponent(x) => scalar::exponent(v(*x)),
            Op::Mantissa(x) => scalar::mantissa(v(*x)),
            Op::Table(entries, x) => {
                let index = v(*x).as_i64().unwrap_or_default();
                Scalar::F32(entries[index.rem_euclid(TABLE as i64) as usize])
            }
            Op::Compare(f, x, y) => Scalar::Bool(scalar::compare(*f, v(*x), v(*y))),
            Op::Select(c, x, y) => v(if v(*c) == Scalar::Bool(true) { *x } else { *y }),
            Op::Cast(x) => scalar::cast(dtype, v(*x)),
            Op::Bits(from, x) => scalar::bits(*from, dtype, v(*x)),
            Op::Start(x) => Scalar::Int(span(v(*x)).0 as i64),
            Op::Length(x) => Scalar::Int(span(v(*x)).1 as i64),
            Op::Span(x, n) => match (v(*x), v(*n)) {
                (Scalar::Int(start), Scalar::Int(bytes)) if bytes >= 0 => Scalar::Span(start as u64, bytes as u64),
                (_, n) => return Err(Stop::Bug(format!("a string has {n} bytes"))),
            },
            Op::Byte(x, n) => Scalar::Uint(u64::from(self.text_at::<1>(v(*x), v(*n))?[0])),
            Op::Word(x, n) => Scalar::Uint(u64::from_le_bytes(self.text_at(v(*x), v(*n))?)),
        })
    }
    /// So many bytes of a string from an index on.
    fn text_at<const N: usize>(&self, string: Scalar, index: Scalar) -> Run<[u8; N]> {
        let ((start, bytes), at) = (span(string), index.as_i64().unwrap_or(-1));
        let part = usize::try_from(at).ok().and_then(|at| self.text.get(start, bytes)?.get(at..)?.first_chunk());
        part.copied().ok_or_else(|| Stop::Bug(format!("{N} bytes at {at} of a string of {bytes} at {start} are read")))
    }
}

#[cfg(test)]
mod tests;
