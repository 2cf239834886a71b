//! Who may see and do what: the table in docs/rights.md, and a walk over every RPC, role and relation.

mod roles;
mod rows;
mod table;
mod unmask;
mod walk;
mod wire;
mod world;
