//! Real programs: git, compilers, Python, Node, an MCP server, databases and agents.
#![expect(
    clippy::expect_used,
    reason = "suites fail loudly: a broken assumption of a case is a failure"
)]

mod browsers;
mod builds;
mod git;
mod mcp;
mod scripts;
mod sockets;
