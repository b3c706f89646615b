//! Builds the init image: the tiny static program that becomes pid 1 of a sandbox.
//!
//! It is compiled by the same `rustc` as the crate, without std and without libc, so that it needs
//! neither a loader nor a library inside the sandbox and none of the host program's memory stays
//! mapped in the process that outlives the launch.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a build script gets its input in variables and runs the compiler"
)]

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=src/sys/init_image/main.rs");
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let rustc = env::var("RUSTC").expect("cargo sets RUSTC");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let mut command = Command::new(rustc);
    command
        .args([
            "--edition",
            "2024",
            "--crate-name",
            "srt_init",
            "--crate-type",
            "bin",
        ])
        .args(["--target", &target])
        .args([
            "-C",
            "panic=abort",
            "-C",
            "opt-level=s",
            "-C",
            "strip=symbols",
        ])
        .args([
            "-C",
            "relocation-model=static",
            "-C",
            "target-feature=+crt-static",
        ])
        // Without debug assertions and overflow checks nothing in it can panic.
        .args(["-C", "debug-assertions=off", "-C", "overflow-checks=off"])
        .args(["-C", "link-arg=-nostartfiles", "-C", "link-arg=-nostdlib"])
        .args([
            "-C",
            "link-arg=-static",
            "-C",
            "link-arg=-Wl,--build-id=none",
        ])
        .arg("-o")
        .arg(Path::new(&out).join("srt-init"))
        .arg("src/sys/init_image/main.rs");
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        command.arg("-C").arg(format!("linker={linker}"));
    }
    let status = command.status().expect("rustc runs");
    assert!(
        status.success(),
        "the init image does not compile: {status}"
    );
}
