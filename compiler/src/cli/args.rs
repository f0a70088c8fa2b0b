//! The arguments of every command; their help is the manual.

use std::{path::PathBuf, sync::Arc};

use clap::{Args, Parser, Subcommand, ValueEnum};
use smc::{
    base::Problems,
    driver::{
        self, BatchNorm, Bytes, Dump, Graft, InputShape, L2, Loss, Memory, Optimizer, Options, SizeBound, Training,
    },
    saved::{
        self,
        revise::{Dense, Head},
    },
};

/// Compile TensorFlow SavedModels into native object files
///
/// Exit status: 0 on success, 1 when the model, an input file or a comparison is at fault, 2 when the command line is.
#[derive(Parser, Debug)]
#[command(name = "smc", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Print errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Compile a model into an object file or archive, and its C header
    Compile(Compile),
    /// Describe a model: signatures, variables, operators and what is unsupported
    Inspect(Inspect),
    /// Run a signature on inputs from numpy files
    Run(Run),
    /// Show, compare or export the variables in a file of state
    State(State),
    /// Train a model with examples from numpy files, and write what it learns as a new SavedModel
    Train(Train),
    /// Compare the compiled code with recorded cases, or with the reference evaluator on random inputs
    Check(Check),
    /// Measure the latency of the compiled code
    Bench(Bench),
    /// Measure what this machine can do: multiply-adds and reads from each cache, on one thread
    Machine(Machine),
    /// List the supported operators
    Ops(Ops),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// List the target triples and their CPU levels
    Targets(Targets),
    /// Print the manual pages of all commands, or of one
    Man {
        /// The command
        command: Option<String>,
    },
}

/// Which graph of which model.
#[derive(Args, Debug, Clone)]
pub struct Model {
    /// The SavedModel directory, or a directory of numbered versions of it
    #[arg(value_name = "MODEL")]
    pub path: PathBuf,
    /// The version to take from a directory of versions [default: the newest]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    pub version: Option<u64>,
    /// A tag of the graph to take; repeat it for each of its tags [default: serve, or the only graph]
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// A file that declares custom operators, whose functions are linked with the object; repeat it for more
    #[arg(long = "custom", value_name = "FILE")]
    pub custom: Vec<PathBuf>,
}

/// Where code that runs here finds custom operators.
#[derive(Args, Debug, Clone, Default)]
pub struct Plugins {
    /// A shared library that has the functions of custom operators; repeat it for more
    #[arg(long = "plugin", value_name = "FILE", requires = "custom")]
    pub plugins: Vec<PathBuf>,
}

impl Model {
    /// What the model's folder is called, above its version number.
    pub fn name(&self) -> String {
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let mut names = path.ancestors().filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
        names.find(|name| !name.chars().all(|c| c.is_ascii_digit())).unwrap_or_else(|| "model".into())
    }
}

/// Which outputs are wanted.
#[derive(Args, Debug, Clone, Default)]
pub struct Kept {
    /// An output to compute; repeat it for more, and what they do not need is left out [default: all]
    #[arg(long = "output", value_name = "NAME")]
    pub kept: Vec<String>,
}

/// What every command that compiles lets the user choose.
#[derive(Args, Debug, Clone, Default)]
pub struct Choices {
    #[command(flatten)]
    pub outputs: Kept,
    /// Fix the unknown leading extent of every input
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = batch)]
    pub batch: Option<u32>,
    #[command(flatten)]
    pub code: Code,
}

/// What the user lets code take for granted.
#[derive(Args, Debug, Clone, Default)]
pub struct Code {
    /// The most that a size can be that data decide, such as n=100: memory is there for so much
    #[arg(long = "bound", value_name = "NAME=MAX")]
    pub bounds: Vec<SizeBound>,
    /// The most bytes of strings that a call makes, such as 64K or 2M: the workspace has room for them, and a call that makes
    /// more ends with a status [default: 1M]
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = strings)]
    pub strings: Option<Bytes>,
    /// Convolve by the definition: without it, large 3x3 convolutions use Winograd's method, which is faster, and makes
    /// NaN of infinite results
    #[arg(long)]
    pub direct: bool,
}

