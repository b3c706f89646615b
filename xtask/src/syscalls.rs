//! `cargo xtask syscalls`: the table of system call numbers, out of the constants of the `libc` crate for each
//! architecture, so that the filter for one is compiled and tested on any other.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use anyhow::{Context as _, Result, bail};
use cargo_metadata::MetadataCommand;
use clap::Args as ClapArgs;

use crate::{shell::say, suites::host_target, workspace};

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Write nothing; fail where the file differs.
    #[arg(long)]
    check: bool,
}

/// Writes the table, or compares it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let path = workspace::metadata()?
        .workspace_root
        .into_std_path_buf()
        .join(TABLE);
    let current = generate()?;
    if args.check {
        let written = fs::read_to_string(&path).context(TABLE)?;
        if written != current {
            bail!("`{TABLE}` is out of date: run `cargo xtask syscalls`");
        }
        return Ok(());
    }
    fs::write(&path, current).context(TABLE)?;
    say(format!("{TABLE} written"));
    Ok(())
}

const TABLE: &str = "crates/sandbox-linux/src/filter/numbers/table.rs";

/// Where `libc` has the constants, by the column: x86-64, aarch64, riscv64.
const SOURCES: [(usize, &str); 4] = [
    (0, "x86_64/not_x32.rs"),
    (1, "aarch64/mod.rs"),
    (1, "aarch64/lp64.rs"),
    (2, "riscv64/mod.rs"),
];

/// Calls that `libc` has no constant for yet (scripts/syscall.tbl of the kernel).
const NEWER: [(&str, u32); 6] = [
    ("setxattrat", 463),
    ("getxattrat", 464),
    ("listxattrat", 465),
    ("removexattrat", 466),
    ("open_tree_attr", 467),
    ("file_setattr", 469),
];

/// Calls of riscv64 that `libc` leaves out (include/uapi/asm-generic/unistd.h of the kernel).
const OMITTED_ON_RISCV64: [(&str, u32); 1] = [("kexec_file_load", 294)];

/// From here on a call has the same number on every architecture (since Linux 5.1).
const SHARED: u32 = 424;

fn generate() -> Result<String> {
    // Without it cargo wants the packages of all systems, of which a new machine has only those that were built.
    let platform = format!("--filter-platform={}", host_target()?);
    let metadata = MetadataCommand::new()
        .other_options(["--offline".to_owned(), "--locked".to_owned(), platform])
        .exec()
        .context("cannot find the `libc` crate with cargo")?;
    let libc = metadata
        .packages
        .iter()
        .filter(|package| package.name == "libc");
    let libc = libc.max_by_key(|package| package.version.clone());
    let libc = libc.context("no `libc` in the lock file")?;
    let sources = libc
        .manifest_path
        .parent()
        .context("a package without a directory")?
        .join("src/unix/linux_like/linux/gnu/b64");
    let mut table = BTreeMap::new();
    for (column, source) in SOURCES {
        let path = sources.join(source);
        let text = fs::read_to_string(&path).with_context(|| path.to_string())?;
        collect(&text, column, &mut table);
    }
    complete(&mut table);
    if table.len() < 300 {
        bail!("only {} calls found in {sources}", table.len());
    }
    Ok(render(&table))
}

type Table = BTreeMap<String, [Option<u32>; 3]>;

fn collect(text: &str, column: usize, table: &mut Table) {
    let definitions = text.lines().filter_map(|line| {
        let (name, number) = line
            .strip_prefix("pub const SYS_")?
            .strip_suffix(';')?
            .split_once(": c_long = ")?;
        Some((name, number.parse().ok()?))
    });
    for (name, number) in definitions {
        let row = table.entry(name.to_owned()).or_default();
        if let Some(cell) = row.get_mut(column) {
            *cell = Some(number);
        }
    }
}

/// `libc` does not name every call on every architecture.
fn complete(table: &mut Table) {
    for (name, number) in NEWER {
        table.entry(name.to_owned()).or_insert([Some(number); 3]);
    }
    for (name, number) in OMITTED_ON_RISCV64 {
        if let Some([_, _, riscv64]) = table.get_mut(name) {
            *riscv64 = Some(number);
        }
    }
    for row in table.values_mut() {
        let shared = row
            .iter()
            .flatten()
            .find(|number| **number >= SHARED)
            .copied();
        if let Some(number) = shared {
            *row = [Some(number); 3];
        }
    }
}

fn render(table: &Table) -> String {
    let mut text = String::from(
        "//! Numbers of system calls on x86-64, aarch64 and riscv64, sorted by name.\n\
         //!\n\
         //! Written by `cargo xtask syscalls` from the constants of the `libc` crate.\n\n\
         use super::{NONE, Row};\n\n\
         pub(super) const TABLE: &[Row] = &[\n",
    );
    for (name, numbers) in table {
        let numbers = numbers
            .map(|number| number.map_or_else(|| "NONE".to_owned(), |number| number.to_string()));
        // Writing to a string does not fail.
        let _written = writeln!(text, "    (\"{name}\", [{}]),", numbers.join(", "));
    }
    text.push_str("];\n");
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_table_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(TABLE);
        let written = fs::read_to_string(path).unwrap();
        assert!(written == generate().unwrap(), "run `cargo xtask syscalls`");
    }

    #[test]
    fn constants_are_found_and_completed() {
        let mut table = Table::new();
        collect(
            "pub const SYS_a: c_long = 7;\nconst SYS_b: c_long = 8;\n",
            0,
            &mut table,
        );
        collect("pub const SYS_c: c_long = 450;\n", 1, &mut table);
        complete(&mut table);
        assert_eq!(table["a"], [Some(7), None, None]);
        assert_eq!(table["c"], [Some(450); 3]);
        assert!(!table.contains_key("b"));
        assert_eq!(table["setxattrat"], [Some(463); 3]);
        assert!(render(&table).contains("    (\"a\", [7, NONE, NONE]),\n"));
    }
}
