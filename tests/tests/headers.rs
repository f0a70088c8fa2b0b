//! Headers compile in every standard of C and C++, whatever was included before and whatever a model's names are.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use smc::{
    driver::{self, Compiled, Options},
    emit::{
        header,
        interface::{self, Interface},
    },
};
use smc_tests::programs::{have, output, root};

/// The headers of the standard library of C, those of C11 and later that a compiler may lack included where it has them.
const C_HEADERS: &str = "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdarg \
    stdbool stddef stdint stdio stdlib string tgmath time wchar wctype stdalign stdatomic stdnoreturn threads uchar \
    stdbit stdckdint unistd";
const CPP_HEADERS: &str = "algorithm array atomic cmath complex cstddef cstdint cstdio cstdlib cstring exception \
    functional iostream limits map memory new numeric optional span stdexcept string string_view thread tuple utility \
    variant vector version";

const STANDARDS: [(&str, &[&str]); 2] = [
    ("cc", &["c99", "c11", "c17", "c2x", "gnu99", "gnu2x"]),
    ("c++", &["c++11", "c++14", "c++17", "c++20", "c++23", "gnu++17"]),
];

/// Lines that include headers, each where it exists.
fn includes(names: &str, suffix: &str) -> String {
    let include = |name: &str| format!("#if __has_include(<{name}{suffix}>)\n#include <{name}{suffix}>\n#endif\n");
    // Older standards need nothing but what C99 has, and stop at what they are too old for.
    names
        .split_whitespace()
        .filter(|n| *n != "threads" && *n != "stdatomic" || suffix.is_empty())
        .map(include)
        .collect()
}

/// Every name that the standard headers make a macro of that is no function's, here and now.
fn macros(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (compiler, standards) in STANDARDS.into_iter().filter(|(compiler, _)| have(&[compiler])) {
        for standard in standards {
            let (name, text) = match compiler {
                "cc" => ("all.c", includes(C_HEADERS, ".h")),
                _ => ("all.cc", includes(CPP_HEADERS, "")),
            };
            fs::write(folder.join(name), text).unwrap();
            let mut cc = Command::new(compiler);
            let printed = output(cc.arg(format!("-std={standard}")).args(["-dM", "-E"]).arg(folder.join(name)));
            let names = printed.lines().filter_map(|l| l.strip_prefix("#define ")?.split(' ').next());
            found.extend(names.filter(|n| !n.starts_with('_') && !n.contains('(')).map(str::to_owned));
        }
    }
    found
}

/// A model with an input and an output of each of these names, and an open extent of that of each.
fn model(name: &str, names: &[&str]) -> Compiled {
    let mut text = String::new();
    for (n, name) in names.iter().enumerate() {
        // A single open extent is enough, and keeps the struct readable.
        let extent = if n % 2 == 0 { "batch" } else { "3" };
        text += &format!("input \"{name}\" %x{n}\n%x{n} = input : f32[{extent},2]\n");
        text += &format!("%y{n} = binary {{\"f\":\"mul\"}} %x{n} %x{n}\noutput \"{name} squared\" %y{n}\n");
    }
    let graph = smc::graph::text::parse(&text, &Default::default()).unwrap();
    let options = Options { name: name.into(), ..Options::default() };
    let twice = vec![("serving_default".into(), graph.clone()), ("class".into(), graph)];
    driver::compile_graphs(twice, &options).unwrap_or_else(|e| panic!("{e}"))
}

/// Compiles a text in each standard, after the standard headers.
fn compiles(folder: &Path, header: &str, text: &str) {
    fs::write(folder.join("model.h"), header).unwrap();
    for (compiler, standards) in STANDARDS.into_iter().filter(|(compiler, _)| have(&[compiler])) {
        for standard in standards {
            let (name, first) = match compiler {
                "cc" => ("use.c", includes(C_HEADERS, ".h")),
                _ => ("use.cc", includes(CPP_HEADERS, "")),
            };
            let text = format!("{first}#include \"model.h\"\n#include <smc.h>\n#include \"model.h\"\n{text}");
            fs::write(folder.join(name), text).unwrap();
            let mut cc = Command::new(compiler);
            cc.arg(format!("-std={standard}")).args(["-Wall", "-Wextra", "-pedantic", "-Werror", "-c", "-o"]);
            cc.arg(folder.join("use.o")).arg("-I").arg(root().join("runtime/include")).arg(folder.join(name));
            output(&mut cc);
        }
    }
}

