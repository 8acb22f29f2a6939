//! End-to-end tests of the `sluicegate` binary.
