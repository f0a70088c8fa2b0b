//! The C header of a compiled model: plain C99 that is also C++, self-contained, one struct and one function per
//! signature, and a class for C++17. What it says is [`Interface`]; nothing is decided here.

mod classes;
mod operators;
mod state;

use std::fmt::Write;

use smc_runtime::abi::{C_DECLARATIONS, WORKSPACE_ALIGN};

use crate::{
    base::{Dim, dim::Atom},
    emit::interface::{Interface, Signature, Tensor},
    tensor::DType,
};

/// The header's text. `notes` are sentences for the reader (what the compiler assumed or left out).
pub fn header(model: &Interface, notes: &[String]) -> String {
    let mut out = String::new();
    let name = &model.name;
    let guard = format!("SMC_MODEL_{}_H", name.to_uppercase());
    line(&mut out, &format!("/* {name}: a model compiled by {}.", comment(&model.compiler)));
    line(&mut out, &format!(" * SHA-256 of the model: {}", hex(&model.fingerprint)));
    line(&mut out, " *");
    line(
        &mut out,
        " * Every function may be called from any number of threads at once, each with a workspace of its own. Data are",
    );
    line(
        &mut out,
        " * dense and row-major; inputs and outputs do not overlap. Nothing is allocated, nothing of a call is kept. The rounding",
    );
    line(&mut out, " * and flush modes of the calling thread are obeyed.");
    if model.state.is_some() {
        line(
            &mut out,
            " * What outlives calls is in a state, which the caller owns: two calls on one state do not run at once.",
        );
    }
    write_levels(&mut out, model);
    if model.binds_weights {
        line(&mut out, " * The weights are in a file of their own: bind it before the first call.");
    }
    for note in notes {
        line(&mut out, &format!(" * Note: {}", comment(note)));
    }
    line(&mut out, " */");
    line(&mut out, &format!("#ifndef {guard}\n#define {guard}\n"));
    out.push_str(C_DECLARATIONS);
    line(&mut out, "\n#ifdef __cplusplus\nextern \"C\" {\n#endif");
    for signature in &model.signatures {
        write_signature(&mut out, name, &model.signatures, signature);
    }
    if model.binds_weights {
        write_binding(&mut out, name);
    }
    if let Some(state) = &model.state {
        state::write(&mut out, name, state);
    }
    operators::write(&mut out, &model.operators);
    line(&mut out, "\n/* CPU levels: what a struct's cpu may ask for. */");
    for level in &model.levels {
        line(&mut out, &format!("#define {}_CPU_{} {}u", name.to_uppercase(), level.c_name(), level.number));
    }
    line(&mut out, "\n/* For generic callers: see struct smc_model. */");
    line(&mut out, &format!("extern const unsigned char {name}_descriptor[];"));
    line(
        &mut out,
        &format!("int {name}_invoke(uint32_t signature, const void *io, void *workspace, size_t workspace_bytes);"),
    );
    line(&mut out, &format!("int64_t {name}_workspace_bytes(uint32_t signature, const void *io);"));
    for (n, s) in model.signatures.iter().enumerate() {
        line(&mut out, &format!("#define {}_{}_SIGNATURE {n}u", name.to_uppercase(), s.c_name.to_uppercase()));
    }
    line(&mut out, &format!("#define {}_MODEL \\", name.to_uppercase()));
    line(&mut out, &format!("  {{ {name}_descriptor, {name}_invoke, {name}_workspace_bytes }}"));
    line(&mut out, "\n#ifdef __cplusplus\n}\n#endif");
    out.push_str(&classes::classes(model));
    line(&mut out, "\n#endif");
    out
}

/// Which processors the object runs on, and how well.
fn write_levels(out: &mut String, model: &Interface) {
    let names: Vec<_> = model.levels.iter().map(|l| l.name.as_str()).collect();
    match &names[..] {
        [] => {}
        [only] => line(out, &format!(" * The code is for processors of the level {only} or better.")),
        [lowest, ..] => {
            line(
                out,
                &format!(" * Needs a processor of the level {lowest}. The code is there for {}:", names.join(", ")),
            );
            line(out, " * each call runs the best that the processor has, which is found out once.");
        }
    }
}

