//! Runs a function of the user's on the memory of an interpreted call.

use super::{super::foreign, Field, Machine, Stop, bug};
use crate::{
    graph::Call,
    op::Attribute,
    tensor::{DType, Tensor},
};

/// What the function returns for these arguments: the structs of inputs, outputs and attributes.
pub fn run(machine: &mut Machine<'_>, call: &Call, args: &[i64]) -> Result<i64, Stop> {
    let Some(function) = &call.function else { return bug(format!("there is no `{}` in this process", call.symbol)) };
    let &[inputs, outputs, attributes] = args else { return bug("a function takes three arguments") };
    let mut given = vec![];
    for n in 0..call.operands.len() as u32 {
        let operand = Operand::of(machine, inputs, n)?;
        let spans = Tensor::from_bytes(operand.dtype, operand.shape.clone(), operand.bytes(machine)?.to_vec());
        match machine.text.read(&spans) {
            Some(tensor) => given.push(tensor),
            None => return bug("an operand leaves the text"),
        }
    }
    let made =
        (0..call.outputs.len() as u32).map(|n| Operand::of(machine, outputs, n)).collect::<Result<Vec<_>, _>>()?;
    let attributes = read(machine, call, attributes)?;
    let types: Vec<(DType, Vec<usize>)> = made.iter().map(|to| (to.dtype, to.shape.clone())).collect();
    let results = match function.call(&given.iter().collect::<Vec<_>>(), &types, &attributes) {
        Ok(results) => results,
        Err(code) => return Ok(code.into()),
    };
    for (to, (tensor, rows)) in made.iter().zip(results) {
        let placed = machine.text.place(&tensor);
        machine.memory_mut(to.data, placed.bytes().len())?.copy_from_slice(placed.bytes());
        if !to.shape.is_empty() {
            machine.store(to.extents, Field::Word(0), rows)?;
        }
    }
    Ok(0)
}

/// A `struct smc_operand`.
struct Operand {
    data: i64,
    extents: i64,
    dtype: DType,
    shape: Vec<usize>,
}

impl Operand {
    fn of(machine: &Machine<'_>, all: i64, n: u32) -> Result<Operand, Stop> {
        let word = |k: u32| machine.load(all, Field::Word(foreign::WORDS * n + k));
        let (extents, rank) = (word(foreign::EXTENTS)?, word(foreign::RANK)?);
        let extent = |axis: i64| machine.load(extents, Field::Word(axis as u32));
        let extent = |axis| extent(axis).and_then(|n| usize::try_from(n).or_else(|_| bug("an extent is negative")));
        let element = word(foreign::ELEMENT)?;
        let dtype = DType::ALL.into_iter().find(|dtype| dtype.number() == element);
        let Some(dtype) = dtype else { return bug(format!("{element} is no element type")) };
        Ok(Operand {
            data: word(foreign::DATA)?,
            extents,
            dtype,
            shape: (0..rank).map(extent).collect::<Result<_, _>>()?,
        })
    }
    fn bytes<'m>(&self, machine: &'m Machine<'_>) -> Result<&'m [u8], Stop> {
        let count = self.shape.iter().product::<usize>() * self.dtype.size();
        match count {
            0 => Ok(&[]),
            _ => machine.memory_of(self.data)?.get(..count).map_or_else(|| bug("an operand leaves its memory"), Ok),
        }
    }
}

/// The attributes, as their struct says.
fn read(machine: &mut Machine<'_>, call: &Call, at: i64) -> Result<Vec<Attribute>, Stop> {
    let mut words = 0;
    let mut all = vec![];
    for (_, like) in &call.attributes {
        let word = machine.load(at, Field::Word(words))?;
        words += like.words() as u32;
        let table = |size: usize| {
            let count = machine.load(at, Field::Word(words - 1))? as usize;
            match count {
                0 => Ok(vec![]),
                _ => Ok(machine.memory_of(word)?.get(..count * size).ok_or(Stop::Bug("a table ends".into()))?.to_vec()),
            }
        };
        all.push(match like {
            Attribute::Int(_) => Attribute::Int(word),
            Attribute::Real(_) => Attribute::Real(f64::from_bits(word as u64)),
            Attribute::Text(_) => Attribute::Text(table(1)?),
            Attribute::Ints(_) => Attribute::Ints(words_of(&table(8)?)),
            Attribute::Reals(_) => {
                Attribute::Reals(words_of(&table(8)?).into_iter().map(|bits| f64::from_bits(bits as u64)).collect())
            }
        });
    }
    Ok(all)
}

fn words_of(bytes: &[u8]) -> Vec<i64> {
    bytes.chunks_exact(8).map(|word| i64::from_le_bytes(word.try_into().expect("eight bytes"))).collect()
}
