//! Reads a descriptor that may be corrupt.
//!
//! If [`Descriptor::new`] returns `Ok`, then every array lies within the bytes and overlaps no other, texts are UTF-8,
//! codes are known, slots lie within the io struct, and every expression refers to symbols of its signature and stays
//! within the stack. The methods never panic in any case, and the check takes time linear in the descriptor's size.

use core::{fmt, marker::PhantomData, slice};

use crate::{
    abi::{ABI_VERSION, ElementType, Status},
    descriptor::{Action, Array, Expr, Guard, Header, MAGIC, MAX_STACK, Order, Record, Signature, Step, Tensor, Text},
    formula::apply,
};

/// Why bytes are not a descriptor that this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corrupt {
    /// The bytes do not start with [`MAGIC`], or there are too few.
    NotADescriptor,
    /// The compiler was of another ABI version.
    AbiVersion(u32),
    /// The sizes or offsets of the named part leave the descriptor, or parts overlap.
    Bounds(&'static str),
    /// The named part has a value without a meaning.
    Value(&'static str),
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Corrupt::NotADescriptor => f.write_str("these bytes are not the descriptor of a compiled model"),
            Corrupt::AbiVersion(version) => {
                write!(f, "the model has ABI version {version}, this program supports {ABI_VERSION}")
            }
            Corrupt::Bounds(part) => write!(f, "the model's descriptor is corrupt: {part} leaves its bounds"),
            Corrupt::Value(part) => write!(f, "the model's descriptor is corrupt: {part} has an unknown value"),
        }
    }
}

impl core::error::Error for Corrupt {}

/// A checked descriptor, of a target of either byte order.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor<'a> {
    bytes: &'a [u8],
    order: Order,
    header: Header,
}

impl<'a> Descriptor<'a> {
    /// Checks `bytes`; what follows the descriptor is left out.
    pub fn new(bytes: &'a [u8]) -> Result<Descriptor<'a>, Corrupt> {
        let order = [Order::Little, Order::Big]
            .into_iter()
            .find(|&order| u32::read(bytes, order) == Some(MAGIC))
            .ok_or(Corrupt::NotADescriptor)?;
        let header = Header::read(bytes, order).ok_or(Corrupt::NotADescriptor)?;
        if header.abi_version != ABI_VERSION {
            return Err(Corrupt::AbiVersion(header.abi_version));
        }
        let total = header.total_bytes as usize;
        let bytes = bytes.get(..total).filter(|_| total >= Header::BYTES).ok_or(Corrupt::Bounds("the header"))?;
        let descriptor = Descriptor { bytes, order, header };
        Check { descriptor, unclaimed: total - Header::BYTES }.model()?;
        Ok(descriptor)
    }

    /// The descriptor that a compiled model exports.
    ///
    /// # Safety
    /// `descriptor` points to a descriptor of at least the length that it states, which lives and stays unchanged
    /// for `'a`, or to at least 16 bytes that do not start with [`MAGIC`].
    pub unsafe fn at(descriptor: *const u8) -> Result<Descriptor<'a>, Corrupt> {
        // SAFETY: 16 bytes are there in either case.
        let start = unsafe { slice::from_raw_parts(descriptor, 16) };
        let order = Order::NATIVE;
        if u32::read(start, order) != Some(MAGIC) {
            return Err(Corrupt::NotADescriptor);
        }
        let total = u32::read(&start[8..], order).ok_or(Corrupt::NotADescriptor)?;
        // SAFETY: it starts with the magic number, hence has the length it states.
        Descriptor::new(unsafe { slice::from_raw_parts(descriptor, total as usize) })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }
    /// The byte order of the target.
    pub fn order(&self) -> Order {
        self.order
    }
    /// The prefix of the exported symbols.
    pub fn name(&self) -> &'a str {
        self.text(self.header.name)
    }
    /// Name and version of the compiler.
    pub fn compiler(&self) -> &'a str {
        self.text(self.header.compiler)
    }
    pub fn signatures(&self) -> Items<'a, Signature> {
        self.items(self.header.signatures)
    }
    /// The text; empty for one that is not of this descriptor.
    pub fn text(&self, text: Text) -> &'a str {
        self.span(text).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or("")
    }
    /// The values; none for an array that is not of this descriptor.
    pub fn items<T: Record>(&self, array: Array<T>) -> Items<'a, T> {
        Items { bytes: self.span(array).unwrap_or(&[]), order: self.order, of: PhantomData }
    }

    /// The expression's value where `symbols` are those of its signature, in order.
    ///
    /// [`Status::BadDimension`] when a symbol is missing or negative, the arithmetic overflows or a step has no value.
    pub fn eval(&self, expr: Expr, symbols: &[i64]) -> Result<i64, Status> {
        let mut stack = [0i64; MAX_STACK];
        let mut depth = 0usize;
        for step in self.items(expr) {
            let value = match Action::from_code(step.action).ok_or(Status::BadDimension)? {
                Action::Const => step.value,
                Action::Symbol => {
                    symbols.get(step.symbol as usize).copied().filter(|&n| n >= 0).ok_or(Status::BadDimension)?
                }
                action => {
                    let end = depth;
                    depth = depth.checked_sub(action.arity()).ok_or(Status::BadDimension)?;
                    apply(action, &stack[depth..end]).ok_or(Status::BadDimension)?
                }
            };
            *stack.get_mut(depth).ok_or(Status::BadDimension)? = value;
            depth += 1;
        }
        if depth == 1 { Ok(stack[0]) } else { Err(Status::BadDimension) }
    }

    /// The array's bytes, if they lie within the descriptor.
    fn span<T: Record>(&self, array: Array<T>) -> Option<&'a [u8]> {
        let length = (array.count as usize).checked_mul(T::BYTES)?;
        self.bytes.get(array.offset as usize..)?.get(..length)
    }
}

