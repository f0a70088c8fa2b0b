//! Links the compiled model, which `SMC_MODEL` names; by default `libmnist.o` beside this file.

fn main() {
    let object = std::env::var("SMC_MODEL").unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/libmnist.o").into());
    println!("cargo::rerun-if-env-changed=SMC_MODEL");
    println!("cargo::rerun-if-changed={object}");
    println!("cargo::rustc-link-arg-bins={object}");
}
