//! Tensors for people and for programs that read JSON.

use serde_json::{Value, json};
use smc::tensor::{DType, Scalar, Tensor};

/// Type, shape and the first elements.
pub fn line(t: &Tensor) -> String {
    const MOST: usize = 16;
    let mut elements: Vec<String> = match t.dtype {
        DType::Str => t.strings().iter().take(MOST).map(|s| format!("{:?}", String::from_utf8_lossy(s))).collect(),
        _ => t.scalars().take(MOST).map(|s| s.to_string()).collect(),
    };
    if t.count() > MOST {
        elements.push("...".into());
    }
    format!("{}{:?} {}", t.dtype, t.shape, elements.join(" "))
}

/// An object with `dtype`, `shape`, and `values` in nested lists. Numbers that JSON lacks are the strings `NaN`, `Infinity`
/// and `-Infinity`; complex numbers are pairs.
pub fn object(t: &Tensor) -> Value {
    let mut elements = match t.dtype {
        DType::Str => t.strings().iter().map(|s| json!(String::from_utf8_lossy(s))).collect(),
        _ => t.scalars().map(element).collect::<Vec<_>>(),
    }
    .into_iter();
    json!({ "dtype": t.dtype.name(), "shape": t.shape, "values": nested(&t.shape, &mut elements) })
}

fn nested(shape: &[usize], elements: &mut impl Iterator<Item = Value>) -> Value {
    match shape {
        [] => elements.next().unwrap_or(Value::Null),
        [n, inner @ ..] => (0..*n).map(|_| nested(inner, elements)).collect(),
    }
}

fn element(s: Scalar) -> Value {
    match s {
        Scalar::Bool(b) => json!(b),
        Scalar::Int(n) => json!(n),
        Scalar::Uint(n) => json!(n),
        // The shortest decimal that is this f32, not the f64 that it is equal to.
        Scalar::F32(x) => x.to_string().parse().map_or(Value::Null, float),
        Scalar::F64(x) => float(x),
        Scalar::C64(re, im) => json!([element(Scalar::F32(re)), element(Scalar::F32(im))]),
        Scalar::C128(re, im) => json!([float(re), float(im)]),
        Scalar::Span(..) => Value::Null,
    }
}

fn float(x: f64) -> Value {
    match x {
        x if x.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        x => json!(x),
    }
}

#[test]
fn json_holds_every_value() {
    let t = Tensor::from_f32([2, 2], &[0.1, f32::NAN, f32::NEG_INFINITY, 3.0]);
    let expected = r#"{"dtype":"f32","shape":[2,2],"values":[[0.1,"NaN"],["-Infinity",3.0]]}"#;
    assert_eq!(object(&t).to_string(), expected);
    assert_eq!(object(&Tensor::from_i64([], &[7]))["values"], json!(7));
    assert_eq!(object(&Tensor::from_i64([2, 0], &[]))["values"], json!([[], []]));
}
