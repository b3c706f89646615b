//! What the settings of git repositories name, for the places they stand for.
//!
//! Only the reader of the settings is here yet: no rule asks it.

#[cfg(test)]
mod settings;