impl Choices {
    /// The options of a compilation in which the user chooses nothing else. Its symbols begin with `model`.
    pub fn options(&self) -> Options {
        Options { batch: self.batch.map(u64::from), ..self.code.options(&self.outputs) }
    }
}

impl Code {
    /// As [`Choices::options`], where the batch is not the user's to choose.
    pub fn options(&self, outputs: &Kept) -> Options {
        Options {
            name: "model".into(),
            outputs: outputs.kept.clone(),
            bounds: self.bounds.clone(),
            strings: self.strings,
            direct: self.direct,
            ..Options::default()
        }
    }
}

/// What the code is made for.
#[derive(Args, Debug, Clone, Default)]
pub struct Target {
    /// The target triple, such as aarch64-unknown-linux-gnu [default: this machine]
    #[arg(long, value_name = "TRIPLE")]
    pub target: Option<String>,
    /// The CPU levels to carry code for, such as x86-64,x86-64-v3; a call runs the best that the processor has. `native`
    /// is this machine's best [default: x86-64,x86-64-v3,x86-64-v4, or another target's baseline]
    #[arg(long, value_name = "LIST")]
    pub cpu: Option<String>,
}

#[derive(Args, Debug)]
#[command(mut_group("Learning", |group| group.requires("train")))]
pub struct Compile {
    #[command(flatten)]
    pub model: Model,
    /// The file to write: an object, an archive when it ends in .a, a shared library when it ends in .so; `-` is the standard output [default: lib<NAME>.o]
    #[arg(short, long = "out", value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The prefix of all symbols [default: from the output's or the model's name]
    #[arg(long)]
    pub name: Option<String>,
    /// A signature to serve; repeat it for more [default: all that can be served]
    #[arg(long = "signature", value_name = "KEY")]
    pub signatures: Vec<String>,
    #[command(flatten)]
    pub choices: Choices,
    /// Fix an input's shape, such as x=1,28,28; `?` leaves an extent free
    #[arg(long = "input", value_name = "NAME=SHAPE")]
    pub inputs: Vec<InputShape>,
    #[command(flatten)]
    pub target: Target,
    /// The header to write [default: the output with .h; none beside a stream or a device]
    #[arg(long, value_name = "FILE")]
    pub header: Option<PathBuf>,
    /// Keep the weights in this file, which the caller maps and binds, so that processes share it and a model that was
    /// trained again needs no link; the header says how
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Print stages instead of writing files: graph, opt, plan, loops, entry, clif, asm, dot
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub emit: Vec<Dump>,
    /// Add the entries train_step and evaluate for the first signature that is named, or serving_default; the variables that
    /// learn become state in all entries
    #[arg(long, requires = "loss", help_heading = "Training")]
    pub train: bool,
    #[command(flatten)]
    pub learning: Learning,
    #[command(flatten)]
    pub edit: Seeded,
    /// Print the closing report as JSON
    #[arg(long)]
    pub json: bool,
}

/// How the model itself changes before anything else is done with it.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Training")]
pub struct Edit {
    /// End the trained signature at the output of this layer, or of the node or tensor with this name. What comes behind it goes,
    /// and so do the other signatures
    #[arg(long, value_name = "LAYER")]
    pub from: Option<String>,
    /// Add a dense layer behind the output, or behind what --from and --head leave of the model; repeat it for more, in
    /// their order. The variables of the first are appended_1/kernel and appended_1/bias. Other signatures go
    #[arg(long, value_name = "dense:UNITS[:ACTIVATION]")]
    pub append: Vec<Dense>,
    /// Put a new last layer of N units in place of the dense layer that the trained signature ends in, with new weights; the
    /// activation, such as softmax, stays unless another one is named. The layers of --append come before it. With --from
    /// it is put behind that layer, and has no activation unless one is named. Its variables are head/kernel and head/bias
    /// then
    #[arg(long, value_name = "N[:ACTIVATION]")]
    pub head: Option<Head>,
}

impl Edit {
    pub fn is_some(&self) -> bool {
        self.from.is_some() || !self.append.is_empty() || self.head.is_some()
    }

