//! Takes the uncompressed kernel out of a `vmlinuz`: an emulated machine boots it over a second faster.

use std::{fs, io::Write as _, path::Path, process::Stdio, thread};

use anyhow::{Context as _, Result, bail};

use crate::shell::command;

/// Writes the ELF kernel that `vmlinuz` carries to `to`.
pub(crate) fn extract(vmlinuz: &Path, to: &Path) -> Result<()> {
    let image =
        fs::read(vmlinuz).with_context(|| format!("cannot read `{}`", vmlinuz.display()))?;
    for (magic, program) in FORMATS {
        for start in positions(&image, magic) {
            let Some(compressed) = image.get(start..) else {
                continue;
            };
            let kernel = decompress(program, compressed)?;
            if kernel.starts_with(b"\x7fELF") {
                return fs::write(to, kernel)
                    .with_context(|| format!("cannot write `{}`", to.display()));
            }
        }
    }
    bail!(
        "`{}` holds no kernel in a known compression",
        vmlinuz.display()
    )
}

/// The output of `program` for `compressed`. What follows the end of the compressed stream makes it complain, so its
/// exit status says nothing; the caller looks at the result instead.
pub(crate) fn decompress(program: &[&str], compressed: &[u8]) -> Result<Vec<u8>> {
    let (name, args) = program.split_first().context("no program")?;
    let mut child = command(name)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start `{name}`"))?;
    let mut stdin = child.stdin.take().context("the stdin pipe is missing")?;
    thread::scope(|scope| {
        // The program closes its stdin as soon as the stream has ended: a broken pipe is expected.
        scope.spawn(move || stdin.write_all(compressed).is_ok());
        Ok(child.wait_with_output()?.stdout)
    })
}

fn positions<'image>(
    image: &'image [u8],
    magic: &'image [u8],
) -> impl Iterator<Item = usize> + 'image {
    image
        .windows(magic.len())
        .enumerate()
        .filter(move |(_, window)| *window == magic)
        .map(|(start, _)| start)
}

/// What marks the start of a stream, and the program that reads it.
const FORMATS: &[(&[u8], &[&str])] = &[
    (b"\xfd7zXZ\x00", &["xz", "-dc"]),
    (b"\x28\xb5\x2f\xfd", &["zstd", "-dqc"]),
    (b"\x1f\x8b\x08", &["gzip", "-dc"]),
    (b"\x02!L\x18", &["lz4", "-dc"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn gzipped(content: &[u8]) -> Vec<u8> {
        decompress(&["gzip", "-c"], content).unwrap()
    }

    #[test]
    fn finds_the_stream_behind_other_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("vmlinuz"), dir.path().join("vmlinux"));
        let mut image = b"boot code \x1f\x8b\x08 that only looks like one".to_vec();
        image.extend(gzipped(b"\x7fELF kernel"));
        image.extend(b"trailer");
        fs::write(&from, image).unwrap();
        extract(&from, &to).unwrap();
        assert_eq!(fs::read(to).unwrap(), b"\x7fELF kernel");
    }

    #[test]
    fn an_image_without_a_kernel_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("vmlinuz");
        fs::write(&from, gzipped(b"not a kernel")).unwrap();
        assert!(extract(&from, &dir.path().join("vmlinux")).is_err());
    }
}
