//! Strings and regular expressions.

use super::{Import, Outputs, Stop, TfOp, build::one};
use crate::op::{TextMatches, TextReplace, TextTrail};

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "RegexFullMatch", import: full_match },
    TfOp { name: "StaticRegexFullMatch", import: full_match },
    TfOp { name: "RegexReplace", import: replace },
    TfOp { name: "StaticRegexReplace", import: replace },
];

/// A text that an attribute or a constant operand says.
fn known(cx: &Import, attribute: &str, operand: usize, what: &str) -> Result<Vec<u8>, Stop> {
    if cx.node.op.starts_with("Static") {
        return Ok(cx.node.attr_bytes(attribute)?.to_vec());
    }
    let id = cx.arg(operand)?;
    match cx.graph.as_const(id) {
        Some(known) if known.has_strings() && known.rank() == 0 => Ok(known.strings()[0].clone()),
        Some(_) => Err(format!("{what} is no single string").into()),
        None => Err(cx.unknown(id, what)),
    }
}

/// The pattern, which is UTF-8.
fn pattern(cx: &Import) -> Result<String, Stop> {
    let pattern = known(cx, "pattern", 1, "the pattern")?;
    String::from_utf8(pattern).map_err(|_| "its pattern is no UTF-8".into())
}

/// Says which pattern it is that is refused.
fn with<T>(pattern: &str, found: Result<T, String>) -> Result<T, Stop> {
    found.map_err(|error| format!("its pattern `{pattern}` is refused: {error}").into())
}

fn full_match(cx: &mut Import) -> Outputs {
    let (x, pattern) = (cx.arg(0)?, pattern(cx)?);
    let op = TextMatches { pattern };
    let [classes, transitions] = with(&op.pattern, op.tables())?;
    let tables = [cx.constant(classes)?, cx.constant(transitions)?];
    one(cx.add(op, &[x, tables[0], tables[1]])?)
}

fn replace(cx: &mut Import) -> Outputs {
    let (x, pattern) = (cx.arg(0)?, pattern(cx)?);
    let rewrite = known(cx, "rewrite", 2, "the rewrite")?;
    let all = cx.node.attr_bool("replace_global")?;
    let Some(plan) = with(&pattern, TextReplace::plan(pattern.clone(), rewrite, all))? else { return one(x) };
    let trail = match plan.trail {
        None => x,
        Some([classes, next]) => {
            let tables = [cx.constant(classes)?, cx.constant(next)?];
            let TextReplace { trail, first, classes, .. } = plan.op;
            cx.add(TextTrail { trail, first, classes }, &[x, tables[0], tables[1]])?
        }
    };
    let mut operands = vec![x, trail];
    for table in plan.tables {
        operands.push(cx.constant(table)?);
    }
    one(cx.add(plan.op, &operands)?)
}
