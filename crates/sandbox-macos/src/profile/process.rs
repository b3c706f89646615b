//! Processes: starting them is free, as children stay in the sandbox; touching others is not.

use super::sbpl::{Filter, Form, Operation, Rule};

/// The rules about processes.
pub(crate) fn rules() -> Vec<Form> {
    vec![
        Form::Comment("Children inherit the profile. Only processes of this sandbox are touched."),
        Rule::allow(&[Operation::ProcessExec], Vec::new()),
        Rule::allow(&[Operation::ProcessFork], Vec::new()),
        Rule::allow(&[Operation::ProcessInfo], vec![Filter::SameSandbox]),
        Rule::allow(&[Operation::Signal], vec![Filter::SameSandbox]),
        Rule::allow(&[Operation::MachPrivTaskPort], vec![Filter::SameSandbox]),
    ]
}
