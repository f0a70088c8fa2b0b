//! Signatures with one graph share one function: its other name is a symbol at the same place.

use object::{Object as _, ObjectSymbol as _};
use smc::{
    base::Rng,
    driver::{self, Compiled, Executable, Options, random},
    saved::{self, Model},
};
use smc_tests::programs::root;

/// A Keras export, which has its model under `serve` and `serving_default`.
fn compile(target: Option<&str>, signatures: &[&str]) -> Compiled {
    let model = Model::open(root().join("tests/models/keras_export"), &saved::Options::default());
    let options = Options {
        name: "net".into(),
        target: target.map(String::from),
        signatures: signatures.iter().map(|s| s.to_string()).collect(),
        ..Options::default()
    };
    let compiled = model.and_then(|model| driver::compile(&model, &options, &mut |_| ()));
    compiled.unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn both_names_are_one_function() {
    let triples =
        ["x86_64-unknown-linux-gnu", "s390x-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-pc-windows-gnu"];
    for triple in triples {
        let both = compile(Some(triple), &[]);
        let bytes = both.object.bytes();
        let file = object::File::parse(&bytes[..]).unwrap();
        let place = |name: &str| {
            let named = |s: &object::Symbol<'_, '_>| s.name().is_ok_and(|n| n.trim_start_matches('_') == name);
            let symbol = file.symbols().find(named).unwrap_or_else(|| panic!("{triple}: {name}"));
            assert!(symbol.is_global() && symbol.is_definition(), "{triple}: {name}");
            (symbol.section_index(), symbol.address())
        };
        for suffix in ["", "_workspace"] {
            assert_eq!(
                place(&format!("net_serve{suffix}")),
                place(&format!("net_serving_default{suffix}")),
                "{triple}"
            );
        }
        // The code of one is the code of both, but for a few bytes that number them.
        let one = compile(Some(triple), &["serving_default"]);
        assert!(both.report.code_bytes <= one.report.code_bytes + 64, "{triple}");
        assert_eq!(both.report.entries.len(), 1);
        for name in
            ["struct net_serve {", "struct net_serving_default {", "int net_serve(", "#define NET_SERVE_SIGNATURE"]
        {
            assert!(both.header.contains(name), "{name}");
        }
    }
}

#[test]
fn both_numbers_are_served() {
    let both = compile(None, &[]);
    let keys: Vec<&str> = both.interface.signatures.iter().map(|s| s.key.as_str()).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(keys.contains(&"serve") && keys.contains(&"serving_default"));
    assert_eq!((both.entries.len(), both.steps.len()), (2, 2));
    let executable = Executable::new(&both.object.bytes(), both.interface.clone()).unwrap();
    let bind = both.interface.signatures[0].symbols.iter().map(|d| (d.symbol.clone(), 3)).collect();
    let inputs: Vec<_> = both.interface.signatures[0]
        .inputs
        .iter()
        .map(|t| random::tensor(&t.ty, &bind, &mut Rng::new(7)).expect("extents are known"))
        .collect();
    let results: Vec<Vec<Vec<u8>>> = (0..2)
        .map(|n| {
            let mut call = executable.prepare(n, &inputs).unwrap_or_else(|e| panic!("{e}"));
            call.run(None).unwrap();
            call.results().iter().map(|t| t.bytes().to_vec()).collect()
        })
        .collect();
    assert!(results[0] == results[1] && !results[0].is_empty());
    assert!(results[0].iter().flatten().any(|&b| b != 0));
}