    /// The model as it is to be; the seed is that of new weights.
    pub fn applied(&self, model: saved::Model, options: &Options, seed: u64) -> Result<saved::Model, Problems> {
        let Edit { from, append, head } = self.clone();
        let revised = match head {
            Some(head) if from.is_none() && append.is_empty() => driver::with_head(&model, options, &head, seed)?,
            head if self.is_some() => driver::grafted(&model, options, &Graft { from, append, head }, seed)?,
            _ => return Ok(model),
        };
        saved::Model::load(
            Arc::new(revised),
            &saved::Options { tags: model.tags(), version: None, operators: model.operators().clone() },
        )
    }
}

/// The same, where nothing else has a seed.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Training")]
pub struct Seeded {
    #[command(flatten)]
    pub edit: Edit,
    /// The seed of the weights of new layers [default: 0]
    #[arg(long, value_name = "N", requires = "Edit", allow_negative_numbers = true, value_parser = whole)]
    pub seed: Option<u64>,
}

impl Seeded {
    pub fn applied(&self, model: saved::Model, options: &Options) -> Result<saved::Model, Problems> {
        self.edit.applied(model, options, self.seed.unwrap_or(0))
    }
}

/// What a model learns, where it was saved for inference only.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Training")]
pub struct Learning {
    /// What the output is compared with the targets by: sparse_categorical_crossentropy, categorical_crossentropy,
    /// binary_crossentropy, mse, mae, huber or cosine_similarity; `:logits` behind a name says that the output are logits
    #[arg(long, value_name = "LOSS")]
    pub loss: Option<Loss>,
    /// How variables change: sgd, momentum, nesterov, adam, adamw, rmsprop, adagrad, adadelta, adamax, nadam, ftrl, lion,
    /// lamb or adafactor, with settings such as adam:lr=0.01,beta_1=0.8; others are Keras's defaults [default: adam]
    #[arg(long, value_name = "RULE")]
    pub optimizer: Option<Optimizer>,
    /// Keep the variables of this layer or name, in which * stands for anything, as they are; repeat it for more
    #[arg(long, value_name = "PATTERN")]
    pub freeze: Vec<String>,
    /// Train the variables of this layer or name alone, also where the author froze the layer; repeat it for more
    #[arg(long, value_name = "PATTERN")]
    pub only: Vec<String>,
    /// Add to the loss this factor times the sum of the squares of all kernels that learn, such as 0.001, or of the variables
    /// of a layer or name, such as 0.001:dense
    #[arg(long, value_name = "FACTOR[:PATTERN]", allow_negative_numbers = true)]
    pub l2: Option<L2>,
    /// What batch norms do: frozen keeps their statistics, train normalises by those of each batch and moves the stored ones,
    /// of which a part of 0.99 stays at each step, or another one, as in train:momentum=0.9 [default: frozen]
    #[arg(long, value_name = "HOW")]
    pub batch_norm: Option<BatchNorm>,
    /// Take a weight for each example, as the input sample_weight
    #[arg(long)]
    pub sample_weights: bool,
    /// Let the workspace of a step take at most so many bytes, such as 512K, 2M or 1G: values that the gradients are made of
    /// are computed again instead of being kept, as far as that is needed. The batch has to be known, by --batch
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    pub memory: Option<Bytes>,
}

impl Learning {
    pub fn training(&self) -> Option<Training> {
        let adam = || "adam".parse().expect("the default is known");
        self.loss.map(|loss| Training {
            only: self.only.clone(),
            freeze: self.freeze.clone(),
            weights: self.sample_weights,
            l2: self.l2.clone(),
            batch_norm: self.batch_norm.unwrap_or_default(),
            memory: self.memory.map(|bytes| Memory { bytes, batch: None }),
            ..Training::new(loss, self.optimizer.clone().unwrap_or_else(adam))
        })
    }
}

