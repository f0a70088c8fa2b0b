//! Tables in text files, as `InitializeTableFromTextFile` reads them.

use smc_proto::DataType;

use crate::{
    base::Diagnostic,
    saved::{graph::Node, types::held_type},
    tensor::{DType, Scalar, Tensor},
};

/// How lines become pairs.
pub struct Lines {
    key: Part,
    value: Part,
    delimiter: u8,
    /// So many lines, where that is stated.
    count: Option<usize>,
    /// Lines to pass over at the beginning.
    offset: usize,
}

/// What of a line is a key or a value.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    /// The line's number, from 0 on.
    Number,
    Column(usize),
}

impl Lines {
    /// As a node reads them.
    pub fn of(node: &Node) -> Result<Lines, Diagnostic> {
        let part = |name: &str| match node.attr_int(name)? {
            -2 => Ok(Part::Whole),
            -1 => Ok(Part::Number),
            n => usize::try_from(n).map(Part::Column).map_err(|_| node.fault(format!("{name} is {n}"))),
        };
        let [delimiter] = *node.attr_bytes("delimiter")? else {
            return Err(node.fault("a delimiter is one byte"));
        };
        let count = node.attr_int("vocab_size")?;
        let offset = usize::try_from(node.attr_int("offset")?).map_err(|_| node.fault("the offset is negative"))?;
        Ok(Lines {
            key: part("key_index")?,
            value: part("value_index")?,
            delimiter,
            count: usize::try_from(count).ok(),
            offset,
        })
    }

    /// The keys and values of a file, `[n]` each. A key that comes again with the same value is one.
    pub fn pairs(&self, bytes: &[u8], key: DataType, value: DataType) -> Result<(Tensor, Tensor), Diagnostic> {
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let all: Vec<&[u8]> = if bytes.is_empty() { vec![] } else { text.split(|&byte| byte == b'\n').collect() };
        let all = all.get(self.offset..).unwrap_or(&[]);
        let count = self.count.unwrap_or(all.len());
        if all.len() < count || all.is_empty() {
            let wanted = self.count.map_or("at least one".into(), |n| n.to_string());
            return Err(Diagnostic::error(format!("the table has {} lines, not {wanted}", all.len())));
        }
        let [mut keys, mut values] = [key, value].map(Column::new);
        let mut seen = std::collections::HashMap::new();
        for (n, line) in all[..count].iter().enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let wrong = |why: String| Diagnostic::error(format!("line {} of the table: {why}", n + 1 + self.offset));
            if line.is_empty() {
                return Err(wrong("it is empty".into()));
            }
            let [key, value] = [self.key, self.value].map(|part| self.part(line, part, n));
            let (key, value) = (key.map_err(wrong)?, value.map_err(wrong)?);
            match seen.insert(key.clone(), value.clone()) {
                Some(before) if before == value => continue,
                Some(_) => return Err(wrong("its key has another value before".into())),
                None => {}
            }
            keys.push(&key).map_err(wrong)?;
            values.push(&value).map_err(wrong)?;
        }
        Ok((keys.tensor(), values.tensor()))
    }

    fn part(&self, line: &[u8], part: Part, number: usize) -> Result<Vec<u8>, String> {
        match part {
            Part::Whole => Ok(line.to_vec()),
            Part::Number => Ok(number.to_string().into_bytes()),
            Part::Column(n) => {
                let column = line.split(|&byte| byte == self.delimiter).nth(n);
                column.map(<[u8]>::to_vec).ok_or_else(|| format!("there is no column {n}"))
            }
        }
    }
}

/// Elements of a type, read from text.
struct Column {
    dtype: DataType,
    held: Option<DType>,
    strings: Vec<Vec<u8>>,
    scalars: Vec<Scalar>,
}

impl Column {
    fn new(dtype: DataType) -> Column {
        Column { dtype, held: held_type(dtype), strings: vec![], scalars: vec![] }
    }
    fn push(&mut self, text: &[u8]) -> Result<(), String> {
        let no_number = || format!("`{}` is no {:?}", String::from_utf8_lossy(text), self.dtype);
        let number =
            || std::str::from_utf8(text).ok().map(|text| text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']));
        match self.held {
            Some(DType::Str) => self.strings.push(text.to_vec()),
            Some(d @ (DType::I32 | DType::I64)) => {
                let n: i64 = number().and_then(|text| text.parse().ok()).ok_or_else(no_number)?;
                let scalar = Scalar::Int(n);
                self.scalars.push(Some(scalar).filter(|s| s.wrap(d) == *s).ok_or_else(no_number)?);
            }
            Some(d @ (DType::F32 | DType::F64)) => {
                let text = number().ok_or_else(no_number)?;
                let x = match d {
                    DType::F32 => text.parse().map(Scalar::F32),
                    _ => text.parse().map(Scalar::F64),
                };
                self.scalars.push(x.map_err(|_| no_number())?);
            }
            _ => return Err(format!("tables of {:?} are not read from files", self.dtype)),
        }
        Ok(())
    }
    fn tensor(self) -> Tensor {
        match self.held {
            Some(dtype) if dtype != DType::Str => Tensor::from_scalars(dtype, [self.scalars.len()], self.scalars),
            _ => Tensor::from_strings([self.strings.len()], self.strings),
        }
    }
}
