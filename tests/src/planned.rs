//! A graph planned as the one entry of a model, and called by the interpreters of loops and of entry programs.

use smc::{
    base::Bindings,
    entry::{self, Entry, Model, Reach, Setting, What, interp},
    graph::Graph,
    loops::interp::Stop,
    native::Target,
    plan::{self, Bodies, Guard, Weights},
    tensor::Tensor,
};

/// A model of one entry, planned for all levels of this machine.
pub struct Planned {
    pub bodies: Bodies,
    pub weights: Weights,
    pub target: Target,
}

impl Planned {
    pub fn new(graph: &Graph, equal: Option<(&Graph, Vec<Guard>)>) -> Planned {
        let target = Target::new(None, None).unwrap();
        let mut weights = Weights::default();
        let mut plan = |graph: &Graph| -> Vec<plan::Program> {
            let graph = plan::prepare(graph.clone(), &Default::default());
            target.levels.iter().map(|level| plan::plan("main", &graph, &level.info, &mut weights)).collect()
        };
        let open = plan(graph);
        let equal = equal.map(|(graph, when)| {
            let mut programs = plan(graph);
            for program in &mut programs {
                program.symbols = open[0].symbols.clone();
                program.found = open[0].found.clone();
            }
            (when, programs)
        });
        Planned { bodies: Bodies { open, equal }, weights, target }
    }
    pub fn entries(&self) -> [Entry<'_>; 1] {
        [Entry { c_name: "main", aliases: &[], bodies: &self.bodies }]
    }
    pub fn model(&self) -> Model {
        let levels = self.target.entry_levels();
        let (weight_offsets, weight_bytes) = self.weights.layout();
        let reach = Reach::Near;
        let setting =
            Setting { name: "m", levels: &levels, reach, weight_offsets: &weight_offsets, weight_bytes, state: None };
        let model = entry::compose(setting, &self.entries());
        entry::verify(&model).unwrap_or_else(|violation| panic!("{violation}\n{model}"));
        for member in &model.members {
            if let What::Routine(routine) = &member.what {
                assert_eq!(entry::parse(&routine.to_string()).as_ref(), Ok(routine), "{}", member.name);
            }
        }
        model
    }
    /// Calls at each level, with no threads, one and several.
    pub fn ways(&self) -> Vec<interp::Options> {
        let levels = self.target.levels.iter().map(|level| level.number);
        levels.flat_map(|level| [None, Some(1), Some(3)].map(|threads| interp::Options { level, threads })).collect()
    }
    /// What a call answers.
    pub fn call(&self, options: interp::Options, inputs: &[Tensor], bind: &Bindings) -> Result<Vec<Tensor>, i64> {
        let model = self.model();
        let answer = interp::call(&model, &self.entries(), &self.weights, 0, inputs, bind, options);
        answer.unwrap_or_else(|stop| panic!("{options:?}: {stop:?}\n{model}"))
    }
    /// What the loops of a level say, by their interpreter.
    pub fn interpret(&self, level: usize, inputs: &[Tensor], bind: &Bindings) -> Result<Vec<Tensor>, String> {
        match plan::interpret(&self.bodies.open[level], &self.weights, inputs, bind) {
            Ok(results) => Ok(results),
            Err(Stop::Fault(fault)) => Err(format!("{fault:?}")),
            Err(stop) => panic!("{stop:?}"),
        }
    }
}
