//! Classifies handwritten digits; see ../mnist/README.md for the model and the file of digits.
//!
//! ```text
//! smc compile examples/mnist/model -o examples/rust/libmnist.o
//! cd examples/rust
//! cargo run ../mnist/digits.bin
//! ```

use std::error::Error;

use smc_runtime::{GrowingWorkspace, Pool};

const PIXELS: usize = 28 * 28;
const CLASSES: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: mnist digits.bin")?;
    let records = std::fs::read(path)?;
    let (records, _) = records.as_chunks::<{ PIXELS + 1 }>();
    let images: Vec<f32> = records.iter().flat_map(|r| &r[..PIXELS]).map(|&grey| f32::from(grey) / 255.0).collect();
    let mut probabilities = vec![0f32; records.len() * CLASSES];

    let model = smc_runtime::model!(mnist)?;
    let pool = Pool::for_this_machine()?;
    let shape = [records.len(), 28, 28];
    let mut call = model.signature("serving_default")?.call()?;
    call.input("inputs", &images, &shape)?.output("output_0", &mut probabilities)?;
    call.threads(&pool).run(&mut GrowingWorkspace::new())?;

    let mut right = 0;
    for (record, row) in records.iter().zip(probabilities.chunks(CLASSES)) {
        let best = (0..CLASSES).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
        let label = usize::from(record[PIXELS]);
        println!("label {label}, predicted {best} with probability {:.4}", row[best]);
        right += usize::from(best == label);
    }
    println!("{right} of {} digits recognised", records.len());
    Ok(())
}
