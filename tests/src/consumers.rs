//! The compiled models that test programs link, each compiled once per test binary.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use smc::{
    base::Problems,
    driver::{self, Options, Training},
    emit::{archive, shared},
    saved::{self, Model, revise::Head},
};

use crate::programs::{output, root};

/// How a model is compiled for a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Build {
    /// The directory of the SavedModel, from the project's root.
    pub model: &'static str,
    /// The prefix of its symbols and of the files' names.
    pub name: &'static str,
    /// The triple; the host without.
    pub target: Option<&'static str>,
    /// The processor; the target's baseline without.
    pub cpu: Option<&'static str>,
    /// A fixed batch.
    pub batch: Option<u64>,
    /// A new last layer of so many units, and the name of that layer, which alone learns.
    pub head: Option<(usize, &'static str)>,
}

impl Build {
    pub const MNIST: Build =
        Build { model: "examples/mnist/model", name: "mnist", target: None, cpu: None, batch: None, head: None };
    pub const CNN: Build = Build { model: "examples/mnist/cnn", name: "cnn", ..Build::MNIST };

    /// The folder that holds the header and what [`Build::object`] and [`Build::archive`] name; it lies beside the
    /// running test's program.
    pub fn folder(&self) -> PathBuf {
        let Build { name, target, cpu, batch, .. } = self;
        let batch = batch.map_or("any".into(), |n| n.to_string());
        let folder = std::env::current_exe().expect("a running program").with_extension("models");
        folder.join(format!("{name}-{}-{}-{batch}", target.unwrap_or("host"), cpu.unwrap_or("any")))
    }
    /// `libNAME.o`.
    pub fn object(&self) -> PathBuf {
        self.compile("o")
    }
    /// `libNAME.a`.
    pub fn archive(&self) -> PathBuf {
        self.compile("a")
    }

    /// `libNAME.so`, which no linker made.
    pub fn library(&self) -> PathBuf {
        self.compile("so")
    }

    fn compile(&self, extension: &'static str) -> PathBuf {
        static MADE: Mutex<BTreeSet<(Build, &str)>> = Mutex::new(BTreeSet::new());
        let path = self.folder().join(format!("lib{}.{extension}", self.name));
        let mut made = MADE.lock().unwrap_or_else(|e| e.into_inner());
        if made.insert((*self, extension)) {
            let options = Options {
                name: self.name.into(),
                batch: self.batch,
                target: self.target.map(String::from),
                cpu: self.cpu.map(String::from),
                shared: (extension == "so").then(|| format!("lib{}.so", self.name)),
                ..Options::default()
            };
            let model = Model::open(root().join(self.model), &saved::Options::default());
            let compiled = model.and_then(|model| self.compiled(&model, options));
            let compiled = compiled.unwrap_or_else(|problems| panic!("{self:?}: {problems}"));
            fs::create_dir_all(self.folder()).expect("a folder for compiled models");
            let file = || fs::File::create(&path).expect("a file for the object");
            match extension {
                "a" => archive::write("model.o", &compiled.object, &mut file()),
                "so" => shared::write(&compiled.object, &format!("lib{}.so", self.name), file()),
                _ => compiled.object.write(file()),
            }
            .expect("the object is written");
            fs::write(path.with_extension("h"), compiled.header).expect("a file for the header");
        }
        path
    }

    fn compiled(&self, model: &Model, options: Options) -> Result<driver::Compiled, Problems> {
        let Some((units, layer)) = self.head else { return driver::compile(model, &options, &mut |_| ()) };
        let revised = driver::with_head(model, &options, &Head { units, activation: None }, 0)?;
        let model = Model::load(Arc::new(revised), &saved::Options::default())?;
        let loss = "sparse_categorical_crossentropy".parse().expect("a loss");
        let optimizer = "sgd:lr=0.1".parse().expect("a rule");
        let training = Training { only: vec![layer.into()], ..Training::new(loss, optimizer) };
        driver::compile(&model, &Options { training: Some(training), ..options }, &mut |_| ())
    }
}

/// The handwritten digits that the examples classify.
pub fn digits() -> PathBuf {
    root().join("examples/mnist/digits.bin")
}

/// Panics unless a program's last line says that it recognised most digits.
pub fn assert_recognised(printed: &str) {
    let line = printed.lines().last().unwrap_or("");
    let mut words = line.split(' ');
    let numbers = (words.next().and_then(|n| n.parse::<u32>().ok()), words.nth(1).and_then(|n| n.parse::<u32>().ok()));
    let (Some(right), Some(count)) = numbers else { panic!("not a result: `{line}` in\n{printed}") };
    assert!(line.ends_with("digits recognised") && count >= 10 && right * 10 >= count * 9, "{line}");
}

/// Compiles a C program against models and returns its path, inside `folder`.
pub fn link_c(compiler: &str, source: &Path, models: &[Build], flags: &[&str], folder: &Path) -> PathBuf {
    let program = folder.join(source.file_stem().expect("a file"));
    let mut cc = Command::new(compiler);
    cc.args(["-O1", "-Wall", "-Wextra", "-pedantic", "-Werror"]);
    cc.arg("-I").arg(root().join("runtime/include")).arg("-o").arg(&program).arg(source);
    for model in models {
        cc.arg("-I").arg(model.folder()).arg(model.object());
    }
    // Last, since libraries come after what needs them.
    output(cc.args(flags));
    program
}
