//! Memory for two kinds of machine: that of the LM3S, which is also inside that
//! of every MPS2, and that of QEMU's RISC-V.

use std::env;
use std::fs;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=arm.x");
    println!("cargo:rerun-if-changed=riscv.x");
    let from = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("arm") => "arm.x",
        Ok("riscv32") => {
            println!("cargo:rustc-link-arg-bins=-Tmemory.x");
            "riscv.x"
        }
        _ => return,
    };
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::copy(from, Path::new(&out).join("memory.x")).expect("a directory to write to");
    println!("cargo:rustc-link-search={out}");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
}