/// The functions of models whose weights lie apart.
fn write_binding(out: &mut String, name: &str) {
    for text in [
        "\n/* Lets calls that start from now on use a file of weights, of which bytes lie at weights, a multiple of 64: mapped for",
        " * reading, say. They stay where they are while the model is in use. Returns SMC_WRONG_WEIGHTS, and changes nothing, for",
        " * a file that was not written for this very code, or not the whole of it. The pointer is kept in 8 bytes of the object,",
        " * for the whole program: any thread may bind while others call. Until then calls return SMC_NO_WEIGHTS. */",
    ] {
        line(out, text);
    }
    line(out, &format!("int {name}_bind_weights(const void *weights, size_t bytes);"));
    line(out, &format!("/* Bytes of the file. */\nsize_t {name}_weights_bytes(void);"));
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn write_signature(out: &mut String, model: &str, all: &[Signature], s: &Signature) {
    let function = format!("{model}_{}", s.c_name);
    let upper = function.to_uppercase();
    let same = s.same_as.map_or(String::new(), |n| format!(", the same function as {model}_{}", all[n].c_name));
    line(out, &format!("\n/* Signature `{}`{same}. */", comment(&s.key)));
    write_struct(out, &function, s);
    for t in s.inputs.iter().chain(&s.outputs) {
        write_constants(out, &upper, t);
    }
    write_call(out, &function, s);
    if let Some(bytes) = s.workspace.as_int() {
        line(out, &format!("/* Bytes of workspace; 0 needs none. */\n#define {upper}_WORKSPACE {bytes}u"));
    }
    line(out, &format!("/* Bytes of workspace: {}.", readable(&s.workspace)));
    line(out, " * SIZE_MAX when these dimensions are not served. */");
    let parameters: Vec<_> = s.given().map(|d| format!("int64_t {}", d.c_name)).collect();
    let parameters = if parameters.is_empty() { "void".into() } else { parameters.join(", ") };
    line(out, &format!("size_t {function}_workspace({parameters});"));
    if let Some(bytes) = s.strings {
        line(
            out,
            "/* Bytes of strings that a call may make. Outputs may point to them: they lie in the workspace. When a call has",
        );
        line(
            out,
            " * ended, the workspace begins with how many it made, a uint64_t; with SMC_STRINGS_EXCEEDED, how many it needed by then. */",
        );
        line(out, &format!("#define {upper}_STRINGS {bytes}u"));
    }
}

/// What a call is given and gives: tensors, extents, state, threads and CPU level.
fn write_struct(out: &mut String, function: &str, s: &Signature) {
    line(out, &format!("struct {function} {{"));
    let mut member = |declared: String, what: &str| line(out, &format!("  {declared:<40} /* {what} */"));
    for (list, qualifier, what) in [(&s.inputs, "const ", "input"), (&s.outputs, "", "output")] {
        for t in list {
            let declared = format!("{qualifier}{} *{};", c_type(t.ty.dtype), t.c_name);
            member(declared, &format!("{what} `{}`: {}{}", comment(&t.key), t.ty, room(t)));
        }
    }
    for d in s.given() {
        member(format!("int64_t {};", d.c_name), &format!("extent `{}`, at least 0", d.symbol));
    }
    for (d, bound) in s.found() {
        let what = format!("`{}`, which the call writes: data decide, {} at most", d.symbol, readable(bound));
        member(format!("int64_t {};", d.c_name), &what);
    }
    if let Some((access, name)) = &s.state {
        let (qualifier, what) = state::member(*access);
        member(format!("{qualifier}void *{name};"), &format!("a state of the model, which the call {what}"));
    }
    member("const struct smc_threads *threads;".into(), "null: the calling thread does all");
    member("uint64_t cpu;".into(), "0: the best level; or one of the constants below");
    line(out, "};");
    line(out, "/* The struct by a name that no function hides from C++. */");
    line(out, &format!("typedef struct {function} {function}_io;"));
}

/// The function, with all that its caller has to know.
fn write_call(out: &mut String, function: &str, s: &Signature) {
    line(
        out,
        &format!("/* Returns a status; see smc_status_text. The workspace starts at a multiple of {WORKSPACE_ALIGN}."),
    );
    line(out, &format!(" * The call uses at most {} bytes of stack on the calling thread.", s.stack_bytes));
    for guard in &s.guards {
        line(out, &format!(" * Served only where {}.", comment(&guard.text)));
    }
    for text in &s.found_guards {
        line(out, &format!(" * Returns SMC_BROKEN_SIZE unless {}.", comment(text)));
    }
    let found: Vec<_> = s.found().map(|(d, _)| d.c_name.as_str()).collect();
    if !found.is_empty() {
        for text in [
            format!(" * The call writes {} in the struct: -1 first, and the size once it is known.", found.join(", ")),
            " * Outputs whose extents these are lie dense at the start of their memory. Returns SMC_SIZE_OUT_OF_BOUNDS where one".into(),
            " * is more than its bound: the last that was written.".into(),
        ] {
            line(out, &text);
        }
    }
    line(out, " */");
    let qualifier = if found.is_empty() { "const " } else { "" };
    line(out, &format!("int {function}({qualifier}struct {function} *io, void *workspace, size_t workspace_bytes);"));
}

/// `M_S_X_RANK`, and one constant per extent that is fixed, and the number of elements where all are.
fn write_constants(out: &mut String, upper: &str, t: &Tensor) {
    let tensor = format!("{upper}_{}", t.c_name.to_uppercase());
    line(out, &format!("#define {tensor}_RANK {}", t.ty.rank()));
    for (axis, extent) in t.ty.shape.iter().enumerate() {
        if let Some(n) = extent.as_int() {
            line(out, &format!("#define {tensor}_DIM{axis} {n}"));
        }
    }
    if let Some(n) = t.ty.count().as_int() {
        line(out, &format!("#define {tensor}_COUNT {n}"));
    } else if let Some(n) = t.room.as_int() {
        line(out, &format!("#define {tensor}_ROOM {n}"));
    }
}

/// What is said of a tensor's memory where data decide about its extents.
fn room(t: &Tensor) -> String {
    if t.room == t.ty.count() { String::new() } else { format!(", with room for {} elements", readable(&t.room)) }
}

/// The C type of an element. Complex numbers are pairs of reals.
fn c_type(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool | DType::U8 => "uint8_t",
        DType::I8 => "int8_t",
        DType::I16 => "int16_t",
        DType::I32 => "int32_t",
        DType::I64 => "int64_t",
        DType::U16 | DType::F16 | DType::BF16 => "uint16_t",
        DType::U32 => "uint32_t",
        DType::U64 => "uint64_t",
        DType::F32 | DType::C64 => "float",
        DType::F64 | DType::C128 => "double",
        DType::Str => "struct smc_string",
    }
}

