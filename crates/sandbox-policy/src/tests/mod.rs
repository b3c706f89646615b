//! Laws and tables of the policy.
