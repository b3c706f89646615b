//! Writes a cpio archive in the "newc" format, which the kernel unpacks as its initramfs.
//! Format: Documentation/driver-api/early-userspace/buffer-format.rst.

/// An archive under construction. Every entry belongs to root and has no time, so equal inputs give equal bytes.
#[derive(Debug, Default)]
pub(crate) struct Cpio {
    bytes: Vec<u8>,
    entries: usize,
}

impl Cpio {
    /// Adds a directory.
    pub(crate) fn directory(&mut self, path: &str) {
        self.entry(path, 0o040_755, &[]);
    }

    /// Adds an executable file.
    pub(crate) fn executable(&mut self, path: &str, content: &[u8]) {
        self.entry(path, 0o100_755, content);
    }

    /// Adds a plain file.
    pub(crate) fn file(&mut self, path: &str, content: &[u8]) {
        self.entry(path, 0o100_644, content);
    }

    /// The finished archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let (inode, size, name) = (self.entries, content.len(), path.len() + 1);
        let header = format!(
            "070701{inode:08X}{mode:08X}{zero:08X}{zero:08X}{links:08X}{zero:08X}{size:08X}\
             {zero:08X}{zero:08X}{zero:08X}{zero:08X}{name:08X}{zero:08X}",
            zero = 0,
            links = 1,
        );
        self.bytes.extend(header.as_bytes());
        self.bytes.extend(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    /// Names and contents start at multiples of four bytes.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_the_trailer_comes_last() {
        let mut cpio = Cpio::default();
        cpio.directory("bin");
        cpio.executable("init", b"#!/bin/sh\n");
        cpio.file("list", b"x");
        let bytes = cpio.finish();
        assert_eq!(bytes.len() % 4, 0);
        let starts: Vec<usize> = bytes
            .windows(6)
            .enumerate()
            .filter(|(_, window)| window == b"070701")
            .map(|(at, _)| at)
            .collect();
        assert_eq!(starts.len(), 4);
        assert!(starts.iter().all(|start| start % 4 == 0));
        assert!(bytes.windows(10).any(|window| window == b"TRAILER!!!"));
    }
}
