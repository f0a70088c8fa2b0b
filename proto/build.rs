//! Generates the message types, and the descriptor set by which the text form is read.

use std::{env, fs, path::PathBuf};

use prost::Message;

fn main() {
    let roots = ["saved_model.proto", "checkpoint.proto", "forest.proto"];
    println!("cargo::rerun-if-changed=tensorflow");
    println!("cargo::rerun-if-changed=yggdrasil");
    let descriptors = protox::compile(roots, ["tensorflow", "yggdrasil"]).expect("the .proto files parse");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec()).expect("OUT_DIR is writable");
    prost_build::Config::new()
        .btree_map(["."])
        .bytes([
            ".tensorflow.TensorProto.tensor_content",
            ".tensorflow.TensorProto.string_val",
            ".tensorflow.AttrValue.s",
            ".tensorflow.AttrValue.ListValue.s",
        ])
        .compile_fds(descriptors)
        .expect("the types generate");
}
