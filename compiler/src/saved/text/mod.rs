//! Reads the text form of protocol buffers (`saved_model.pbtxt`).
//!
//! The text is rewritten as the binary form, by the names and numbers in the messages' descriptors, and then decoded as
//! a binary file is. Fields that are not declared are skipped in both forms alike. `Any` may be written out, as
//! `[type.googleapis.com/package.Message] { ... }`.
//!
//! Invariant: time and memory are proportional to the text, and nesting is limited as in the binary decoder.

mod lexer;

use std::{collections::BTreeMap, sync::LazyLock};

use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};
use prost_types::{
    DescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

use lexer::{Lexer, Token};

/// The binary decoder's limit.
const MAX_DEPTH: usize = 100;

struct Field {
    number: u32,
    kind: Type,
    /// The full name of its message or enum.
    of: String,
    repeated: bool,
}

#[derive(Default)]
struct Schema {
    messages: BTreeMap<String, BTreeMap<String, Field>>,
    enums: BTreeMap<String, BTreeMap<String, i32>>,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(smc_proto::DESCRIPTORS).expect("the build script wrote the descriptors");
    let mut schema = Schema::default();
    for file in &files.file {
        let package = format!(".{}", file.package());
        file.message_type.iter().for_each(|m| schema.add_message(&package, m));
        file.enum_type.iter().for_each(|e| schema.add_enum(&package, e));
    }
    schema
});

impl Schema {
    fn add_message(&mut self, scope: &str, message: &DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        message.nested_type.iter().for_each(|m| self.add_message(&name, m));
        message.enum_type.iter().for_each(|e| self.add_enum(&name, e));
        let field = |f: &prost_types::FieldDescriptorProto| {
            let repeated = f.label() == Label::Repeated;
            let field = Field { number: f.number() as u32, kind: f.r#type(), of: f.type_name().into(), repeated };
            (f.name().to_string(), field)
        };
        let fields = message.field.iter().map(field).collect();
        self.messages.insert(name, fields);
    }
    fn add_enum(&mut self, scope: &str, def: &prost_types::EnumDescriptorProto) {
        let values = def.value.iter().map(|v| (v.name().to_string(), v.number())).collect();
        self.enums.insert(format!("{scope}.{}", def.name()), values);
    }
}

/// Decodes a message of the given full name; the error says what is wrong and in which line.
pub fn decode<M: Message + Default>(text: &[u8], name: &str) -> Result<M, String> {
    let mut reader = Reader { lexer: Lexer::new(text) };
    let mut binary = Vec::new();
    reader
        .message(Some(&format!(".{name}")), None, 0, &mut binary)
        .map_err(|e| format!("line {}: {e}", reader.lexer.line()))?;
    M::decode(&binary[..]).map_err(|e| e.to_string())
}

struct Reader<'t> {
    lexer: Lexer<'t>,
}

