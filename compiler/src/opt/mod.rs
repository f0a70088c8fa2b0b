//! Makes a graph cheaper without changing what it means: a table of passes, each from graph to graph.
//!
//! A pass rebuilds the live part of a graph, keeps every port with its name and type, and every node that it replaces is
//! replaced by one of the same type. Floats may be rounded differently where constants move into weights, and where what a
//! loop adds up is added up behind it; everything else is exact, NaN, infinities and the sign of zero included. The graph is
//! verified after every pass, in release builds too. Knows neither where a graph came from nor what it is compiled for.

mod again;
mod carried;
mod constants;
mod hoist;
mod iterations;
mod rebuilt;
mod regions;
mod rewrite;
mod rules;
mod share;
mod sums;

use crate::{
    graph::{Graph, Port},
    tensor::TensorType,
};

pub use rewrite::Rewrite;
pub use rules::{RULES, Rule};

/// One pass. It spends one unit of fuel on every change.
pub struct Pass {
    pub name: &'static str,
    pub run: fn(Graph, &mut Fuel) -> Graph,
}

/// In order. Loops are compared as they were made. Rules make new constants, and constants make rules apply.
pub const PIPELINE: &[Pass] = &[
    Pass { name: "again", run: again::run_once },
    Pass { name: "regions", run: regions::simplify },
    Pass { name: "sums", run: sums::add_behind },
    Pass { name: "carried", run: carried::drop_carried },
    Pass { name: "hoist", run: hoist::hoist },
    Pass { name: "share", run: share::share },
    Pass { name: "rules", run: rules::simplify },
    Pass { name: "constants", run: constants::fold },
    Pass { name: "rules-of-constants", run: rules::simplify },
    Pass { name: "constants-of-rules", run: constants::fold },
    Pass { name: "last-share", run: share::share },
];

/// How many changes the passes may still make; for the search for the change that breaks something.
#[derive(Clone, Debug)]
pub struct Fuel(Option<u64>);

impl Fuel {
    pub fn unlimited() -> Fuel {
        Fuel(None)
    }
    pub fn of(changes: u64) -> Fuel {
        Fuel(Some(changes))
    }
    /// Takes one unit; false when there is none.
    pub fn take(&mut self) -> bool {
        match &mut self.0 {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// How far to go.
#[derive(Clone, Debug)]
pub struct Options {
    pub fuel: Fuel,
    /// The pass after which to stop; none for all.
    pub stop_after: Option<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options { fuel: Fuel::unlimited(), stop_after: None }
    }
}

/// Runs the pipeline; `watch` sees the graph after every pass. An error is a bug of the pass it names. A constant that is
/// folded into another one is let go at once, unless the caller has it too.
pub fn optimise(graph: Graph, options: Options, watch: &mut dyn FnMut(&str, &Graph)) -> Result<Graph, String> {
    let mut fuel = options.fuel;
    let mut current = graph;
    let ports = ports(&current);
    for pass in PIPELINE {
        let next = (pass.run)(current, &mut fuel);
        let broken = |e: String| format!("pass `{}` broke the graph: {e}", pass.name);
        next.verify().map_err(broken)?;
        if self::ports(&next) != ports {
            return Err(broken("it changed a port".into()));
        }
        current = next;
        watch(pass.name, &current);
        if options.stop_after.as_deref() == Some(pass.name) {
            break;
        }
    }
    Ok(current)
}

/// The names and types of the inputs and of the outputs.
fn ports(graph: &Graph) -> [Vec<(String, TensorType)>; 2] {
    let port = |port: &Port| (port.name.clone(), graph.ty(port.node).clone());
    [&graph.inputs, &graph.outputs].map(|ports| ports.iter().map(port).collect())
}

#[cfg(test)]
mod tests;
