//! Tells the linker where the memory of the lm3s6965evb is.

fn main() {
    let board = concat!(env!("CARGO_MANIFEST_DIR"), "/../lm3s6965evb");
    println!("cargo:rustc-link-search={board}");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rerun-if-changed={board}/memory.x");
}
