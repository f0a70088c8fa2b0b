//! What the header says of custom operators: the functions that whoever links the model has to have.

use super::{comment, line};
use crate::{emit::interface::Operator, graph::Call, op::Attribute, tensor::TensorType};

pub fn write(out: &mut String, operators: &[Operator]) {
    for operator in operators {
        let symbol = operator.symbol();
        // Several models may call one function.
        let guard = format!("SMC_OPERATOR_{symbol}");
        line(out, &format!("\n#ifndef {guard}\n#define {guard}"));
        write_attributes(out, &operator.calls[0]);
        line(
            out,
            "/* A custom operator, which is not in the object: link the file that has it. It gets and gives, by call in the model,",
        );
        for call in &operator.calls {
            line(out, &format!(" *   {}", comment(&shapes(call))));
        }
        for text in [
            " * in the order of the arrays, which are null where they are empty. It writes all elements of its outputs, keeps no pointer,",
            " * and may run on any thread that calls the model. What is not 0 ends the model's call with SMC_OPERATOR_FAILED and the",
            " * number, see SMC_OPERATOR_CODE. */",
        ] {
            line(out, text);
        }
        let attributes = match operator.calls[0].attributes.is_empty() {
            true => "void".into(),
            false => format!("struct {symbol}_attributes"),
        };
        line(out, &format!("int {symbol}(const struct smc_operand *inputs, const struct smc_operand *outputs,"));
        line(out, &format!("{}const {attributes} *attributes);", " ".repeat(symbol.len() + 5)));
        line(out, "#endif");
    }
}

/// What a call gets and gives: types and shapes.
fn shapes(call: &Call) -> String {
    let show = |ty: &TensorType| ty.to_string();
    let inputs: Vec<_> = call.operands.iter().map(show).collect();
    let output = |(n, ty): (usize, &TensorType)| match call.counted.contains(&n) {
        true => {
            let rest: String = ty.shape[1..].iter().map(|dim| format!(",{dim}")).collect();
            format!("{}[n{rest}] (room for n = {}; the function writes n to extents[0])", ty.dtype, ty.shape[0])
        }
        false => ty.to_string(),
    };
    let outputs: Vec<_> = call.outputs.iter().enumerate().map(output).collect();
    let list = |all: Vec<String>| if all.is_empty() { "nothing".into() } else { all.join(", ") };
    format!("{} -> {}", list(inputs), list(outputs))
}

/// The struct of the attributes, if there are some.
fn write_attributes(out: &mut String, call: &Call) {
    if call.attributes.is_empty() {
        return;
    }
    line(out, &format!("struct {}_attributes {{", call.symbol));
    for (name, value) in &call.attributes {
        match value {
            Attribute::Int(_) => line(out, &format!("  int64_t {name};")),
            Attribute::Real(_) => line(out, &format!("  double {name};")),
            Attribute::Text(_) => line(out, &format!("  struct smc_string {name};")),
            Attribute::Ints(_) => line(out, &format!("  const int64_t *{name};\n  int64_t {name}_count;")),
            Attribute::Reals(_) => line(out, &format!("  const double *{name};\n  int64_t {name}_count;")),
        }
    }
    line(out, "};");
}
