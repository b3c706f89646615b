//! Resolvers of their own kind: each program looks names up in its own way and connects to what it finds,
//! and neither knows of any proxy.

use std::path::PathBuf;

use sandbox_tests::{Bed, Origin, host, need, need_names, skip, tool};

use crate::{NAME, OTHER, allowing, named};

const C: &str = include_str!("lookup.c");
const ARES: &str = include_str!("lookup_ares.c");
const JAVA: &str = include_str!("Lookup.java");
const GO: &str = include_str!("lookup.go");

/// A name below the allowed one, which is not.
const BELOW: &str = "sub.origin.srt.test";

/// Compiles a C program; `None` where a library is missing.
fn compiled(bed: &Bed, compiler: &str, text: &str, flags: &[&str]) -> Option<PathBuf> {
    let compiler = tool(compiler)?;
    let source = bed.file("lookup.c", text);
    let program = bed.work().join("lookup");
    let words = [source.to_str()?, "-O1", "-o", program.to_str()?];
    let words = words.into_iter().chain(flags.iter().copied());
    host(&compiler, words).succeeded().then_some(program)
}

/// Allowed names are found in both families and answer; others are not found, and nothing arrives.
#[track_caller]
fn finds_what_is_allowed(bed: &Bed, program: &[&str], variables: &[(&str, &str)]) {
    let origin = Origin::start();
    let port = origin.port().to_string();
    let upper = NAME.to_uppercase();
    let dotted = format!("{NAME}.");
    let names = [NAME, OTHER, BELOW, "localhost.srt.test", &upper, &dotted];
    let srt = named(bed, &allowing(origin.port())).args(program.iter().copied());
    let srt = variables
        .iter()
        .fold(srt, |srt, (name, value)| srt.env(*name, *value));
    let output = srt.args([port.as_str()]).args(names).run().ok();
    let expected: String = names
        .iter()
        .map(|name| match *name {
            OTHER | BELOW | "localhost.srt.test" => format!("{name}: 0 0, 0 answered\n"),
            name => format!("{name}: 1 1, 2 answered\n"),
        })
        .collect();
    output.prints(expected);
    assert_eq!(origin.accepted(), 6);
    // A port that is not allowed: the name is found, and nothing arrives.
    let other = Origin::start();
    let srt = named(bed, &allowing(origin.port())).args(program.iter().copied());
    let srt = variables
        .iter()
        .fold(srt, |srt, (name, value)| srt.env(*name, *value));
    let output = srt.args([&other.port().to_string(), NAME]).run().ok();
    output.prints(format!("{NAME}: 1 1, 0 answered\n"));
    assert_eq!((origin.accepted(), other.accepted()), (6, 0));
}

#[test]
fn glibc() {
    need_names!();
    need!("gcc");
    let bed = Bed::new();
    let Some(program) = compiled(&bed, "gcc", C, &[]) else {
        skip!("no C library to compile with")
    };
    finds_what_is_allowed(&bed, &[program.to_str().unwrap()], &[]);
}

#[test]
fn glibc_with_search_lists_and_ndots() {
    need_names!();
    need!("gcc");
    let bed = Bed::new();
    let Some(program) = compiled(&bed, "gcc", C, &[]) else {
        skip!("no C library to compile with")
    };
    let program = program.to_str().unwrap();
    // The list is asked first, for nothing: the name itself is found all the same.
    let variables = [
        ("LOCALDOMAIN", "corp.test other.test"),
        ("RES_OPTIONS", "ndots:9"),
    ];
    finds_what_is_allowed(&bed, &[program], &variables);
    // A name is found by its first part.
    let origin = Origin::start();
    let output = named(&bed, &allowing(origin.port()))
        .env("LOCALDOMAIN", "corp.test srt.test")
        .args([program, &origin.port().to_string(), "origin", "other"])
        .run()
        .ok();
    output.prints("origin: 1 1, 2 answered\nother: 0 0, 0 answered\n");
    assert_eq!(origin.accepted(), 2);
}

#[test]
fn musl() {
    need_names!();
    need!("musl-gcc");
    let bed = Bed::new();
    let Some(program) = compiled(&bed, "musl-gcc", C, &["-static"]) else {
        skip!("musl-gcc compiles nothing here")
    };
    finds_what_is_allowed(&bed, &[program.to_str().unwrap()], &[]);
}

#[test]
fn c_ares() {
    need_names!();
    need!("gcc");
    let bed = Bed::new();
    let Some(program) = compiled(&bed, "gcc", ARES, &["-lcares"]) else {
        skip!("no c-ares to compile with")
    };
    finds_what_is_allowed(&bed, &[program.to_str().unwrap()], &[]);
}

#[test]
fn java() {
    need_names!();
    let java = need!("java");
    let bed = Bed::new();
    let javac = need!("javac");
    let source = bed.file("work/Lookup.java", JAVA);
    let work = bed.work().to_str().unwrap().to_owned();
    if !host(&javac, ["-d", &work, source.to_str().unwrap()]).succeeded() {
        skip!("javac compiles nothing here");
    }
    let java = java.to_str().unwrap();
    finds_what_is_allowed(
        &bed,
        &[
            java,
            "-Xshare:auto",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            &work,
            "Lookup",
        ],
        &[],
    );
}

#[test]
fn go() {
    need_names!();
    let go = need!("go");
    let bed = Bed::new();
    let source = bed.file("work/lookup.go", GO);
    let program = bed.work().join("lookup");
    let line = "export HOME=$0 GOCACHE=$0/cache CGO_ENABLED=0 GO111MODULE=off; exec \"$1\" build -o \"$2\" \"$3\"";
    let shell = tool("sh").unwrap();
    let words = [
        "-c",
        line,
        bed.home().to_str().unwrap(),
        go.to_str().unwrap(),
    ];
    let files = [program.to_str().unwrap(), source.to_str().unwrap()];
    if !host(&shell, words.into_iter().chain(files)).succeeded() {
        skip!("go builds nothing here");
    }
    finds_what_is_allowed(&bed, &[program.to_str().unwrap()], &[]);
}
