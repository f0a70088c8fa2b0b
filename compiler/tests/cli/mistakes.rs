//! Mistakes in every command and every option get an answer that says what is wrong and what to do, never a panic.
//!
//! What is the same for all options follows from the commands that clap knows. Wrong values are in a table, which is
//! checked against the same commands: an option without a wrong value in the table is named.

use clap::{ArgAction, CommandFactory};

use crate::support::{mnist, npy, npz, smc};

#[allow(dead_code)]
#[path = "../../src/cli/args.rs"]
mod args;

/// What is typed, the exit status, and what the message says. `MODEL` is a model, `''` an empty word. The folder holds what
/// [`folder`] writes.
const MISTAKES: &[(&str, i32, &str)] = &[
    ("", 2, "Usage: smc [OPTIONS] <COMMAND>"),
    ("frobnicate", 2, "unrecognized subcommand"),
    // Models.
    ("compile /no/such/folder", 1, "cannot open the model"),
    ("run text", 1, "a SavedModel is a folder, and this is a file"),
    ("check net.keras", 1, "`model.export(DIR)`"),
    ("bench .", 1, "there is no SavedModel in this folder"),
    ("inspect net.h5", 1, "a Keras model in HDF5"),
    ("compile net.tflite", 1, "the SavedModel that it was converted from"),
    ("run ''", 2, "a value is required for '<MODEL>'"),
    ("compile MODEL --version 7", 1, "available versions: 1"),
    ("run MODEL --version=-1", 2, "a whole number from 0"),
    ("check MODEL --version x", 2, "a whole number from 0"),
    ("bench MODEL --version 1.5", 2, "a whole number from 0"),
    ("inspect MODEL --version 99999999999999999999", 2, "a whole number from 0"),
    ("compile MODEL --tag train", 1, "{serve}"),
    ("run MODEL --tag train", 1, "{serve}"),
    ("check MODEL --tag serve --tag gpu", 1, "{serve}"),
    ("bench MODEL --tag ''", 1, "{serve}"),
    ("inspect MODEL --tag Serve", 1, "{serve}"),
    // Signatures and outputs.
    ("compile MODEL --signature nope", 1, "the signatures are `serving_default`"),
    ("run MODEL --signature serving", 1, "did you mean `serving_default`?"),
    ("check MODEL --signature servng_default", 1, "did you mean `serving_default`?"),
    ("bench MODEL --signature serving", 1, "did you mean `serving_default`?"),
    ("inspect MODEL --signature serving_default", 2, "--svg"),
    ("inspect MODEL --svg x.svg --signature serving", 1, "did you mean `serving_default`?"),
    ("compile MODEL --output libm.o", 1, "-o libm.o"),
    ("run MODEL --output output", 1, "did you mean `output_0`?"),
    ("check MODEL --output ''", 1, "the outputs are `output_0`"),
    ("bench MODEL --output output_1", 1, "did you mean `output_0`?"),
    ("inspect MODEL --output y", 1, "the outputs are `output_0`"),
    // Extents.
    ("compile MODEL --batch 4294967296", 2, "a batch is a whole number"),
    ("run MODEL --batch -1", 2, "a batch is a whole number"),
    ("check MODEL --batch many", 2, "a batch is a whole number"),
    ("bench MODEL --batch ?", 2, "a batch is a whole number"),
    ("run MODEL --batch 2000000000 --random", 1, "of memory"),
    ("check MODEL --batch 2000000000", 1, "of memory"),
    ("bench MODEL --batch 2000000000", 1, "of memory"),
    // Training.
    ("compile MODEL --train", 2, "--loss <LOSS>"),
    ("compile MODEL --loss mse", 2, "--train"),
    ("compile MODEL --train --loss entropy", 2, "the losses are"),
    ("compile MODEL --train --loss mse:logits", 2, "leave `:logits` out"),
    ("compile MODEL --train --loss mse --optimizer adm", 2, "did you mean `adam`?"),
    ("compile MODEL --train --loss mse --optimizer adam:rho=1", 2, "the settings are"),
    ("compile MODEL --train --loss mse --optimizer sgd:lr=-1", 2, "lr is at least 0"),
    ("compile MODEL --train --loss mse --freeze dnse", 1, "no variable that learns matches `dnse`"),
    ("compile MODEL --train --loss mse --freeze *", 1, "nothing learns"),
    ("compile MODEL --train --loss mse --only nope", 1, "no variable that learns matches `nope`"),
    ("compile MODEL --sample-weights", 2, "--train"),
    ("compile MODEL --l2 0.1", 2, "--train"),
    ("compile MODEL --train --loss mse --l2 -1", 2, "`-1` is no factor"),
    ("compile MODEL --train --loss mse --l2 0.1:", 2, "behind the colon"),
    ("compile MODEL --train --loss mse --l2 0.1:dnse", 1, "no variable that learns matches `dnse` of `--l2`"),
    ("compile MODEL --batch-norm train", 2, "--train"),
    ("compile MODEL --train --loss mse --batch-norm learn", 2, "neither frozen nor train"),
    ("compile MODEL --train --loss mse --batch-norm train", 1, "no batch norm"),
    ("bench MODEL --train --loss mse --batch-norm train:momentum=2", 2, "no momentum from 0 to 1"),
    ("train MODEL --data digits.npz --loss mse --batch-norm train -o out", 1, "no batch norm"),
    ("compile MODEL --memory 2M", 2, "--train"),
    ("compile MODEL --train --loss mse --batch 2 --memory 2MB", 2, "`2MB` is no number of bytes"),
    ("compile MODEL --train --loss mse --memory 2", 1, "fix the extents: `--batch N`"),
    ("bench MODEL --train --loss mse --memory -1", 2, "`-1` is no number of bytes"),
    ("train MODEL --data digits.npz --loss mse --memory much -o out", 2, "`much` is no number of bytes"),
    ("train MODEL --data digits.npz --loss mse --memory 2 -o out", 1, "cannot do with 2 bytes of workspace"),
    ("bench MODEL --train --loss mse --l2 much", 2, "`much` is no factor"),
    ("train MODEL --data digits.npz --loss mse --l2 inf -o out", 2, "`inf` is no factor"),
    ("bench MODEL --train", 2, "--loss <LOSS>"),
    ("bench MODEL --loss mse", 2, "--train"),
    ("bench MODEL --train --loss entropy", 2, "the losses are"),
    ("bench MODEL --train --loss mse --optimizer adm", 2, "did you mean `adam`?"),
    ("bench MODEL --train --loss mse --freeze dnse", 1, "no variable that learns matches `dnse`"),
    ("bench MODEL --train --loss mse --only nope", 1, "no variable that learns matches `nope`"),
    ("train /no/such/folder --data digits.npz --loss mse -o out", 1, "cannot open the model"),
    ("train MODEL --data digits.npz -o out", 2, "--loss <LOSS>"),
    ("train MODEL --data digits.npz --loss mse", 2, "--out <OUT>"),
    ("train MODEL --loss mse -o out", 2, "--data <FILE.npz>"),
    ("train MODEL --data digits.npz --loss entropy -o out", 2, "the losses are"),
    ("train MODEL --data digits.npz --loss mse --optimizer adm -o out", 2, "did you mean `adam`?"),
    ("train MODEL --data digits.npz --loss mse --freeze dnse -o out", 1, "no variable that learns matches `dnse`"),
    ("train MODEL --data digits.npz --loss mse --only nope -o out", 1, "no variable that learns matches `nope`"),
    ("train MODEL --data none.npz --loss mse -o out", 1, "none.npz"),
    ("train MODEL --data x.npy --loss mse -o out", 1, "it is a single array"),
    ("train MODEL --data digits.npz --validation text --loss mse -o out", 1, "numpy.savez"),
    ("train MODEL --data digits.npz --validation digits.npz --split 0.5 --loss mse -o out", 2, "cannot be used with"),
    ("train MODEL --data digits.npz --split 1 --loss mse -o out", 2, "between 0 and 1"),
    ("train MODEL --data digits.npz --split 0.99 --loss mse -o out", 1, "nothing to train or to validate with"),
    ("train MODEL --data digits.npz --loss mse -o text", 1, "cannot write the model"),
    ("train MODEL --data digits.npz --loss mse -o .", 1, "the folder exists and is not empty"),
    ("train MODEL --data digits.npz --loss mse --out text/2", 1, "cannot write the model"),
    ("train MODEL --data digits.npz --loss mse -o out --curve missing/x.svg", 1, "there is no folder missing"),
    ("train MODEL --data digits.npz --loss mse --state missing/s", 1, "there is no folder missing"),
    ("train MODEL --data digits.npz --loss mse --state -", 1, "kept in regular files"),
    ("train MODEL --data digits.npz --loss mse --state text", 1, "`smc state show FILE` tells"),
    ("train MODEL --data digits.npz --loss mse -o out --epochs 0", 2, "a whole number from 1"),
    ("train MODEL --data digits.npz --loss mse -o out --batch -1", 2, "a whole number from 1"),
    (
        "train MODEL --data digits.npz --loss mse -o out --batch 2 --input inputs=3,28,28",
        1,
        "takes 3 examples at a time",
    ),
    ("train MODEL --data digits.npz --loss mse -o out --input inputs=4,28,28", 1, "and there are 3"),
    ("train MODEL --data digits.npz --loss mse -o out --input inputs=3,28", 1, "give 3 axes"),
    ("train MODEL --data digits.npz --loss mse -o out --patience 0", 2, "a whole number from 1"),
    ("train MODEL --data digits.npz --loss mse -o out --seed x", 2, "a whole number from 0"),
    ("train MODEL --data digits.npz --loss mse -o out --threads 0", 2, "between 1 and 4096"),
    ("train MODEL --data digits.npz --loss mse -o out --bound n=3", 1, "data decide about no size `n`"),
    ("train MODEL --data digits.npz --loss mse -o out --cpu z80", 1, "the CPU levels are"),
    ("train MODEL --data digits.npz --loss mse -o out --version 7", 1, "available versions: 1"),
    ("train MODEL --data digits.npz --loss mse -o out --tag train", 1, "{serve}"),
    ("train MODEL --data digits.npz --loss mse -o out --signature serving", 1, "did you mean `serving_default`?"),
    ("train MODEL --data digits.npz --loss mse -o out --output output", 1, "did you mean `output_0`?"),
    ("train MODEL --data digits.npz --loss mse -o out --head five", 2, "`five` is no number of units"),
    ("compile MODEL --head 0", 2, "`0` is no number of units"),
    ("compile MODEL --head 5:sofmax", 2, "did you mean `softmax`?"),
    ("compile MODEL --head 5 --output nope", 1, "no signature has an output `nope`"),
    ("compile MODEL --seed 5", 2, "--head"),
    ("compile MODEL --head 5 --seed=-1", 2, "a whole number from 0"),
    ("train MODEL --data digits.npz --loss mse -o out --from hiden", 1, "the signature has no layer `hiden`"),
    ("train MODEL --data digits.npz --loss mse -o out --append 64", 2, "`64` is no layer, such as dense:64"),
    ("compile MODEL --from nope", 1, "the layers are"),
    ("compile MODEL --append dense:0", 2, "`0` is no number of units"),
    ("compile MODEL --append dense:5:sofmax", 2, "did you mean `softmax`?"),
    ("compile MODEL --append dense:5 --signature serving", 1, "did you mean `serving_default`?"),
    ("compile MODEL --bound n", 2, "NAME=MAX"),
    ("compile MODEL --bound n=-1", 2, "`-1` is not a size"),
    ("run MODEL --bound n=3 --random", 1, "data decide about no size `n`"),
    ("check MODEL --bound n=3", 1, "data decide about no size `n`"),
    ("bench MODEL --bound n=3", 1, "data decide about no size `n`"),
    ("compile MODEL --custom missing", 1, "cannot read the declarations"),
    ("inspect MODEL --custom missing", 1, "cannot read the declarations"),
    ("run MODEL --random --custom missing", 1, "cannot read the declarations"),
    ("check MODEL --custom missing", 1, "cannot read the declarations"),
    ("bench MODEL --custom missing", 1, "cannot read the declarations"),
    ("train MODEL --data digits.npz --loss mse -o out --custom missing", 1, "cannot read the declarations"),
    ("run MODEL --random --plugin missing", 2, "--custom <FILE>"),
    ("check MODEL --plugin missing", 2, "--custom <FILE>"),
    ("bench MODEL --plugin missing", 2, "--custom <FILE>"),
    ("train MODEL --data digits.npz --loss mse -o out --plugin missing", 2, "--custom <FILE>"),
    ("compile MODEL --strings much", 2, "`much` is no number of bytes"),
    ("compile MODEL --strings -1", 2, "`-1` is no number of bytes"),
    ("compile MODEL --strings 2000G", 2, "more than a call can make"),
    ("run MODEL --random --strings 2MB", 2, "`2MB` is no number of bytes"),
    ("check MODEL --strings ''", 2, "is no number of bytes"),
    ("bench MODEL --strings K", 2, "`K` is no number of bytes"),
    ("train MODEL --data digits.npz --loss mse -o out --strings 1.5M", 2, "`1.5M` is no number of bytes"),
    ("compile MODEL --input inputs", 2, "NAME=SHAPE"),
    ("compile MODEL --input inputs=1,2", 1, "inputs"),
    ("compile MODEL --input inputs=18446744073709551616,28,28", 2, "not an extent"),
    ("compile MODEL --input inputs=1,,28", 2, "an extent is missing"),
    ("check MODEL --input z=1", 1, "the inputs are `inputs`"),
    ("bench MODEL --input input=1,28,28", 1, "did you mean `inputs`?"),
    ("run MODEL --shape inputs=a,28,28", 2, "`a` is not an extent"),
    ("run MODEL --random --shape input=1,28,28", 1, "did you mean `inputs`?"),
    (
        "run MODEL --random --shape inputs=1,28,29",
        1,
        "the shape [1,28,29] given for input `inputs` does not fit the model's [?,28,28]",
    ),
    ("compile MODEL --input inputs=1,5", 1, "give 3 axes, and other extents only where the model has `?`"),
    // Machines.
    ("compile MODEL --target armv7-unknown-linux-gnueabihf", 1, "supported are"),
    ("compile MODEL --target aarch64", 1, "write `aarch64-unknown-linux-gnu` or `"),
    ("compile MODEL --target x86_64-unknown-linux-gn", 1, "did you mean `x86_64-unknown-linux-gnu`?"),
    ("compile MODEL --target aarch64-unknown-linux-gnu --cpu x86-64", 1, "is not a CPU level of aarch64"),
    ("compile MODEL --cpu z80", 1, "the CPU levels are"),
    ("run MODEL --random --cpu x86-64-v33", 1, "did you mean `x86-64-v3`?"),
    ("check MODEL --cpu ''", 1, "the CPU levels are"),
    ("bench MODEL --cpu x86-64,", 1, "the CPU levels are"),
    ("bench MODEL --profile --cpu x86-64,x86-64-v3", 1, "one CPU level"),
    // Where results go.
    ("compile MODEL --out missing/x.o", 1, "there is no folder missing"),
    ("compile MODEL -o .", 1, "it is a directory"),
    ("compile MODEL -o x.c", 1, ".o for an object"),
    ("compile MODEL -o ''", 2, "a value is required"),
    ("compile MODEL --name 3x", 1, "`x_3x` can"),
    ("compile MODEL --name ''", 1, "cannot be the prefix"),
    ("compile MODEL --header x.o", 1, "end it in .h"),
    ("compile MODEL --header missing/x.h", 1, "there is no folder missing"),
    ("compile MODEL --weights missing/w", 1, "there is no folder missing"),
    ("compile MODEL -o x.o --weights x.o", 1, "would both go to"),
    ("compile MODEL --emit loop", 2, "did you mean `loops`?"),
    ("compile MODEL --emit graph,", 2, "the stages are"),
    ("compile MODEL --emit graph --json", 1, "name the object too"),
    ("compile MODEL --emit graph --header x.h", 1, "name the object too"),
    ("compile MODEL -o - --json", 1, "share the standard output"),
    ("run MODEL --random --outputs x.npy", 1, "end the name in .npz"),
    ("run MODEL --random --outputs missing/x.npz", 1, "there is no folder missing"),
    ("run MODEL --random --json --outputs x.npz", 2, "cannot be used with"),
    ("run MODEL --random --state x.state", 1, "the model has no state"),
    ("run MODEL --random --state x.state --reference", 2, "cannot be used with"),
    ("run MODEL --random --seed 3", 1, "nothing in the model draws random numbers without a seed"),
    ("run MODEL --random --reference --seed 3", 1, "nothing in the model draws random numbers without a seed"),
    ("run MODEL --random --seed x", 2, "a whole number from 0"),
    ("state", 2, "Usage: smc state"),
    ("state show", 2, "required arguments"),
    ("state show missing", 1, "cannot read the state"),
    ("state show text", 1, "this is no state"),
    ("state diff text missing", 1, "this is no state"),
    ("state export text -o x.npy", 1, "end the name in .npz"),
    ("state export text -o x.npz", 1, "this is no state"),
    ("state export text", 2, "--out <FILE.npz>"),
    ("state export text x.npz", 2, "--state <FILE>"),
    ("state export MODEL --state text", 2, "<OUT>"),
    ("state export MODEL out --state text -o x.npz", 2, "cannot be used with"),
    ("state export MODEL out --state text", 1, "this is no state"),
    ("state export MODEL out --state missing", 1, "cannot read the state"),
    ("state export MODEL out --state text --version 7", 1, "available versions: 1"),
    ("state export MODEL out --state text --tag train", 1, "{serve}"),
    ("state export text -o x.npz --version 7", 2, "--state <FILE>"),
    ("state export text -o x.npz --head 5", 2, "cannot be used with"),
    ("state export MODEL out --state text --seed 1", 2, "--head"),
    ("state export MODEL out --state text --from nope", 1, "the layers are"),
    ("state export MODEL out --state text --append relu:5", 2, "`relu:5` is no layer"),
    ("state export MODEL out --state text --signature a", 2, "--head"),
    ("state export MODEL out --state text --head 5 --signature a", 1, "the model has no signature `a`"),
    ("inspect MODEL --svg missing/x.svg", 1, "there is no folder missing"),
    ("inspect MODEL --svg x.svg --json", 2, "cannot be used with"),
    ("ops --json --markdown", 2, "cannot be used with"),
    ("ops --color purple", 2, "auto, always, never"),
    // Values.
    ("run MODEL", 1, "input `inputs` is missing"),
    ("run MODEL --inputs text", 1, "numpy.savez"),
    ("run MODEL --inputs x.npy", 1, "--input KEY=x.npy"),
    ("run MODEL --inputs broken.npz", 1, "broken.npz"),
    ("run MODEL --inputs none.npz", 1, "none.npz"),
    ("run MODEL --input inputs=text", 1, "numpy.save"),
    ("run MODEL --input inputs=broken.npz", 1, "--inputs FILE.npz"),
    ("run MODEL --input inputs=none.npy", 1, "none.npy"),
    ("run MODEL --input inputs=", 1, "no file is named"),
    ("run MODEL --input x.npy", 1, "--input KEY=x.npy"),
    ("run MODEL --input input=x.npy", 1, "did you mean `inputs`?"),
    ("run MODEL --value inputs", 1, "KEY=VALUE"),
    ("run MODEL --value inputs=[[1", 1, "cannot be read"),
    ("run MODEL --value input=1", 1, "did you mean `inputs`?"),
    ("run --random MODEL", 2, "a model stands before --random"),
    ("run MODEL --random=x", 2, "a whole number from 0"),
    ("check MODEL --case none.npz", 1, "none.npz"),
    ("check MODEL --case x.npy", 1, "it is a single array"),
    ("check MODEL --case text", 1, "numpy.savez"),
    ("check MODEL --case x.npz --random 3", 2, "cannot be used with"),
    // Numbers.
    ("check MODEL --random=-1", 2, "a whole number from 1"),
    ("check MODEL --random 0", 2, "from 1 to"),
    ("check MODEL --seed x", 2, "a whole number from 0"),
    ("check MODEL --tolerance nan", 2, "finite number"),
    ("check MODEL --tolerance -1", 2, "finite number"),
    ("check MODEL --limit inf", 2, "positive number"),
    ("check MODEL --limit 1e-320", 2, "positive number"),
    ("bench MODEL --seconds 0", 2, "positive number"),
    ("bench MODEL --seconds -1", 2, "positive number"),
    ("machine --seconds soon", 2, "not a number"),
    ("run MODEL --threads 0", 2, "between 1 and 4096"),
    ("bench MODEL --threads 18446744073709551615", 2, "between 1 and 4096"),
    // Other words.
    ("completions bsh", 2, "a similar value exists: 'bash'"),
    ("man cmpile", 1, "did you mean `compile`?"),
    ("man compile again", 2, "unexpected argument 'again'"),
    ("targets here", 2, "unexpected argument 'here'"),
    ("machine here", 2, "unexpected argument 'here'"),
];

