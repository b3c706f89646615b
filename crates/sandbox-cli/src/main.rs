//! The `srt` program.
#![forbid(unsafe_code)]

fn main() {}
