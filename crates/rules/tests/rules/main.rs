//! The rules against the law: table cases at every edge, then properties over generated facts.
//!
//! One binary, so that it links once. A module here tests the module of the crate with its name; to add a case, add a line
//! to the nearest table.

#[cfg(test)]
mod adjustments;
#[cfg(test)]
mod counties;
#[cfg(test)]
mod identity_numbers;
#[cfg(test)]
mod intervals;
#[cfg(test)]
mod marking;
#[cfg(test)]
mod odd_schemes;
#[cfg(test)]
mod schemes;
#[cfg(test)]
mod study_time;
#[cfg(test)]
mod submissions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod trainee_properties;
#[cfg(test)]
mod trainees;
#[cfg(test)]
mod tutors;
#[cfg(test)]
mod windows;
