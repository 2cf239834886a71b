//! A client of the suite, for whatever talks to it from outside: channels, consistency tokens and calls that are tried
//! again ([`client`]), the tokens that are brought ([`bearer`]), how logs are followed
//! ([`feed`]), a season's files ([`season`]), and how a season is sent and its scores are read ([`replay`]). It has
//! no terminal and no server: the program `shipei` and the tests show what it does, each in its way.

pub mod bearer;
pub mod client;
pub mod feed;
pub mod replay;
pub mod season;
