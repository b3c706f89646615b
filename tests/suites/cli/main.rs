//! The command line: words, streams, exit status, signals, terminals.

mod signals;
mod status;
mod terminal;
mod words;
