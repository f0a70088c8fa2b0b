//! Weights in files of their own: bound to the code that they are for, and to no other.

use std::{fs, path::Path, process::Command};

use smc::{
    driver::{self, Compiled, Options},
    emit::load::Loaded,
};
use smc_runtime::{
    Error, Status,
    abi::BindWeights,
    weights::{self, FINGERPRINT, HEADER, bind},
};
use smc_tests::programs::{have, output, root};

const COUNT: usize = 21;

/// A model that adds 21 numbers, from `first` on, to its input, or multiplies.
fn model(first: usize, f: &str, target: Option<&str>) -> Compiled {
    let numbers: Vec<String> = (first..first + COUNT).map(|n| n.to_string()).collect();
    let text = format!(
        "input \"x\" %x\n%x = input : f32[{COUNT}]\n%w = const [{}] : f32[{COUNT}]\n\
         %y = binary {{\"f\":\"{f}\"}} %x %w\noutput \"y\" %y\n",
        numbers.join(",")
    );
    let graph = smc::graph::text::parse(&text, &Default::default()).unwrap();
    let options =
        Options { name: "m".into(), target: target.map(String::from), weights_apart: true, ..Options::default() };
    driver::compile_graphs(vec![("main".into(), graph)], &options).unwrap_or_else(|e| panic!("{e}"))
}

fn file(compiled: &Compiled) -> Vec<u8> {
    let mut bytes = vec![];
    compiled.object.weights().write_file(&compiled.fingerprint, &mut bytes).unwrap();
    bytes
}

/// In memory that stays, at a multiple of 64 bytes, or a little behind one.
fn placed(bytes: &[u8], behind: usize) -> &'static [u8] {
    let memory = vec![0u8; bytes.len() + 2 * weights::ALIGN].leak();
    let start = memory.as_ptr().align_offset(weights::ALIGN) + behind;
    memory[start..start + bytes.len()].copy_from_slice(bytes);
    &memory[start..start + bytes.len()]
}

#[test]
fn weights_belong_to_code_and_not_to_values() {
    let compiled = model(1, "add", None);
    assert!(!compiled.object.bytes().windows(8).any(|b| b == [1f32.to_ne_bytes(), 2f32.to_ne_bytes()].concat()));
    let code = Loaded::new(&compiled.object.bytes()).unwrap();
    // SAFETY: the object's functions have these types, and the code stays as long as they are used.
    let function = unsafe { std::mem::transmute::<*const u8, BindWeights>(code.symbol("m_bind_weights").unwrap()) };
    // SAFETY: it is such a function.
    let try_to_bind = |bytes| unsafe { bind(function, bytes) };
    let call = || {
        let (x, mut y) = ([0f32; COUNT], [0f32; COUNT]);
        let io = [x.as_ptr() as u64, y.as_mut_ptr() as u64, 0, 0];
        // SAFETY: the struct is what the model asks for, which needs no workspace.
        let status = unsafe { code.call("m_main", io.as_ptr(), std::ptr::null_mut(), 0) };
        (Status::from_code(status).unwrap(), y[0], y[COUNT - 1])
    };
    let own = file(&compiled);
    assert_eq!(own.len(), HEADER + 4 * COUNT);
    assert_eq!(own[FINGERPRINT..HEADER], compiled.fingerprint);
    let wrong = Err(Error::Status(Status::WrongWeights));
    assert_eq!(call().0, Status::NoWeights);
    assert_eq!(try_to_bind(placed(&own[..own.len() - 1], 0)), wrong);
    assert_eq!(try_to_bind(placed(&own, 4)), wrong);
    assert_eq!(try_to_bind(placed(&file(&model(1, "mul", None)), 0)), wrong);
    assert_eq!(call().0, Status::NoWeights);
    assert_eq!(try_to_bind(placed(&own, 0)), Ok(()));
    assert_eq!(call(), (Status::Ok, 1.0, 21.0));
    // A model that was trained again has the same code.
    let again = model(101, "add", None);
    assert!(again.object.bytes() == compiled.object.bytes());
    assert_eq!(try_to_bind(placed(&file(&again), 0)), Ok(()));
    assert_eq!(call(), (Status::Ok, 101.0, 121.0));
    // Each bit of the fingerprint counts.
    for bit in 0..256 {
        let mut other = own.clone();
        other[FINGERPRINT + bit / 8] ^= 1 << (bit % 8);
        assert_eq!(try_to_bind(placed(&other, 0)), wrong, "bit {bit}");
    }
}

/// The C program of all this, with mapped files and threads, here and on other machines.
fn check(compiler: &str, target: Option<&str>, emulator: Option<&str>) {
    if !have(&[compiler]) || emulator.is_some_and(|e| !have(&[e])) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let compiled = model(1, "add", target);
    compiled.object.write(fs::File::create(at("libm.o")).unwrap()).unwrap();
    fs::write(at("libm.h"), &compiled.header).unwrap();
    let models = [("own", &compiled), ("again", &model(101, "add", target)), ("other", &model(1, "mul", target))];
    models.iter().for_each(|(name, m)| fs::write(at(name), file(m)).unwrap());
    let flags = ["-std=gnu99", "-O1", "-Wall", "-Wextra", "-pedantic", "-Werror", "-pthread", "-static", "-I"];
    let source: &Path = &root().join("tests/consumers/bind.c");
    let mut cc = Command::new(compiler);
    cc.args(flags).arg(folder.path()).arg("-I").arg(root().join("tests/consumers"));
    output(cc.arg("-o").arg(at("program")).arg(source).arg(at("libm.o")));
    let mut run = match emulator {
        Some(emulator) => Command::new(emulator),
        None => Command::new(at("program")),
    };
    if emulator.is_some() {
        run.arg(at("program"));
    }
    assert_eq!(output(run.args(models.map(|(name, _)| at(name)))), "ok\n");
}

#[test]
fn files_are_mapped_and_bound_while_others_call() {
    check("cc", None, None);
}

#[test]
fn on_other_machines_too() {
    for (triple, machine) in [
        ("aarch64-unknown-linux-gnu", "aarch64"),
        ("riscv64gc-unknown-linux-gnu", "riscv64"),
        ("s390x-unknown-linux-gnu", "s390x"),
    ] {
        let (compiler, emulator) = (format!("{machine}-linux-gnu-gcc"), format!("qemu-{machine}-static"));
        check(&compiler, Some(triple), Some(&emulator));
    }
}

/// Formats without ELF's relocations find the cell and the fingerprint too: nothing is undefined.
#[test]
fn every_format_has_the_functions() {
    use object::{Object as _, ObjectSymbol as _};
    for triple in ["x86_64-apple-darwin", "aarch64-apple-darwin", "x86_64-pc-windows-gnu", "riscv64gc-unknown-none-elf"]
    {
        let compiled = model(1, "add", Some(triple));
        let bytes = compiled.object.bytes();
        let file = object::File::parse(&bytes[..]).unwrap();
        let has = |name: &str| file.symbols().any(|s| s.name().is_ok_and(|n| n.trim_start_matches('_') == name));
        for name in ["m_bind_weights", "m_weights_bytes", "m_bound_weights", "m_weights_fingerprint"] {
            assert!(has(name), "{triple}: {name}");
        }
        assert!(!has("m_weights") && file.symbols().all(|s| !s.is_undefined() || s.name() == Ok("")), "{triple}");
        assert!(compiled.header.contains("int m_bind_weights(const void *weights, size_t bytes);"));
    }
}