#[derive(Args, Debug)]
pub struct Inspect {
    #[command(flatten)]
    pub model: Model,
    #[command(flatten)]
    pub outputs: Kept,
    /// Draw the layers of a signature that compiles, as SVG
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub svg: Option<PathBuf>,
    /// The signature to draw [default: serving_default, or the first that compiles]
    #[arg(long, value_name = "KEY", requires = "svg")]
    pub signature: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    pub model: Model,
    #[command(flatten)]
    pub plugins: Plugins,
    /// The signature to run [default: serving_default, or the only one]
    #[arg(long, value_name = "KEY")]
    pub signature: Option<String>,
    /// A numpy archive whose arrays are the inputs, by key
    #[arg(long, value_name = "FILE.npz")]
    pub inputs: Option<PathBuf>,
    /// One input from a numpy file; repeat it for more
    #[arg(long = "input", value_name = "KEY=FILE.npy")]
    pub input: Vec<String>,
    /// One input in words, such as 'x=[[1, 2, 3]]'; repeat it for more
    #[arg(long = "value", value_name = "KEY=VALUE")]
    pub values: Vec<String>,
    /// Draw the inputs that are not given at random, from this seed [default: 1]
    #[arg(
        long,
        value_name = "SEED",
        num_args = 0..=1,
        default_missing_value = "1",
        allow_negative_numbers = true,
        value_parser = seed
    )]
    pub random: Option<u64>,
    /// Fix an input's shape, such as x=1,28,28; `?` leaves an extent free
    #[arg(long = "shape", value_name = "KEY=SHAPE")]
    pub shapes: Vec<InputShape>,
    /// Print the outputs as JSON, all elements of them
    #[arg(long, conflicts_with = "results")]
    pub json: bool,
    /// The numpy archive to write the outputs to; `-` is the standard output [default: print them]
    #[arg(long = "outputs", value_name = "FILE.npz")]
    pub results: Option<PathBuf>,
    /// Run the reference evaluator instead of machine code
    #[arg(long)]
    pub reference: bool,
    /// Begin with the variables in this file, or with the stored ones where it does not exist, and keep there what they
    /// are after the call
    #[arg(long, value_name = "FILE", conflicts_with = "reference")]
    pub state: Option<PathBuf>,
    /// The seed of random numbers that the model gives none for [default: 0, or where the file of --state left off]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    pub seed: Option<u64>,
    /// How many threads to use
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = threads)]
    pub threads: usize,
    #[command(flatten)]
    pub choices: Choices,
    /// The CPU level to compile for [default: SMC_CPU of the environment, or this machine's best]
    #[arg(long, value_name = "CPU")]
    pub cpu: Option<String>,
}

#[derive(Args, Debug)]
#[command(mut_arg("loss", |arg| arg.required(true)))]
pub struct Train {
    #[command(flatten)]
    pub model: Model,
    #[command(flatten)]
    pub plugins: Plugins,
    /// The folder to write the trained model to, such as MODELS/2; it does not exist yet, or is empty. What is learned takes
    /// the place of the stored variables, and all else is the model's
    #[arg(short, long = "out", value_name = "OUT", required_unless_present = "state")]
    pub output: Option<PathBuf>,
    /// The signature to train [default: serving_default, or the only one]
    #[arg(long, value_name = "KEY")]
    pub signature: Option<String>,
    #[command(flatten)]
    pub outputs: Kept,
    /// Fix an input's shape, such as x=?,28,28; `?` leaves an extent free
    #[arg(long = "input", value_name = "NAME=SHAPE")]
    pub inputs: Vec<InputShape>,
    /// A numpy archive whose arrays are the inputs by key (`x` where there is one input), `target` or `y`, and with
    /// --sample-weights `sample_weight`; each has a row for each example
    #[arg(long, value_name = "FILE.npz")]
    pub data: PathBuf,
    /// Such an archive to validate with behind each epoch; examples without `sample_weight` weigh 1
    #[arg(long, value_name = "FILE.npz", conflicts_with = "split")]
    pub validation: Option<PathBuf>,
    /// Hold back this part of the examples, the last ones, to validate with, such as 0.2
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = part)]
    pub split: Option<f64>,
    #[command(flatten)]
    pub learning: Learning,
    #[command(flatten)]
    pub edit: Edit,
    /// How often to learn all examples, those epochs included that the file of --state has behind it
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = some)]
    pub epochs: usize,
    /// How many examples a step takes; the last step of an epoch takes what is left [default: 32, or what the model fixes]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = some)]
    pub batch: Option<usize>,
    /// The seed of the order in which an epoch takes the examples (Fisher and Yates with SplitMix64), of the weights of new
    /// layers, and of random numbers that the model gives none for
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = whole)]
    pub seed: u64,
    /// Take the examples in their order
    #[arg(long)]
    pub no_shuffle: bool,
    /// End after N epochs without a smaller loss, of the validation where there is one, and use what the best epoch left, as
    /// Keras does with restore_best_weights
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = some)]
    pub patience: Option<usize>,
    /// Draw the loss of each epoch, as SVG
    #[arg(long, value_name = "FILE")]
    pub curve: Option<PathBuf>,
    /// Go on from this file where it exists, and keep there behind each epoch and on Ctrl-C what is needed to go on: the
    /// variables and what the optimizer keeps; FILE.json beside it says how far training has come
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// How many threads to use; the result does not depend on it
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = threads)]
    pub threads: usize,
    #[command(flatten)]
    pub code: Code,
    /// The CPU level to compile for [default: SMC_CPU of the environment, or this machine's best]
    #[arg(long, value_name = "CPU")]
    pub cpu: Option<String>,
    /// Print a JSON object for each epoch
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct State {
    #[command(subcommand)]
    pub what: OfState,
}