impl Reader<'_> {
    /// Reads fields up to `end` (`}` or `>`, nothing for the end of the text). Without a message's name they are skipped.
    fn message(
        &mut self,
        name: Option<&str>,
        end: Option<char>,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err("messages are nested too deep".into());
        }
        let fields = name.and_then(|n| SCHEMA.messages.get(n));
        loop {
            match self.lexer.next()? {
                None if end.is_none() => return Ok(()),
                None => return Err("the text ends within a message".into()),
                Some(Token::Symbol(c)) if Some(c) == end => return Ok(()),
                Some(Token::Symbol(',' | ';')) => {}
                Some(Token::Symbol('[')) => {
                    let url = self.lexer.until_bracket()?;
                    self.any(&url, name == Some(".tensorflow.Any"), depth, out)?;
                }
                Some(Token::Word(word)) => self.field(fields.and_then(|f| f.get(word)), depth, out)?,
                Some(token) => return Err(format!("a field's name is expected, not {token}")),
            }
        }
    }

    /// The rest of a field behind its name.
    fn field(&mut self, field: Option<&Field>, depth: usize, out: &mut Vec<u8>) -> Result<(), String> {
        let colon = self.lexer.accept(':')?;
        if colon && self.lexer.accept('[')? {
            while !self.lexer.accept(']')? {
                self.value(field, depth, out)?;
                self.lexer.accept(',')?;
            }
            return match field {
                Some(f) if !f.repeated => Err("a list is given for a field that holds one value".into()),
                _ => Ok(()),
            };
        }
        self.value(field, depth, out)
    }

    fn value(&mut self, field: Option<&Field>, depth: usize, out: &mut Vec<u8>) -> Result<(), String> {
        for (open, close) in [('{', '}'), ('<', '>')] {
            if self.lexer.accept(open)? {
                let mut body = Vec::new();
                let name = field.filter(|f| f.kind == Type::Message).map(|f| &f.of[..]);
                if field.is_some() && name.is_none() {
                    return Err("a message is given for a field that holds a plain value".into());
                }
                self.message(name, Some(close), depth + 1, &mut body)?;
                if let Some(field) = field {
                    put_bytes(field.number, &body, out);
                }
                return Ok(());
            }
        }
        let mut token = self.lexer.next()?.ok_or("a value is missing")?;
        let negative = matches!(token, Token::Symbol('-'));
        if negative {
            token = self.lexer.next()?.ok_or("a value is missing")?;
        }
        let mut bytes = match token {
            Token::Text(bytes) if !negative => bytes,
            Token::Word(_) | Token::Number(_) => {
                return field.map_or(Ok(()), |field| put_scalar(field, &token, negative, out));
            }
            _ => return Err(format!("a value is expected, not {token}")),
        };
        // Texts that follow each other are one.
        while let Some(more) = self.lexer.accept_text()? {
            bytes.extend(more);
        }
        match field {
            None => Ok(()),
            Some(f) if matches!(f.kind, Type::String | Type::Bytes) => {
                put_bytes(f.number, &bytes, out);
                Ok(())
            }
            Some(_) => Err("a text is given for a field that holds something else".into()),
        }
    }

    /// A message written out with its type, in place of the two fields of `Any`; elsewhere an extension, which is skipped.
    fn any(&mut self, url: &str, is_any: bool, depth: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if !is_any {
            return self.field(None, depth, out);
        }
        self.lexer.accept(':')?;
        let close = match (self.lexer.accept('{')?, self.lexer.accept('<')?) {
            (true, _) => '}',
            (_, true) => '>',
            _ => return Err("a message is expected".into()),
        };
        let mut body = Vec::new();
        let name = format!(".{}", url.rsplit('/').next().unwrap_or_default());
        self.message(Some(&name), Some(close), depth + 1, &mut body)?;
        put_bytes(1, url.as_bytes(), out);
        put_bytes(2, &body, out);
        Ok(())
    }
}

fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend(bytes);
}