/// The values of an [`Array`].
#[derive(Clone, Copy, Debug)]
pub struct Items<'a, T> {
    bytes: &'a [u8],
    order: Order,
    of: PhantomData<fn() -> T>,
}

impl<T: Record> Items<'_, T> {
    /// The value at `index`, if there are so many.
    pub fn get(&self, index: usize) -> Option<T> {
        T::read(self.bytes.get(index.checked_mul(T::BYTES)?..)?, self.order)
    }
}

impl<T: Record> Iterator for Items<'_, T> {
    type Item = T;
    fn next(&mut self) -> Option<T> {
        let value = T::read(self.bytes, self.order)?;
        self.bytes = &self.bytes[T::BYTES..];
        Some(value)
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.bytes.len() / T::BYTES;
        (count, Some(count))
    }
}
impl<T: Record> ExactSizeIterator for Items<'_, T> {}

/// Visits every part of a descriptor once.
struct Check<'a> {
    descriptor: Descriptor<'a>,
    /// Bytes that no array has claimed. Arrays that overlap claim more than there are, which bounds the time.
    unclaimed: usize,
}

impl<'a> Check<'a> {
    fn model(&mut self) -> Result<(), Corrupt> {
        let header = self.descriptor.header;
        self.text(header.name, "the model's name")?;
        self.text(header.compiler, "the compiler's name")?;
        if !matches!(header.pointer_bytes, 4 | 8) {
            return Err(Corrupt::Value("the pointer size"));
        }
        for level in self.array(header.levels, "the list of CPU levels")? {
            self.text(level.name, "a CPU level's name")?;
        }
        for signature in self.array(header.signatures, "the list of signatures")? {
            self.signature(&signature)?;
        }
        Ok(())
    }

