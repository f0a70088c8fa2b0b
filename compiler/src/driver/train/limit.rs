//! The memory that a step may take: how users write it, the plans within it, and what is said where there are none.

use super::{super::options::Bytes, STEP};
use crate::{
    base::{Bindings, Diagnostic, Problems},
    graph::Graph,
    plan::{self, Beyond, Lean, Limit, Program, Resident, TargetInfo, Weights},
};

/// The most bytes that the workspace of the step takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub bytes: Bytes,
    /// The examples of the call that this is said of, where the entry takes any number.
    pub batch: Option<u64>,
}

impl Memory {
    /// Plans the step for some levels, and tells what it took to keep within the limit.
    pub fn plan(
        &self,
        graph: &Graph,
        residents: &[Resident],
        levels: &[&TargetInfo],
        weights: &mut Weights,
    ) -> Result<(Vec<Program>, Option<Diagnostic>), Problems> {
        let Bytes(bytes) = self.bytes;
        let limit = Limit { bytes, bind: self.bindings(graph, residents) };
        match plan::plan_within(STEP, graph, residents, levels, weights, &limit) {
            Ok(Lean { programs, instead: None }) => Ok((programs, None)),
            Ok(Lean { programs, instead: Some((again, plain)) }) => {
                let how = match again {
                    0 => "changes variables as soon as it can".into(),
                    1 => "computes 1 value again".into(),
                    again => format!("computes {again} values again"),
                };
                let what =
                    format!("`{STEP}` {how} to keep within {bytes} bytes of workspace: {plain} are needed otherwise");
                Ok((programs, Some(Diagnostic::note(what))))
            }
            Err(Beyond::Open(workspace)) => {
                let what = format!(
                    "`--memory` needs a number to limit, and the workspace of `{STEP}` takes {workspace} bytes"
                );
                Err(Diagnostic::error(what).help("fix the extents: `--batch N` or `--input NAME=SHAPE`").into())
            }
            Err(Beyond::Least(least)) => {
                let what =
                    format!("`{STEP}` cannot do with {bytes} bytes of workspace: the least that was found is {least}");
                let help = format!("`--memory {least}`, or a smaller batch");
                Err(Diagnostic::error(what).help(help).into())
            }
        }
    }

    /// The extents of the call that is meant: the examples are counted by the first extent of what callers give.
    fn bindings(&self, graph: &Graph, residents: &[Resident]) -> Bindings {
        let given = &graph.inputs[..graph.inputs.len() - residents.len()];
        let leading = given.iter().filter_map(|port| graph.shape(port.node).first()?.as_symbol());
        leading.zip(self.batch.into_iter().cycle()).map(|(symbol, n)| (symbol.clone(), n as i64)).collect()
    }
}

#[test]
fn bytes_are_read() {
    let bytes = |text: &str| text.parse::<Bytes>().ok().map(|bytes| bytes.0);
    assert_eq!(
        [bytes("500000"), bytes("512K"), bytes("2M"), bytes("1g")],
        [500000, 512 << 10, 2 << 20, 1 << 30].map(Some)
    );
    for wrong in ["", "M", "-1", "+1", "1.5M", "2MB", "99999999999999999999", "99999999999G", "2 M"] {
        assert_eq!(bytes(wrong), None, "{wrong}");
    }
}
