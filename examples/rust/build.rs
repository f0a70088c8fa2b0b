//! Links the compiled model of each program, which an environment variable names; by default it lies beside this file.

fn main() {
    for (program, variable) in [("mnist", "SMC_MODEL"), ("mean", "SMC_MEAN")] {
        let beside = format!("{}/lib{program}.o", env!("CARGO_MANIFEST_DIR"));
        let object = std::env::var(variable).unwrap_or(beside);
        println!("cargo::rerun-if-env-changed={variable}");
        println!("cargo::rerun-if-changed={object}");
        println!("cargo::rustc-link-arg-bin={program}={object}");
    }
}
