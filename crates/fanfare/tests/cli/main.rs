//! Black-box tests of the command line: the real binary as publisher, subscriber and hub, started
//! and read as a shell would.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

mod broken_rule;
mod false_readiness;
mod hidden_fault;
mod lost_line;
mod misread_usage;
mod misrouted_command;
mod missing_page;
mod noisy_end;
mod unclear_output;
mod unmeasured_hub;
mod unsaid_remedy;
mod useless_token;
