//! Machine code on this machine against the interpreter: random kernels, bit for bit.

use smc::{
    emit::load::Loaded,
    loops::random::{self, Case, Options},
    native::Target,
};
use smc_tests::{forms, kernels, programs::not_run};

/// The buffers after the machine ran `NAME_run{n}`, or the status it returned.
fn execute(loaded: &Loaded, name: &str, n: usize, case: &Case) -> Result<Vec<Vec<u8>>, i32> {
    // Buffers have guard bytes behind them that nothing may touch, and an 8-byte aligned start.
    let mut memory: Vec<Vec<u64>> = case
        .buffers
        .iter()
        .map(|bytes| {
            let mut words = vec![0x5a5a_5a5a_5a5a_5a5au64; bytes.len().div_ceil(8) + 2];
            // SAFETY: the words are longer than the bytes, and any bytes are words.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), words.as_mut_ptr().cast(), bytes.len()) };
            words
        })
        .collect();
    let program = kernels::program(case, &mut Default::default());
    let mut io = vec![];
    let named = |name: &str| name[1..].parse::<usize>().unwrap();
    for port in program.inputs.iter().chain(&program.outputs) {
        io.push(memory[named(&port.name)].as_mut_ptr() as u64);
    }
    io.extend(case.bind.values().map(|&n| n as u64));
    io.extend([0, 0]);
    // SAFETY: the io struct holds a pointer per input and output of the sizes that the kernel declares, the symbols in
    // the program's order and no threads and no level; the program needs no workspace.
    let status = unsafe { loaded.call(&format!("{name}_run{n}"), io.as_ptr(), std::ptr::null_mut(), 0) };
    if status != 0 {
        return Err(status);
    }
    let bytes = |(words, before): (&Vec<u64>, &Vec<u8>)| {
        let all: Vec<u8> = words.iter().flat_map(|w| w.to_ne_bytes()).collect();
        assert!(all[before.len()..].iter().all(|&b| b == 0x5a), "{} writes behind a buffer", case.kernel);
        all[..before.len()].to_vec()
    };
    Ok(memory.iter().zip(&case.buffers).map(bytes).collect())
}

fn agree(target: &Target, seed: u64, options: Options) -> Result<(), String> {
    let case = random::case(seed, options);
    let exact = options.exact && !(target.best().info.has_fma && kernels::sums_products(&case));
    agree_on(target, &case, if exact { 0.0 } else { 1e-2 })
}

fn agree_on(target: &Target, case: &Case, tolerance: f64) -> Result<(), String> {
    let object = kernels::object(target, "m", std::slice::from_ref(case)).bytes();
    agree_in(&Loaded::new(&object)?, 0, case, tolerance)
}

/// Whether the n-th function of a model does what the case's kernel does.
fn agree_in(loaded: &Loaded, n: usize, case: &Case, tolerance: f64) -> Result<(), String> {
    let (expected, got) = (kernels::interpret(case), execute(loaded, "m", n, case));
    let (expected, got) = match (expected, got) {
        (Ok(expected), Ok(got)) => (expected, got),
        (Err(a), Err(b)) if a == b => return Ok(()),
        (a, b) => return Err(format!("status {:?}, expected {:?}", b.err(), a.err())),
    };
    for ((id, buffer), (e, g)) in case.kernel.buffers.iter().zip(expected.iter().zip(&got)) {
        let size = buffer.dtype.size();
        for (at, (e, g)) in e.chunks(size).zip(g.chunks(size)).enumerate() {
            if !kernels::same(buffer.dtype, e, g, tolerance) {
                return Err(format!("buffer {} of {} at {at}: {g:?}, expected {e:?}", id.index(), buffer.dtype));
            }
        }
    }
    Ok(())
}

/// The result, where a panic is an error.
fn quietly(f: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("panicked: {}", text.unwrap_or("").chars().take(600).collect::<String>()))
    })
}

fn compare(cpu: &str, seeds: std::ops::Range<u64>, options: Options) {
    let target = Target::new(None, Some(cpu)).unwrap();
    if !target.runs_here() {
        not_run(&format!("{} at {cpu}: this machine is none", file!()));
        return;
    }
    let mut failures = vec![];
    for seed in seeds {
        let result = quietly(|| agree(&target, seed, options));
        if let Err(why) = result {
            // The smallest kernel of this seed that fails.
            let smaller = |size| Options { size, ..options };
            let fails = |size: &usize| quietly(|| agree(&target, seed, smaller(*size))).is_err();
            let size = (1..options.size).find(fails).unwrap_or(options.size);
            let kernel = random::case(seed, smaller(size)).kernel;
            failures.push(format!("seed {seed}, size {size}: {why}\n{kernel}"));
        }
        if failures.len() >= 3 {
            break;
        }
    }
    assert!(failures.is_empty(), "{cpu}: {}", failures.join("\n"));
}

#[test]
fn random_kernels_agree_at_the_baseline() {
    compare(if cfg!(target_arch = "x86_64") { "x86-64" } else { "native" }, 0..400, Options { size: 12, exact: true });
}

#[test]
fn random_kernels_agree_on_this_cpu() {
    compare(&smc_tests::cpu(), 400..700, Options { size: 12, exact: true });
}

#[test]
fn random_kernels_agree_at_x86_64_v3() {
    if cfg!(target_arch = "x86_64") {
        compare("x86-64-v3", 700..1000, Options { size: 12, exact: true });
    }
}

#[test]
fn vectors_end_where_they_should_at_every_level() {
    for cpu in ["x86-64", "x86-64-v3", "native"] {
        let Some(target) = Target::new(None, Some(cpu)).ok().filter(Target::runs_here) else { continue };
        let mut failures = vec![];
        for some in forms::ends().chunks(200) {
            let cases: Vec<Case> = some.iter().map(|f| f.case.clone()).collect();
            let loaded = Loaded::new(&kernels::object(&target, "m", &cases).bytes()).unwrap();
            for (n, form) in some.iter().enumerate() {
                if let Err(why) = quietly(|| agree_in(&loaded, n, &form.case, form.tolerance)) {
                    failures.push(format!("{} {:?}: {why}", form.case.kernel.name, form.case.bind));
                }
            }
        }
        assert!(failures.is_empty(), "{cpu}: {}", failures.join("\n"));
    }
}

#[test]
fn every_form_agrees_at_every_level() {
    for cpu in ["x86-64", "x86-64-v2", "x86-64-v3", "native"] {
        let Some(target) = Target::new(None, Some(cpu)).ok().filter(Target::runs_here) else { continue };
        let mut failures = vec![];
        for form in forms::all() {
            if let Err(why) = quietly(|| agree_on(&target, &form.case, form.tolerance)) {
                failures.push(format!("{}: {why}", form.case.kernel.name));
            }
        }
        assert!(failures.is_empty(), "{cpu}: {}", failures.join("\n"));
    }
}
