//! Compilers and linkers, with their scratch files.

use sandbox_tests::{Bed, need, tool_path};

#[test]
fn a_c_program_is_built_and_run() {
    let gcc = need!("gcc");
    let bed = Bed::new();
    bed.file(
        "work/hello.c",
        "#include <stdio.h>\n#include \"hello.h\"\nint main(void) { puts(GREETING); return 0; }\n",
    );
    bed.file("work/hello.h", "#define GREETING \"hello from inside\"\n");
    bed.srt()
        .args([
            gcc.to_str().unwrap(),
            "-O2",
            "-Wall",
            "-o",
            "hello",
            "hello.c",
        ])
        .within(120.0)
        .run()
        .ok();
    bed.srt()
        .args(["./hello"])
        .run()
        .ok()
        .prints("hello from inside\n");
    assert!(bed.work().join("hello").symlink_metadata().is_ok());
}

#[test]
fn make_runs_jobs_side_by_side() {
    need!("gcc");
    let make = need!("make");
    let bed = Bed::new();
    let units: Vec<String> = (0..8).map(|number| format!("u{number}")).collect();
    for unit in &units {
        bed.file(
            format!("work/{unit}.c"),
            format!("int {unit}(void) {{ return 1; }}\n"),
        );
    }
    let calls: Vec<String> = units.iter().map(|unit| format!("{unit}()")).collect();
    let declarations: String = units
        .iter()
        .map(|unit| format!("int {unit}(void);\n"))
        .collect();
    bed.file(
        "work/main.c",
        format!(
            "{declarations}int main(void) {{ return {} == 8 ? 0 : 1; }}\n",
            calls.join(" + ")
        ),
    );
    let objects: Vec<String> = units.iter().map(|unit| format!("{unit}.o")).collect();
    bed.file(
        "work/Makefile",
        format!(
            "main: main.o {0}\n\tgcc -o $@ $^\n%.o: %.c\n\tgcc -c -o $@ $<\n",
            objects.join(" ")
        ),
    );
    bed.srt()
        .args([make.to_str().unwrap(), "-j4"])
        .within(120.0)
        .run()
        .ok();
    bed.srt().args(["./main"]).run().ok();
}

#[test]
fn a_rust_program_is_built_and_tested() {
    let cargo = need!("cargo");
    let bed = Bed::new();
    bed.file(
        "work/Cargo.toml",
        "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n",
    );
    bed.file(
        "work/src/main.rs",
        "fn main() { println!(\"{}\", twice(21)); }\nfn twice(n: u32) -> u32 { n * 2 }\n#[test]\nfn doubles() { assert_eq!(twice(2), 4); }\n",
    );
    // Cargo's own home holds the toolchain's proxies and its cache; it is only read here.
    let mut path = cargo.parent().unwrap().to_str().unwrap().to_owned();
    path.push(':');
    path.push_str(tool_path());
    let real_home = cargo.ancestors().nth(3).unwrap().to_path_buf();
    let run = |words: &[&str]| {
        let mut all = vec![cargo.to_str().unwrap()];
        all.extend(words);
        bed.srt()
            .env("PATH", &path)
            .env("RUSTUP_HOME", real_home.join(".rustup"))
            .env("CARGO_HOME", bed.work().join(".cargo-home"))
            .args(all)
            .within(300.0)
            .run()
    };
    run(&["build", "--offline"]).ok();
    run(&["run", "--offline", "-q"]).ok().prints("42\n");
    run(&["test", "--offline", "-q"]).ok();
}
