//! The Debian packages that tests need beyond Rust and a C compiler: other languages, other machines.
//!
//! They are installed only where that was asked for. Elsewhere the tests that need them say that they are left out; a
//! build server must have them all.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::programs::{command, is_on_path, on_build_server, run};

/// A package, what shows that it is there, and what needs it.
struct Package {
    name: &'static str,
    shown_by: Shown,
    needed_by: &'static str,
}

enum Shown {
    Program(&'static str),
    File(&'static str),
    /// Python modules: a Debian Python comes without them.
    Modules(&'static str),
}

use Shown::{File, Modules, Program};

const PACKAGES: &[Package] = &[
    Package { name: "gcc", shown_by: Program("cc"), needed_by: "the demo and the C consumers" },
    Package { name: "g++", shown_by: Program("c++"), needed_by: "the C++ consumer" },
    Package { name: "libc6-dev", shown_by: File("/usr/include/stdio.h"), needed_by: "the C consumers" },
    Package { name: "python3", shown_by: Program("python3"), needed_by: "TensorFlow and the Python consumer" },
    Package { name: "python3-venv", shown_by: Modules("venv, ensurepip"), needed_by: "TensorFlow" },
    Package { name: "golang-go", shown_by: Program("go"), needed_by: "the Go consumer" },
    Package {
        name: "gcc-aarch64-linux-gnu",
        shown_by: Program("aarch64-linux-gnu-gcc"),
        needed_by: "aarch64 programs",
    },
    Package {
        name: "libc6-dev-arm64-cross",
        shown_by: File("/usr/aarch64-linux-gnu/include/stdio.h"),
        needed_by: "aarch64 programs",
    },
    Package {
        name: "gcc-riscv64-linux-gnu",
        shown_by: Program("riscv64-linux-gnu-gcc"),
        needed_by: "riscv64 programs",
    },
    Package {
        name: "libc6-dev-riscv64-cross",
        shown_by: File("/usr/riscv64-linux-gnu/include/stdio.h"),
        needed_by: "riscv64 programs",
    },
    Package { name: "gcc-s390x-linux-gnu", shown_by: Program("s390x-linux-gnu-gcc"), needed_by: "s390x programs" },
    Package {
        name: "libc6-dev-s390x-cross",
        shown_by: File("/usr/s390x-linux-gnu/include/stdio.h"),
        needed_by: "s390x programs",
    },
    Package { name: "elfutils", shown_by: Program("eu-elflint"), needed_by: "a look at shared libraries" },
    Package { name: "qemu-user-static", shown_by: Program("qemu-s390x-static"), needed_by: "running those programs" },
    Package { name: "qemu-system-arm", shown_by: Program("qemu-system-aarch64"), needed_by: "bare-metal aarch64" },
    Package { name: "qemu-system-misc", shown_by: Program("qemu-system-riscv64"), needed_by: "bare-metal riscv64" },
];

impl Package {
    fn is_there(&self) -> bool {
        match self.shown_by {
            Program(name) => is_on_path(name),
            File(path) => Path::new(path).exists(),
            Modules(names) => {
                command("python3").args(["-c", &format!("import {names}")]).output().is_ok_and(|o| o.status.success())
            }
        }
    }
}

fn missing() -> Vec<&'static Package> {
    PACKAGES.iter().filter(|package| !package.is_there()).collect()
}

/// Installs the missing packages if that is asked for or this is a build server; otherwise says what they are.
pub fn check(install: bool) -> Result<()> {
    let lacking = missing();
    if lacking.is_empty() {
        return Ok(());
    }
    if install || on_build_server() {
        install_packages(&lacking)?;
        let still: Vec<_> = missing().iter().map(|package| package.name).collect();
        if !still.is_empty() {
            bail!("still missing after the installation: {}", still.join(" "));
        }
        return Ok(());
    }
    println!("Not installed, so the tests that need it are left out:");
    for package in &lacking {
        println!("  {:<26} {}", package.name, package.needed_by);
    }
    let names: Vec<_> = lacking.iter().map(|package| package.name).collect();
    println!("`cargo xtask setup --install` installs them, or: apt-get install {}", names.join(" "));
    Ok(())
}

fn install_packages(packages: &[&Package]) -> Result<()> {
    if !is_on_path("apt-get") {
        let names: Vec<_> = packages.iter().map(|package| package.name).collect();
        bail!("there is no apt-get here; please install what Debian calls {}", names.join(" "));
    }
    apt_get(&["update", "--quiet"])?;
    let mut arguments = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    arguments.extend(packages.iter().map(|package| package.name));
    apt_get(&arguments).context("Debian packages could not be installed")
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let id = command("id").arg("--user").output().context("cannot ask who I am")?;
    let mut apt = if id.stdout.trim_ascii() == b"0" {
        command("apt-get")
    } else {
        let mut sudo = command("sudo");
        sudo.arg("apt-get");
        sudo
    };
    run(apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}