fn put_scalar(field: &Field, token: &Token, negative: bool, out: &mut Vec<u8>) -> Result<(), String> {
    let wrong = || format!("{token} is not a value of this field");
    let varint = |value: u64, out: &mut Vec<u8>| {
        encode_key(field.number, WireType::Varint, out);
        encode_varint(value, out);
    };
    let signed = || {
        let n = token.integer().ok_or_else(wrong)?;
        i64::try_from(if negative { -n } else { n }).map_err(|_| wrong())
    };
    match field.kind {
        Type::Float => {
            encode_key(field.number, WireType::ThirtyTwoBit, out);
            let x = token.float().ok_or_else(wrong)? as f32;
            out.extend((if negative { -x } else { x }).to_le_bytes());
        }
        Type::Double => {
            encode_key(field.number, WireType::SixtyFourBit, out);
            let x = token.float().ok_or_else(wrong)?;
            out.extend((if negative { -x } else { x }).to_le_bytes());
        }
        Type::Int32 | Type::Int64 => varint(signed()? as u64, out),
        Type::Sint32 | Type::Sint64 => {
            let n = signed()?;
            varint(((n << 1) ^ (n >> 63)) as u64, out);
        }
        Type::Uint32 | Type::Uint64 if !negative => {
            varint(token.integer().and_then(|n| u64::try_from(n).ok()).ok_or_else(wrong)?, out);
        }
        Type::Fixed32 if !negative => {
            encode_key(field.number, WireType::ThirtyTwoBit, out);
            let n = token.integer().and_then(|n| u32::try_from(n).ok()).ok_or_else(wrong)?;
            out.extend(n.to_le_bytes());
        }
        Type::Bool if !negative => varint(token.truth().ok_or_else(wrong)?.into(), out),
        Type::Enum => match token {
            Token::Word(word) => {
                // A value of a newer TensorFlow is skipped, as an unknown field is.
                if let Some(&n) = SCHEMA.enums.get(&field.of).and_then(|e| e.get(*word)) {
                    varint(n as i64 as u64, out);
                }
            }
            _ => varint(signed()? as u64, out),
        },
        _ => return Err(wrong()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use smc_proto::{AttrValue, NodeDef, SavedModel, TensorProto, attr_value::Value, collection_def::Kind};

    use super::*;

    #[test]
    fn nodes_read() {
        let text = br#"
            # a comment
            name: "a" op: 'Const' input: ["x", "y:1"], input: "^z"; device: "/cpu:0"
            attr { key: "T" value { type: DT_FLOAT } }
            attr < key: "n" value: { i: -3 } >
            attr { key: "f" value { f: 1e-3f } }
            attr { key: "l" value { list { i: [1, 0x10, 017] b: true b: false f: inf f: -inf s: "\001\xff\n" "\"x" } } }
            attr { key: "t" value { tensor { dtype: 3 tensor_shape { dim { size: 2 } unknown_field: {a: 1} } int_val: -1 } } }
            unknown { nested { deep: [ {a:1}, <b:"c"> ] } } [some.extension] { a: 1 }
        "#;
        let node: NodeDef = decode(text, "tensorflow.NodeDef").unwrap();
        assert_eq!(
            (&node.name[..], &node.op[..], &node.input[..]),
            ("a", "Const", &["x".to_string(), "y:1".into(), "^z".into()][..])
        );
        let attr = |k: &str| node.attr[k].value.clone().unwrap();
        assert_eq!(attr("T"), Value::Type(1));
        assert_eq!(attr("n"), Value::I(-3));
        assert_eq!(attr("f"), Value::F(0.001));
        let Value::List(list) = attr("l") else { panic!() };
        assert_eq!((&list.i[..], &list.b[..]), (&[1, 16, 15][..], &[true, false][..]));
        assert_eq!(list.f, [f32::INFINITY, f32::NEG_INFINITY]);
        assert_eq!(&list.s[0][..], b"\x01\xff\n\"x");
        let Value::Tensor(TensorProto { int_val, dtype: 3, .. }) = attr("t") else { panic!() };
        assert_eq!(int_val, [-1]);
    }

    #[test]
    fn written_out_messages_read() {
        let text = br#"meta_graphs { collection_def { key: "saved_model_assets" value { any_list { value {
            [type.googleapis.com/tensorflow.AssetFileDef] { tensor_info { name: "Const:0" } filename: "foo.txt" } } } } } }"#;
        let model: SavedModel = decode(text, "tensorflow.SavedModel").unwrap();
        let Some(Kind::AnyList(list)) = &model.meta_graphs[0].collection_def["saved_model_assets"].kind else {
            panic!()
        };
        let asset = smc_proto::AssetFileDef::decode(&list.value[0].value[..]).unwrap();
        assert_eq!(asset.filename, "foo.txt");
    }

    #[test]
    fn faults_are_reported_with_their_line() {
        let fail = |text: &[u8]| decode::<AttrValue>(text, "tensorflow.AttrValue").unwrap_err();
        assert_eq!(fail(b"\n\ni: \"x\""), "line 3: a text is given for a field that holds something else");
        for text in [
            &b"i: 99999999999999999999999"[..],
            b"i: x",
            b"s: 1",
            b"list {",
            b"}",
            b"s: \"abc",
            b"i:",
            b"b: -true",
            b"i: [1, 2]",
            b"list: 1",
            b"i { }",
            b"\xff",
            b"s: \"\\q\"",
        ] {
            fail(text);
        }
        fail(&b"list { func { attr { value { ".repeat(1000));
        fail(&b"x { ".repeat(100_000));
    }
}
