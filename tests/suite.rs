//! What only the whole suite can show: seasons in and scores out, on both databases, in one process and in five,
//! sent twice, rebuilt, called by other people's clients, and as a cluster whose parts die. One binary, so that it links once.
//!
//! To add a test: a function in the module of its subject, or a module here. The harness starts and ends suites.
#![cfg(test)]

mod agreed;
mod architecture;
mod arrival;
mod arrows;
mod attack;
mod backends;
mod bad_input;
mod certified;
mod clients;
mod cluster;
mod collector;
mod corrected;
mod corrected_courses;
mod decided;
mod documents;
mod erased;
mod events_page;
mod examples;
mod extensions;
mod faults;
mod fill;
mod fuzz;
mod harness;
mod identity;
mod linear;
mod machine;
mod merged;
mod merged_places;
mod merged_staff;
mod migrations;
mod moved;
mod oracle;
mod places;
mod rights;
mod roles;
mod seasons;
mod similar;
mod statistics;
mod streams;
mod telemetry;
mod worst;
