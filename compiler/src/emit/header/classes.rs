//! The part of a header for C++17: a class per signature, with a span for each tensor and a workspace of its own.
//!
//! The members of a class are those of the io struct, so what else it has must have no name: it is derived from the
//! workspace, and called itself.

use crate::{
    base::{Dim, dim::Atom},
    emit::interface::{Interface, Signature},
};

use super::{c_type, comment, line, readable};

/// The classes of a model, in the namespace `smc::NAME`.
pub fn classes(model: &Interface) -> String {
    let mut out = String::new();
    line(&mut out, "\n#if SMC_CPP >= 201703L");
    // What the namespace of all models has for itself.
    let taken = ["floor_div", "greater", "holds", "span", "status", "text", "workspace"].contains(&&*model.name);
    let space = format!("{}{}", model.name, if taken { "_model" } else { "" });
    line(&mut out, &format!("/* For C++17: smc::{space}::SIGNATURE. Set the spans and extents, then call it:"));
    line(&mut out, " *");
    if let Some(s) = model.signatures.first() {
        line(&mut out, &format!(" *   smc::{space}::{} model;", s.c_name));
        if let Some(t) = s.inputs.first() {
            line(&mut out, &format!(" *   model.{} = values;  // a std::vector, say", t.c_name));
        }
        line(&mut out, " *   if (smc::status failed = model(); failed != smc::status::ok) puts(smc::text(failed));");
    }
    line(&mut out, " *");
    for text in [
        " * A span may be longer than its tensor. A shorter one gives a status, unless the tensor's size is more than sums,",
        " * products and quotients of extents. The workspace is allocated by the first call, and again by a larger one. The object",
        " * is not copied, since calls on several threads need workspaces of their own. */",
    ] {
        line(&mut out, text);
    }
    line(&mut out, &format!("namespace smc {{\ninline namespace SMC_CPP_NAMESPACE {{\nnamespace {space} {{"));
    for s in &model.signatures {
        class(&mut out, &model.name, s);
    }
    line(&mut out, "\n}  // namespace\n}  // inline namespace\n}  // namespace smc\n#endif");
    out
}

fn class(out: &mut String, model: &str, s: &Signature) {
    let function = format!("::{model}_{}", s.c_name);
    line(out, &format!("\n/* Signature `{}`. */", comment(&s.key)));
    line(out, &format!("struct {} : private ::smc::workspace {{", s.c_name));
    for (list, qualifier, what) in [(&s.inputs, "const ", "input"), (&s.outputs, "", "output")] {
        for t in list {
            let member = format!("::smc::span<{qualifier}{}> {}{{}};", c_type(t.ty.dtype), t.c_name);
            line(out, &format!("  {member:<48} /* {what} `{}`: {} */", comment(&t.key), t.ty));
        }
    }
    for d in s.given() {
        line(out, &format!("  {:<48} /* extent `{}` */", format!("::int64_t {} = 0;", d.c_name), d.symbol));
    }
    for (d, bound) in s.found() {
        let what = format!("`{}`, which a call finds, {} at most", d.symbol, readable(bound));
        line(out, &format!("  {:<48} /* {what} */", format!("::int64_t {} = -1;", d.c_name)));
    }
    if let Some((access, member)) = &s.state {
        let (qualifier, what) = super::state::member(*access);
        let declared = format!("{qualifier}void *{member} = nullptr;");
        line(out, &format!("  {declared:<48} /* a state of the model, which the call {what} */"));
    }
    line(out, "  const ::smc_threads *threads = nullptr;\n  ::uint64_t cpu = 0;\n");
    line(out, "  ::smc::status operator()() {");
    let symbols: Vec<_> = s.given().map(|d| format!("this->{}", d.c_name)).collect();
    let sizes = format!("{function}_workspace({})", symbols.join(", "));
    line(out, &format!("    const ::size_t needed_ = {sizes};"));
    line(out, "    if (needed_ != SIZE_MAX) {");
    for t in s.inputs.iter().chain(&s.outputs) {
        let parts = if t.ty.dtype.is_complex() { 2 } else { 1 };
        // Other sizes are what the caller says they are.
        if let Some(count) = expression(s, &(&t.room * &Dim::from(parts))) {
            let short = format!("if (!::smc::holds(this->{}, {count})) return ::smc::status::short_span;", t.c_name);
            line(out, &format!("      {short}"));
        }
    }
    line(out, "      if (!::smc::workspace::reserve(needed_)) return ::smc::status::out_of_memory;");
    line(out, "    }");
    line(out, &format!("    {function}_io io_{{}};"));
    for t in s.inputs.iter().chain(&s.outputs) {
        line(out, &format!("    io_.{0} = this->{0}.data();", t.c_name));
    }
    let state = s.state.iter().map(|(_, member)| member.as_str());
    for name in s.given().map(|d| d.c_name.as_str()).chain(state).chain(["threads", "cpu"]) {
        line(out, &format!("    io_.{name} = this->{name};"));
    }
    let call = format!("{function}(&io_, ::smc::workspace::data(), ::smc::workspace::size())");
    if s.found().next().is_none() {
        line(out, &format!("    return static_cast<::smc::status>({call});"));
    } else {
        line(out, &format!("    const int status_ = {call};"));
        for (d, _) in s.found() {
            line(out, &format!("    this->{0} = io_.{0};", d.c_name));
        }
        line(out, "    return static_cast<::smc::status>(status_);");
    }
    line(out, "  }\n};");
}

/// A size in C++, by the members of a class; none where it is more than arithmetic. It is evaluated where the model's own
/// check of all sizes found none that overflows.
fn expression(s: &Signature, size: &Dim) -> Option<String> {
    let atom = |atom: &Atom| match atom {
        Atom::Sym(symbol) => {
            let dimension = s.symbols.iter().find(|d| d.symbol == *symbol)?;
            Some(format!("this->{}", dimension.c_name))
        }
        Atom::Div(a, b) => Some(format!("::smc::floor_div({}, {})", expression(s, a)?, expression(s, b)?)),
        Atom::Max(a, b) => Some(format!("::smc::greater({}, {})", expression(s, a)?, expression(s, b)?)),
        Atom::Var(_) | Atom::Of(_) => None,
    };
    let mut terms = vec![];
    for term in size.terms() {
        let mut factors: Vec<String> = term.atoms.iter().map(atom).collect::<Option<_>>()?;
        if term.k != 1 || factors.is_empty() {
            factors.insert(0, format!("INT64_C({})", term.k));
        }
        terms.push(factors.join(" * "));
    }
    Some(if terms.is_empty() { "0".into() } else { terms.join(" + ") })
}