    fn signature(&mut self, s: &Signature) -> Result<(), Corrupt> {
        self.text(s.key, "a signature's name")?;
        self.text(s.c_name, "a signature's C name")?;
        if !s.workspace_align.is_power_of_two() {
            return Err(Corrupt::Value("a workspace alignment"));
        }
        let pointer_bytes = self.descriptor.header.pointer_bytes;
        slot(s, s.threads_slot, pointer_bytes)?;
        slot(s, s.cpu_slot, 8)?;
        for symbol in self.array(s.symbols, "the list of dimensions")? {
            self.text(symbol.name, "a dimension's name")?;
            self.text(symbol.c_name, "a dimension's C name")?;
            slot(s, symbol.slot, 8)?;
            if !symbol.bound.is_empty() {
                self.expr(symbol.bound, s.symbols.count)?;
            }
        }
        let symbols = s.symbols.count;
        for tensor in self.array(s.inputs, "the list of inputs")? {
            self.tensor(&tensor, symbols)?;
            slot(s, tensor.slot, pointer_bytes)?;
        }
        for tensor in self.array(s.outputs, "the list of outputs")? {
            self.tensor(&tensor, symbols)?;
            slot(s, tensor.slot, pointer_bytes)?;
        }
        for Guard { left, right, text } in self.array(s.guards, "the list of conditions")? {
            self.expr(left, symbols)?;
            self.expr(right, symbols)?;
            self.text(text, "a condition's text")?;
        }
        self.expr(s.workspace, symbols)
    }

    fn tensor(&mut self, tensor: &Tensor, symbols: u32) -> Result<(), Corrupt> {
        self.text(tensor.key, "a tensor's name")?;
        self.text(tensor.c_name, "a tensor's C name")?;
        ElementType::from_code(tensor.element).ok_or(Corrupt::Value("an element type"))?;
        for extent in self.array(tensor.extents, "a shape")? {
            self.expr(extent, symbols)?;
        }
        self.expr(tensor.room, symbols)
    }

    fn expr(&mut self, expr: Expr, symbols: u32) -> Result<(), Corrupt> {
        let mut depth = 0usize;
        for Step { action, symbol, .. } in self.array(expr, "an expression")? {
            let action = Action::from_code(action).ok_or(Corrupt::Value("a step of an expression"))?;
            if action == Action::Symbol && symbol >= symbols {
                return Err(Corrupt::Value("a symbol of an expression"));
            }
            depth = depth.checked_sub(action.arity()).ok_or(Corrupt::Bounds("the stack of an expression"))?;
            depth += 1;
            if depth > MAX_STACK {
                return Err(Corrupt::Bounds("the stack of an expression"));
            }
        }
        if depth == 1 { Ok(()) } else { Err(Corrupt::Bounds("the stack of an expression")) }
    }

    fn text(&mut self, text: Text, what: &'static str) -> Result<(), Corrupt> {
        let end = (text.offset as usize).checked_add(text.count as usize).ok_or(Corrupt::Bounds(what))?;
        self.claim(text.count as usize + 1, what)?;
        let bytes = self.descriptor.span(text).ok_or(Corrupt::Bounds(what))?;
        let terminated = self.descriptor.bytes.get(end) == Some(&0) && !bytes.contains(&0);
        if terminated && str::from_utf8(bytes).is_ok() { Ok(()) } else { Err(Corrupt::Value(what)) }
    }

    fn array<T: Record>(&mut self, array: Array<T>, what: &'static str) -> Result<Items<'a, T>, Corrupt> {
        let bytes = self.descriptor.span(array).ok_or(Corrupt::Bounds(what))?;
        self.claim(bytes.len(), what)?;
        Ok(self.descriptor.items(array))
    }

    fn claim(&mut self, bytes: usize, what: &'static str) -> Result<(), Corrupt> {
        self.unclaimed = self.unclaimed.checked_sub(bytes).ok_or(Corrupt::Bounds(what))?;
        Ok(())
    }
}

/// A member of the io struct is aligned and lies within it.
fn slot(s: &Signature, slot: u32, bytes: u32) -> Result<(), Corrupt> {
    let fits = slot.checked_add(bytes).is_some_and(|end| end <= s.io_bytes);
    if fits && slot.is_multiple_of(bytes) { Ok(()) } else { Err(Corrupt::Bounds("a member of the io struct")) }
}
