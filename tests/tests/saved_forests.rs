//! Decision forests (`tests/models/forests.py`): each signature computes what TensorFlow did by YDF's operator, by all
//! executions, and refuses what smc does not know.

use std::{path::PathBuf, sync::Arc};

use smc::{
    driver,
    saved::{Memory, Model, Options},
    tf,
};
use smc_proto::{Message, yggdrasil::RandomForestHeader};
use smc_tests::{
    answers::{Call, calls_agree, each_program, operators},
    saved::files_of,
};

#[test]
fn forests_answer_as_tensorflow_does() {
    each_program("forests", |model, program, calls: &Vec<Call>| {
        calls_agree(model, program, calls, &tf::Options::default())
    });
}

#[test]
fn forests_have_all_operators() {
    let found = operators(&["forests", "forests_v1"]);
    let rows = tf::ops().map(|op| op.name).filter(|op| op.starts_with("SimpleML"));
    let missing: Vec<&str> = rows.filter(|op| !found.contains(*op)).collect();
    assert!(missing.is_empty(), "no program of tests/models/forests.py has {missing:?}");
}

#[test]
fn forests_of_tensorflow_1_answer_as_it_does() {
    each_program("forests_v1", |model, program, calls: &Vec<Call>| {
        calls_agree(model, program, calls, &tf::Options::default())
    });
}

fn files() -> Memory {
    files_of(&[env!("CARGO_MANIFEST_DIR"), "models", "forests"].iter().collect::<PathBuf>())
}

/// A graph of the forest `cart`, or what is said.
fn cart(files: Memory) -> Result<String, String> {
    let model = Model::load(Arc::new(files), &Options::default()).map_err(|e| e.to_string())?;
    let signature = model.signature("cart").map_err(|e| e.to_string())?;
    let imported = driver::import(&model, &signature, &tf::Options::default()).map_err(|e| e.to_string())?;
    Ok(smc::graph::text::print(&imported.graph).0)
}

const HEADER: &str = "assets/cart_random_forest_header.pb";
const NODES: &str = "assets/cart_nodes-00000-of-00001";

/// The same nodes in other formats are the same forest.
#[test]
fn nodes_are_read_in_every_format() {
    let whole = files();
    let expected = cart(whole.clone()).unwrap();
    let stored = whole.0[NODES].clone();
    assert_eq!(&stored[..8], b"BS\x01\0\0\0\0\0");
    let in_format = |format: &str, nodes: Vec<u8>| {
        let mut files = whole.clone();
        let mut header = RandomForestHeader::decode(&files.0[HEADER][..]).unwrap();
        header.node_format = Some(format.into());
        files.0.insert(HEADER.into(), header.encode_to_vec().into());
        files.0.insert(NODES.into(), nodes.into());
        cart(files)
    };
    assert_eq!(in_format("BLOB_SEQUENCE", [b"BS\0\0\0\0\0\0", &stored[8..]].concat()).as_ref(), Ok(&expected));
    let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, &stored[8..]).unwrap();
    let gzip = gzip.finish().unwrap();
    assert_eq!(in_format("BLOB_SEQUENCE_GZIP", [b"BS\x01\0\x01\0\0\0", &gzip[..]].concat()).as_ref(), Ok(&expected));
    let unknown = in_format("LEVELDB", stored.to_vec()).unwrap_err();
    assert!(unknown.contains("nodes of a forest in the format LEVELDB are not supported"), "{unknown}");
}

#[test]
fn what_is_missing_is_told_by_its_file() {
    for (path, said) in [
        ("assets/cart_header.pb", "the forest lacks this file"),
        (HEADER, "a model of the kind RANDOM_FOREST is not supported"),
        (NODES, "the forest has no file of nodes"),
        ("assets/cart_done", "its files are not among the assets"),
    ] {
        let mut files = files();
        files.0.remove(path).unwrap();
        let told = cart(files).unwrap_err();
        assert!(told.contains(said), "{path}: {told}");
    }
    let mut files = files();
    let nodes = files.0[NODES].clone();
    files.0.insert(NODES.into(), nodes.slice(..nodes.len() / 2));
    let told = cart(files).unwrap_err();
    assert!(told.contains("the nodes cannot be read"), "{told}");
}