/// Text, an array, a damaged archive, and files that are no models.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("text", b"1 2 3");
    write("x.npy", &npy(&[1, 28, 28], &[0.0; 784]));
    write("broken.npz", b"PK\x03\x04 and nothing else");
    let digits = [("x", vec![3, 28, 28], vec![0.5; 3 * 784]), ("y", vec![3, 10], vec![0.1; 30])];
    write("digits.npz", &npz(&digits));
    ["net.keras", "net.h5", "net.tflite"].iter().for_each(|name| write(name, b""));
    folder
}

fn words(line: &str) -> Vec<String> {
    let word = |word: &str| match word {
        "MODEL" => mnist(),
        "''" => String::new(),
        word => word.to_string(),
    };
    line.split_whitespace().map(word).collect()
}

/// Runs a line in the folder: its status and message. Leaves no file there.
fn run(folder: &tempfile::TempDir, line: &str) -> (Option<i32>, String) {
    let names = || {
        let mut names: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let words = words(line);
    let out = smc(folder.path(), &words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(names(), before, "`{line}` leaves a file");
    let message = String::from_utf8(out.stderr).expect("text");
    assert!(!message.contains("panicked"), "{line}: {message}");
    (out.status.code(), message)
}

fn complains(folder: &tempfile::TempDir, line: &str, status: i32, expected: &str) {
    let (ended, message) = run(folder, line);
    assert_eq!(ended, Some(status), "{line}: {message}");
    assert!(message.contains(expected), "`smc {line}` does not say `{expected}`:\n{message}");
}

/// The commands, each with its own and the global arguments.
fn commands() -> Vec<clap::Command> {
    let mut program = args::Cli::command();
    program.build();
    program.get_subcommands().filter(|c| c.get_name() != "help").cloned().collect()
}

/// The beginning of a line that is right: the command, and a model where it takes one.
fn start(command: &clap::Command) -> String {
    let model = command.get_positionals().any(|arg| arg.get_id() == "path");
    format!("{}{}", command.get_name(), if model { " MODEL" } else { "" })
}

/// The options of a command by their long names, but for those that clap makes.
fn options(command: &clap::Command) -> Vec<(&str, &clap::Arg)> {
    let named = command.get_arguments().filter_map(|arg| Some((arg.get_long()?, arg)));
    named
        .filter(|(name, _)| !["help", "version"].contains(name) || *name == "version" && takes_value(command))
        .collect()
}

/// Whether `--version` is the model's.
fn takes_value(command: &clap::Command) -> bool {
    command.get_arguments().any(|arg| arg.get_long() == Some("version") && arg.get_action().takes_values())
}

#[test]
fn mistakes_are_explained() {
    let folder = folder();
    for (line, status, expected) in MISTAKES {
        complains(&folder, line, *status, expected);
    }
}

/// Whether a line of the table gives a wrong value to this option.
fn has_mistake(command: Option<&str>, arg: &clap::Arg) -> bool {
    let long = arg.get_long().map(|name| format!("--{name}"));
    let short = arg.get_short().map(|name| format!("-{name}"));
    let names = |word: &str| {
        [&long, &short]
            .into_iter()
            .flatten()
            .any(|name| word == name || word.strip_prefix(&name[..]).is_some_and(|rest| rest.starts_with('=')))
    };
    MISTAKES.iter().any(|(line, ..)| {
        let mut words = line.split_whitespace();
        let first = words.next();
        (command.is_none() || command == first) && words.any(names)
    })
}

#[test]
fn every_value_has_a_mistake() {
    let mut without = vec![];
    for command in commands() {
        let name = command.get_name();
        for (long, arg) in options(&command).into_iter().filter(|(_, arg)| arg.get_action().takes_values()) {
            let of = if arg.is_global_set() { None } else { Some(name) };
            if !has_mistake(of, arg) {
                without.push(format!("smc {name} --{long}"));
            }
        }
        for arg in command.get_positionals() {
            let begins =
                |(line, ..): &&(&str, i32, &str)| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            let wrong = |line: &&(&str, i32, &str)| {
                let line = begins(line);
                line.starts_with(&format!("{name} ")) && !line.contains(" --") && line != start(&command)
            };
            if !MISTAKES.iter().any(|line| wrong(&line)) {
                without.push(format!("smc {name} {}", arg.get_id()));
            }
        }
    }
    assert!(without.is_empty(), "no line of MISTAKES gives a wrong value to {}", without.join(", "));
}

#[test]
fn slips_in_names_are_guessed() {
    let folder = folder();
    // Its last letter twice.
    let slip = |name: &str| format!("{name}{}", &name[name.len() - 1..]);
    for command in commands() {
        complains(&folder, &slip(command.get_name()), 2, command.get_name());
        complains(&folder, &format!("{} --frobnicate", start(&command)), 2, "unexpected argument '--frobnicate'");
        for (long, _) in options(&command) {
            complains(&folder, &format!("{} --{}", start(&command), slip(long)), 2, &format!("'--{long}'"));
        }
    }
}

#[test]
fn values_are_asked_for_and_flags_take_none() {
    let folder = folder();
    for command in commands() {
        let start = start(&command);
        for (long, arg) in options(&command) {
            let needs = arg.get_num_args().is_some_and(|n| n.min_values() > 0);
            match arg.get_action() {
                ArgAction::SetTrue => complains(&folder, &format!("{start} --{long}=1"), 2, "unexpected value"),
                _ if needs => complains(&folder, &format!("{start} --{long}"), 2, "a value is required"),
                _ => {}
            }
        }
        for arg in command.get_positionals().filter(|arg| arg.is_required_set()) {
            let expected = format!("<{}>", arg.get_value_names().expect("a name")[0]);
            complains(&folder, command.get_name(), 2, &expected);
        }
    }
}

/// What makes a command quick, whatever else its line says.
fn quick(command: &str, long: &str) -> String {
    let words: &[(&str, &str)] = match command {
        "run" => &[("random", "1")],
        "check" => &[("random", "1"), ("limit", "0.1")],
        "bench" | "machine" => &[("seconds", "0.001")],
        _ => &[],
    };
    words.iter().filter(|(name, _)| *name != long).map(|(name, value)| format!(" --{name}={value}")).collect()
}

/// Every option that takes a number takes extremes of them: with an answer, or a message.
#[test]
fn extreme_numbers_get_an_answer() {
    const NUMBERS: [&str; 12] = [
        "-1",
        "-0",
        "1e-320",
        "1e308",
        "-inf",
        "nan",
        "0x10",
        "2147483648",
        "4294967295",
        "9223372036854775808",
        "18446744073709551615",
        "340282366920938463463374607431768211456",
    ];
    let mut tried = vec![];
    for command in commands() {
        for (long, arg) in options(&command) {
            let is = |kinds: &[&str]| arg.get_value_names().is_some_and(|names| kinds.contains(&names[0].as_str()));
            let value: &dyn Fn(&str) -> String = match () {
                () if is(&["N", "S", "X", "SEED"]) => &|number| number.to_string(),
                () if is(&["NAME=SHAPE", "KEY=SHAPE"]) => &|number| format!("inputs={number},28,28"),
                () if is(&["KEY=VALUE"]) => &|number| format!("inputs={number}"),
                () => continue,
            };
            tried.push(long.to_string());
            for number in NUMBERS {
                let to = if command.get_name() == "compile" { " --emit opt" } else { "" };
                let line =
                    format!("{} --{long}={}{to}{}", start(&command), value(number), quick(command.get_name(), long));
                let (status, message) = run(&folder(), &line);
                let explained = status == Some(0) || message.starts_with("error: ");
                assert!(matches!(status, Some(0..=2)) && explained, "smc {line}: {status:?} {message}");
            }
        }
    }
    tried.sort();
    tried.dedup();
    let known = [
        "batch",
        "epochs",
        "input",
        "limit",
        "patience",
        "random",
        "seconds",
        "seed",
        "shape",
        "split",
        "threads",
        "tolerance",
        "value",
        "version",
    ];
    assert_eq!(tried, known, "an option's numbers are known by its value's name");
}

#[test]
fn a_batch_of_nothing_and_the_largest_one_compile() {
    let folder = tempfile::tempdir().unwrap();
    for batch in ["0", "4294967295"] {
        let out = smc(folder.path(), &["compile", &mnist(), "--batch", batch, "--cpu", "x86-64", "-o", "m.o"]);
        let message = String::from_utf8_lossy(&out.stderr);
        assert!(!message.contains("panicked") && out.status.code().is_some_and(|code| code <= 1), "{batch}: {message}");
    }
    let out = smc(folder.path(), &["bench", &mnist(), "--batch", "0", "--seconds", "0.01"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// An answer that is lost, as on a full disk, is no success.
#[cfg(target_os = "linux")]
#[test]
fn answers_that_cannot_be_written_are_errors() {
    for line in
        ["ops", "targets", "man", "completions bash", "inspect MODEL", "run MODEL --random", "compile MODEL --emit opt"]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut smc = std::process::Command::new(env!("CARGO_BIN_EXE_smc"));
        let out = smc.args(words(line)).stdout(full).output().unwrap();
        let message = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(1) && message.contains("standard output"), "{line}: {message}");
    }
    let folder = folder();
    for line in
        ["compile MODEL -o /dev/full", "run MODEL --random --outputs /dev/full", "inspect MODEL --svg /dev/full"]
    {
        complains(&folder, line, 1, "No space left");
    }
}
