//! The part of a header for models with a state: the functions that make, keep and bring back a block of it, and one for
//! each variable that finds it there.

use smc_runtime::state::{ALIGN, SAVED_ALIGN};

use super::{c_type, comment, line};
use crate::{emit::interface::State, plan::Access};

/// How the pointer to a block is declared, and what a call does with it.
pub fn member(access: Access) -> (&'static str, &'static str) {
    match access {
        Access::Reads => ("const ", "reads"),
        Access::Changes => ("", "reads and changes"),
    }
}

pub fn write(out: &mut String, name: &str, state: &State) {
    let upper = name.to_uppercase();
    line(out, "");
    for text in [
        format!("/* A state is {0}_STATE_BYTES bytes at a multiple of {ALIGN}: the variables that signatures change, and what describes", upper),
        " * them. Any number of states may be there at once; a call uses the one that its struct points to. It changes a state only".into(),
        " * where it returns SMC_OK, and returns SMC_WRONG_STATE for what is no state of this model. */".into(),
    ] {
        line(out, &text);
    }
    line(out, &format!("#define {upper}_STATE_BYTES {}u", state.layout.bytes));
    line(out, &format!("size_t {name}_state_bytes(void);"));
    line(
        out,
        "/* Makes memory of so many bytes a state, whose variables are as the model stores them. Returns a status. */",
    );
    line(out, &format!("int {name}_state_init(void *state, size_t bytes);"));
    for text in [
        format!(
            "/* Copies a state, with a checksum, to so many bytes at a multiple of {SAVED_ALIGN}: what a file or another process gets. A state"
        ),
        " * is that of one layout of variables, which its header and its names tell, and of one order of bytes. */"
            .into(),
    ] {
        line(out, &text);
    }
    line(out, &format!("int {name}_state_save(const void *state, void *to, size_t bytes);"));
    for text in [
        "/* Makes memory of so many bytes a state that is as the saved one, of from_bytes bytes. What has another layout or was",
        " * damaged is SMC_WRONG_STATE, and nothing is touched. */",
    ] {
        line(out, text);
    }
    line(out, &format!("int {name}_state_load(void *state, size_t bytes, const void *from, size_t from_bytes);"));
    seed(out, name, state.layout.is_seeded_by_caller());
    line(out, "/* The variables in a state. */");
    for (slot, c_name) in state.layout.slots.iter().zip(&state.c_names) {
        let ty = c_type(slot.ty.dtype);
        line(out, &format!("/* `{}`: {} */", comment(&slot.name), slot.ty));
        line(
            out,
            &format!(
                "static inline {ty} *{name}_{c_name}(void *state) {{ return ({ty} *)(void *)((unsigned char *)state + {}); }}",
                slot.at
            ),
        );
    }
    line(out, &format!("#define {upper}_STATE \\"));
    line(
        out,
        &format!(
            "  {{ {name}_state_bytes, {name}_state_init, {name}_state_save, {name}_state_load, {name}_state_seed }}"
        ),
    );
}

/// The function that seeds; every model with a state has it, so that callers of any model find it.
fn seed(out: &mut String, name: &str, does_something: bool) {
    let texts: &[String] = &match does_something {
        true => vec![
            "/* Seeds what draws random numbers without a seed in the model: from here on a state draws what every other one draws".into(),
            format!(
                " * that was seeded alike, each operator numbers of its own. {name}_state_init seeds with 0. Returns a status; nothing is"
            ),
            " * touched in what is no state of this model. */".into(),
        ],
        false => vec![
            "/* Changes nothing: no operator of this model draws random numbers without a seed. Returns a status. */".into(),
        ],
    };
    texts.iter().for_each(|text| line(out, text));
    line(out, &format!("int {name}_state_seed(void *state, uint64_t seed);"));
}
