//! Isolation: namespaces, `/proc`, capabilities, descriptors, system calls, sockets.

mod kernel;
mod namespaces;
mod processes;
mod settings_modes;
mod sockets;
mod tracing;