#[derive(Subcommand, Debug)]
pub enum OfState {
    /// Print the variables
    Show {
        /// The file that `run --state` or NAME_state_save wrote
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print JSON, all elements
        #[arg(long)]
        json: bool,
    },
    /// Print the variables in which two files differ; the exit status is 1 where some do
    Diff {
        #[arg(value_name = "FILE")]
        first: PathBuf,
        #[arg(value_name = "OTHER")]
        second: PathBuf,
    },
    /// Write the variables to a numpy archive, or with --state the model with these variables, as a SavedModel
    #[command(override_usage = "smc state export FILE -o FILE.npz\n       smc state export --state FILE MODEL OUT")]
    Export(Box<Export>),
}

#[derive(Args, Debug)]
pub struct Export {
    /// The file of state; with --state the SavedModel directory, or a directory of numbered versions of it
    #[arg(value_name = "FILE|MODEL")]
    pub of: PathBuf,
    /// The SavedModel directory to write, which must not exist yet, or be empty: MODEL with the variables of the state
    #[arg(value_name = "OUT", requires = "state")]
    pub folder: Option<PathBuf>,
    /// The state whose variables the written model is to have; those that it lacks keep what MODEL stores
    #[arg(long, value_name = "FILE", requires = "folder")]
    pub state: Option<PathBuf>,
    /// The version to take from a directory of versions [default: the newest]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole, requires = "state")]
    pub version: Option<u64>,
    /// A tag of the graph whose variables they are; repeat it for each of its tags [default: serve, or the only graph]
    #[arg(long = "tag", value_name = "TAG", requires = "state")]
    pub tags: Vec<String>,
    #[command(flatten)]
    pub edit: Seeded,
    /// The signature that --from, --append and --head are about [default: serving_default, or the first]
    #[arg(long, value_name = "KEY", requires = "Edit")]
    pub signature: Option<String>,
    /// The archive; `-` is the standard output
    #[arg(
        short,
        long = "out",
        value_name = "FILE.npz",
        required_unless_present = "state",
        conflicts_with_all = ["state", "Edit"]
    )]
    pub output: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Check {
    #[command(flatten)]
    pub model: Model,
    #[command(flatten)]
    pub plugins: Plugins,
    /// The signature to check; repeat it for more [default: all that can be served]
    #[arg(long = "signature", value_name = "KEY")]
    pub signatures: Vec<String>,
    /// A recorded case: a numpy archive with arrays in:<input> and out:<output>; repeat it for more
    #[arg(long = "case", value_name = "FILE.npz")]
    pub cases: Vec<PathBuf>,
    /// How many random cases to compare with the reference evaluator when no case is given
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        allow_negative_numbers = true,
        value_parser = cases,
        conflicts_with = "cases"
    )]
    pub random: u64,
    /// The seed of the random cases, and of random numbers that the model gives none for
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        allow_negative_numbers = true,
        value_parser = whole,
        conflicts_with = "cases"
    )]
    pub seed: u64,
    /// The largest difference allowed beside what rounding in the model's types explains, relative to an output's largest magnitude
    #[arg(long, value_name = "X", default_value_t = 1e-5, allow_negative_numbers = true, value_parser = tolerance)]
    pub tolerance: f64,
    /// Stop comparing after this time, in seconds; what was compared until then counts, and a warning says what was not
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = seconds)]
    pub limit: Option<f64>,
    #[command(flatten)]
    pub choices: Choices,
    /// Fix an input's shape, such as x=1,28,28; `?` leaves an extent free
    #[arg(long = "input", value_name = "NAME=SHAPE")]
    pub inputs: Vec<InputShape>,
    /// The CPU level to compile for [default: SMC_CPU of the environment, or this machine's best]
    #[arg(long, value_name = "CPU")]
    pub cpu: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(mut_group("Learning", |group| group.requires("train")))]
