//! Real programs: git, compilers, Python, Node, an MCP server.

mod browsers;
mod builds;
mod git;
mod mcp;
mod scripts;
