//! The project's chores, as `cargo xtask CHORE`.
//!
//! A chore prints the commands it runs, so that each can be repeated by hand, and fails when one of them fails.

mod bench;
mod demo;
mod new_op;
mod packages;
mod parity;
mod programs;
mod testing;
mod venv;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the smc project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Compile the trained MNIST model, link it into a C program and classify handwritten digits.
    Demo,
    /// Run all tests that need no TensorFlow.
    Test {
        /// Install what the tests need and run the comparison with TensorFlow too.
        #[arg(long)]
        all: bool,
    },
    /// Build models with TensorFlow, run them compiled, compare, and print a table.
    TestParity(parity::Options),
    /// Run the specified cases in TensorFlow and write tests/cases; without --op, also its labels for the MNIST models.
    Record {
        /// Record this operator only.
        #[arg(long, value_name = "NAME")]
        op: Option<String>,
    },
    /// Write the table of TensorFlow's operators that the loader carries (compiler/src/saved/op_defs.txt).
    OpDefs,
    /// Make the small SavedModels of tests/models again.
    Models,
    /// Measure the compiler on models people know, alone or beside other engines (--peers).
    ///
    /// Without --peers: compile time, peak memory and run time of MNIST, MobileNetV2 and ResNet50, by the workspace's
    /// benches.
    ///
    /// With --peers: LiteRT, onnxruntime, OpenVINO, TensorFlow, IREE and PyTorch beside smc, interleaved in one run, on
    /// whole networks, single operations and steps of training. The engines are installed into .venv/peers and the models
    /// built into target/peers, both once. A whole run takes an hour on a quiet machine and writes docs/benchmarks.md,
    /// docs/benchmarks.svg and docs/benchmarks-training.md; one with --only train takes ten minutes and writes the last
    /// one. What is narrowed otherwise, by --quick, --only, --engines or --cpu, is written to target/peers.
    Bench(bench::Options),
    /// Rewrite the snapshots that tests compare with.
    Bless {
        /// Only tests whose name contains this.
        filter: Option<String>,
    },
    /// Run the random tests with fresh seeds until the time is over.
    Fuzz {
        /// How long, in seconds.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Send every float through every elementary function in machine code, at each CPU level of this machine.
    ///
    /// The reference is double precision, whose own error of an ulp or so does not show in figures of f32. All processors
    /// share the floats; a function takes one to five minutes at a level.
    Elementary {
        /// Every n-th float only.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        stride: u32,
        /// These functions only, by the names of the loop IR, such as exp,tanh.
        #[arg(long, value_name = "LIST")]
        functions: Option<String>,
        /// These CPU levels only, such as x86-64-v4.
        #[arg(long, value_name = "LIST")]
        cpu: Option<String>,
    },
    /// Say what an operator is, and start its recorded cases.
    NewOp {
        /// The operator's name, as TensorFlow registers it.
        name: String,
    },
    /// Check formatting and lints, then run every test: what the build server does.
    Ci,
    /// Install what the chores need: TensorFlow in a virtual environment; with --install, Debian packages too.
    Setup {
        /// Install missing Debian packages (default where CI=true).
        #[arg(long)]
        install: bool,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Demo => demo::run(),
        Chore::Test { all: false } => testing::run().and_then(testing::Counts::verdict),
        Chore::Test { all: true } => testing::run_all(),
        Chore::TestParity(options) => parity::run(&options, None).and_then(testing::Counts::verdict),
        Chore::Record { op } => parity::record(op.as_deref()),
        Chore::OpDefs => parity::op_defs(),
        Chore::Models => parity::models(),
        Chore::Bench(options) => bench::run(&options),
        Chore::Bless { filter } => testing::bless(filter.as_deref()),
        Chore::Fuzz { seconds } => testing::fuzz(seconds),
        Chore::Elementary { stride, functions, cpu } => testing::elementary(stride, functions, cpu),
        Chore::NewOp { name } => new_op::run(&name),
        Chore::Ci => testing::ci(),
        Chore::Setup { install } => packages::check(install).and_then(|_| venv::python().map(drop)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
