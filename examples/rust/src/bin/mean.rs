//! Keeps a mean over all numbers that it was ever given, and prints those of this run that are more than it; see ../mean.
//!
//! ```text
//! smc compile examples/mean/model -o examples/rust/libmean.o
//! cd examples/rust
//! cargo run --bin mean mean.state 1 2 6
//! ```
//!
//! The variables of the model are in the file between runs. How many numbers are more than the mean, the call tells.

use std::{error::Error, fs, path::Path};

use smc_runtime::{GrowingWorkspace, Workspace, state::State, state_functions};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().ok_or("usage: mean FILE NUMBER..")?;
    let numbers = args.map(|number| number.parse()).collect::<Result<Vec<f32>, _>>()?;

    let functions = state_functions!(mean);
    // SAFETY: the functions are those of the model that this program is linked with.
    let bytes = unsafe { State::bytes(functions) };
    // Memory for the state: its own, since a workspace is anything between two calls.
    let mut memory = GrowingWorkspace::new();
    let memory = memory.reserve(bytes).ok_or("there is no memory for the state")?;
    // What is in a file starts at a multiple of 8.
    let mut saved = vec![0u64; bytes / 8];
    let mut state = if Path::new(&file).exists() {
        for (word, bytes) in saved.iter_mut().zip(fs::read(&file)?.as_chunks().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        // SAFETY: as above.
        unsafe { State::load(functions, memory, as_bytes(&mut saved)) }?
    } else {
        // SAFETY: as above.
        unsafe { State::new(functions, memory) }?
    };

    let model = smc_runtime::model!(mean)?;
    let (shape, mut count, mut mean) = ([numbers.len()], [0i64], [0f32]);
    // An output whose size data decide has room for the most that there can be.
    let mut above = vec![0f32; numbers.len()];
    let mut call = model.signature("above")?.call()?;
    call.input("numbers", &numbers, &shape)?.output("count", &mut count)?.output("mean", &mut mean)?;
    call.output("above", &mut above)?.state(&mut state)?.run(&mut GrowingWorkspace::new())?;
    let found = call.output_extent("above", 0)?;

    print!("{} numbers, mean {}; above it:", count[0], mean[0]);
    above[..found].iter().for_each(|number| print!(" {number}"));
    println!();

    state.save(as_bytes(&mut saved))?;
    fs::write(&file, as_bytes(&mut saved))?;
    Ok(())
}

fn as_bytes(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: the bytes of words, each of which has any value.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}