#[test]
fn names_of_the_standards_are_no_members() {
    let folder = tempfile::tempdir().unwrap();
    let types =
        ["int64_t", "uint8_t", "size_t", "FILE", "I", "NULL", "errno", "stdin", "INT64_MAX", "SIZE_MAX", "std", "smc"];
    let cpp = [
        "inputs",
        "span",
        "workspace",
        "status",
        "reserve",
        "data",
        "main",
        "serving_default",
        "_io",
        "needed_",
        "io_",
    ];
    let found = macros(folder.path());
    let all: Vec<&str> = found.iter().map(String::as_str).chain(types).chain(cpp).collect();
    let all: Vec<&str> = all.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let reserved: Vec<&str> = all.iter().copied().filter(|n| smc::emit::names::is_reserved(n)).collect();
    assert!(reserved.len() > 300, "{reserved:?}");
    // Names that differ in case alone are told apart by numbers.
    let named = |names: &[&str]| names.iter().map(|n| (n.to_string(), "f32[batch,2]".parse().unwrap())).collect();
    let signature = |key: &str, names: &[&str]| (key.to_string(), named(names), vec![]);
    let all = [&reserved[..], &cpp, &types].concat();
    let signatures = interface::signatures(vec![signature("serving_default", &all), signature("union", &cpp)]);
    let model = Interface {
        name: "m".into(),
        compiler: "smc".into(),
        fingerprint: [0; 32],
        levels: vec![],
        binds_weights: true,
        signatures,
        state: None,
        operators: vec![],
    };
    let use_it = "int main(void) { return (int)sizeof(struct m_serving_default) == 0; }\n";
    compiles(folder.path(), &header::header(&model, &[]), use_it);
}

/// Every macro of ISO C is in the list: a strict compiler defines no other that looks like one.
#[test]
fn macros_of_iso_c_are_known() {
    if !have(&["cc"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let headers = "complex errno fenv float inttypes iso646 limits locale math stddef stdint stdio stdlib string time wchar wctype";
    fs::write(folder.path().join("iso.c"), includes(headers, ".h")).unwrap();
    let mut cc = Command::new("cc");
    let printed = output(cc.args(["-std=c11", "-dM", "-E"]).arg(folder.path().join("iso.c")));
    let names = printed.lines().filter_map(|l| l.strip_prefix("#define ")?.split(' ').next());
    let unknown: Vec<&str> =
        names.filter(|n| !n.starts_with('_') && !n.contains('(') && !smc::emit::names::is_reserved(n)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// In C++ the struct has a name that no function hides; in C both names are one type.
#[test]
fn the_struct_has_two_names() {
    let folder = tempfile::tempdir().unwrap();
    let compiled = model("m", &["x"]);
    let text = "int main(void) {\n  m_serving_default_io io = {0};\n  struct m_serving_default same = io;\n  \
        return m_serving_default(&same, NULL, 0) != SMC_NULL_POINTER && m_x_class_workspace(0) != 0;\n}\n";
    let text = text.replace("= {0}", "= {NULL, NULL, 0, NULL, 0}");
    compiles(folder.path(), &compiled.header, &text);
}

/// The class checks its spans, keeps its workspace and says what is wrong, in C++17 and in C++20 with the standard's span.
#[test]
fn the_class_for_cpp_works() {
    if !have(&["c++"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let compiled = model("m", &["x", "int"]);
    fs::write(folder.path().join("model.h"), &compiled.header).unwrap();
    compiled.object.write(fs::File::create(folder.path().join("m.o")).unwrap()).unwrap();
    fs::write(folder.path().join("main.cc"), CLASS).unwrap();
    for standard in ["-std=c++17", "-std=c++20"] {
        let mut cc = Command::new("c++");
        cc.args([standard, "-Wall", "-Wextra", "-pedantic", "-Werror", "main.cc", "m.o", "-o", "program"]);
        output(cc.current_dir(folder.path()));
        assert_eq!(output(&mut Command::new(folder.path().join("program"))), "ok\n", "{standard}");
    }
}

const CLASS: &str = r#"
#include "model.h"
#include <cstdio>
#include <utility>
#include <vector>
#if __cplusplus >= 202002L
static_assert(std::is_same_v<smc::span<const float>, std::span<const float>>);
#endif
static_assert(!std::is_copy_constructible_v<smc::m::serving_default>);
int main() {
  std::vector<float> x{1, 2, 3, 4}, y(4);
  const float z[6] = {1, 2, 3, 4, 5, 6};
  float w[6];
  smc::m::serving_default model;
  if (model() != smc::status::null_pointer && model() != smc::status::short_span) return std::puts("nothing is set"), 1;
  model.x = x;
  model.x_squared = y;
  model.x_int = z;
  model.int_squared = w;
  model.batch = 3;
  if (model() != smc::status::short_span) return std::puts("a short span is taken"), 1;
  model.batch = -1;
  if (model() != smc::status::bad_dimension) return std::puts("a negative extent is taken"), 1;
  model.batch = 2;
  const smc::status status = model();
  if (status != smc::status::ok) return std::puts(smc::text(status)), 1;
  if (y[3] != 16 || w[5] != 36) return std::puts("wrong"), 1;
  smc::m::serving_default moved = std::move(model);
  y[3] = 0;
  if (moved() != smc::status::ok || y[3] != 16) return std::puts("a moved one is broken"), 1;
  moved.cpu = 99;
  if (moved() != smc::status::no_such_cpu) return std::puts("no such level"), 1;
  return std::puts("ok"), 0;
}
"#;