/// Text that cannot end a comment or break a line.
fn comment(text: &str) -> String {
    text.replace("*/", "*\u{200b}/").replace("/*", "/\u{200b}*").replace(['\n', '\r'], " ").replace("??/", "?? /")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// A size for people: long expressions are left to the function that computes them.
fn readable(size: &Dim) -> String {
    let mut atoms = 0;
    size.for_each_atom(&mut |_: &Atom| atoms += 1);
    if atoms <= 6 { size.to_string() } else { "see the function".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::interface::signatures;

    #[test]
    fn a_small_model() {
        let ty = |text: &str| text.parse().unwrap();
        let named =
            vec![("serving_default".into(), vec![("x".into(), ty("f32[batch,2]"))], vec![("y".into(), ty("bool[3]"))])];
        let mut model = Interface {
            name: "m".into(),
            compiler: "smc 0".into(),
            fingerprint: [0xab; 32],
            levels: vec![],
            binds_weights: false,
            signatures: signatures(named),
            state: None,
            operators: vec![],
        };
        model.signatures[0].workspace = "64*batch".parse().unwrap();
        let text = header(&model, &["an */ end".into()]);
        for expected in [
            "struct m_serving_default {",
            "const float *x;",
            "uint8_t *y;",
            "int64_t batch;",
            "#define M_SERVING_DEFAULT_X_DIM1 2",
            "#define M_SERVING_DEFAULT_Y_COUNT 3",
            "size_t m_serving_default_workspace(int64_t batch);",
            "int m_serving_default(const struct m_serving_default *io, void *workspace, size_t workspace_bytes);",
        ] {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
        assert_eq!(text.matches("/*").count(), text.matches("*/").count());
    }
}
