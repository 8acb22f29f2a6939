//! End-to-end tests: one binary, the host as a process, real engines beside it.

#![allow(clippy::unwrap_used)]

mod added_columns;
mod admin;
mod altered;
mod arrow_hooks;
mod bad_input;
mod brake;
mod check;
mod codes;
mod dead_letters;
mod delivery;
mod demo;
mod enriched;
mod exactly_once;
mod fields;
mod hooks;
mod hostile_plugins;
mod imports;
mod infer;
mod json_schema;
mod json_values;
mod log;
mod looked_up;
mod lookups;
mod main_job;
mod memory;
mod nested;
mod operators;
mod outside_words;
mod pages;
mod plugin_author;
mod producers;
mod proof;
mod publish;
mod real_input;
mod recipes;
mod refused;
mod rights;
mod schema;
mod source;
mod split;
mod start;
mod types;
mod types_generated;
mod views;
