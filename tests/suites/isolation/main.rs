//! Isolation: namespaces, `/proc`, capabilities, descriptors, system calls, sockets.

mod kernel;
mod processes;
mod settings_modes;
mod sockets;
mod unix_sockets;