pub struct Bench {
    #[command(flatten)]
    pub model: Model,
    #[command(flatten)]
    pub plugins: Plugins,
    /// The signature to measure [default: serving_default, or the only one]
    #[arg(long, value_name = "KEY")]
    pub signature: Option<String>,
    #[command(flatten)]
    pub choices: Choices,
    /// Fix an input's shape, such as x=1,28,28
    #[arg(long = "input", value_name = "NAME=SHAPE")]
    pub inputs: Vec<InputShape>,
    /// How many threads to use
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = threads)]
    pub threads: usize,
    /// How long to measure, in seconds
    #[arg(long, value_name = "S", default_value_t = 2.0, allow_negative_numbers = true, value_parser = seconds)]
    pub seconds: f64,
    /// The CPU level to compile for [default: SMC_CPU of the environment, or this machine's best]
    #[arg(long, value_name = "CPU")]
    pub cpu: Option<String>,
    /// Measure a step that trains the signature; its learning rate is 0, so that all steps do the same
    #[arg(long, requires = "loss", help_heading = "Training")]
    pub train: bool,
    #[command(flatten)]
    pub learning: Learning,
    /// Measure every kernel too: its time, its share, and how near it comes to what this machine can do
    #[arg(long)]
    pub profile: bool,
    /// Print an object with min_us, median_us and p99_us; with --profile, an array of kernels in it too
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Machine {
    /// How long to measure, in seconds
    #[arg(long, value_name = "S", default_value_t = 1.0, allow_negative_numbers = true, value_parser = seconds)]
    pub seconds: f64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Targets {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Ops {
    /// Print JSON
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print a Markdown table
    #[arg(long)]
    pub markdown: bool,
}

/// A time that can be waited for: a nanosecond at least, at most a day.
fn seconds(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| NO_NUMBER)?;
    if (1e-9..=86400.0).contains(&number) {
        Ok(number)
    } else {
        Err("a time is a positive number of seconds, from 1e-9 to 86400".into())
    }
}

fn tolerance(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| NO_NUMBER)?;
    if number >= 0.0 && number.is_finite() {
        Ok(number)
    } else {
        Err("a tolerance is a finite number, at least 0".into())
    }
}

const NO_NUMBER: &str = "it is not a number";

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=4096) => Ok(n),
        _ => Err("a number of threads is between 1 and 4096".into()),
    }
}

fn whole(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("it is not a whole number from 0 to {}", u64::MAX))
}

fn cases(text: &str) -> Result<u64, String> {
    whole(text)
        .ok()
        .filter(|&count| count > 0)
        .ok_or_else(|| format!("it is not a whole number from 1 to {}", u64::MAX))
}

/// A number that is at least 1.
fn some(text: &str) -> Result<usize, String> {
    let number = whole(text).ok().and_then(|n| usize::try_from(n).ok());
    number.filter(|&n| n > 0).ok_or_else(|| format!("it is not a whole number from 1 to {}", usize::MAX))
}

fn part(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| NO_NUMBER)?;
    if number > 0.0 && number < 1.0 { Ok(number) } else { Err("a part is a number between 0 and 1".into()) }
}

fn strings(text: &str) -> Result<Bytes, String> {
    let most = 1 << 40;
    let bytes: Bytes = text.parse()?;
    if bytes.0 <= most { Ok(bytes) } else { Err(format!("{bytes} are more than a call can make: at most {most}")) }
}

fn batch(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("a batch is a whole number from 0 to {}", u32::MAX))
}

/// The word behind `--random` is its seed, also where it was meant to be the model.
fn seed(text: &str) -> Result<u64, String> {
    whole(text).map_err(|what| format!("{what}; a model stands before --random, or behind --random=SEED"))
}
