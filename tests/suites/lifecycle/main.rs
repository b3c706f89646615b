//! Lifecycle: many starts, sudden ends, and nothing left behind.

mod children;
mod containers;
mod ends;
mod starts;
mod traces;
