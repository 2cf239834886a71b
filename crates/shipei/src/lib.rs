//! The program: the five services put together, and what people do with them from a terminal.
//!
//! A command is a module with a `run`, named in `main.rs`. Whatever talks to the services does so through the public
//! gRPC API, also when they run in the same process: there is one way in.

pub mod adjust;
mod ask;
pub mod audit;
pub mod bar;
pub mod bench;
pub mod certificates;
pub mod config;
pub mod course;
pub mod demo;
pub mod display;
pub mod duties;
mod environment;
pub mod erase;
pub mod evidence;
pub mod explain;
pub mod files;
pub mod finalise;
pub mod honours;
pub mod operate;
pub mod person;
pub mod place;
pub mod progress;
mod redis;
pub mod rotate;
pub mod scheme;
pub mod serve;
pub mod services;
pub mod settings;
pub mod stats;
mod storage;
pub mod streams;
pub mod suite;
pub mod token;
pub mod versions;
pub mod who;
