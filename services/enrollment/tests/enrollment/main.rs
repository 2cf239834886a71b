//! Enrollment through its own gRPC API, in memory, every test on SQLite and on Postgres. A new test is an
//! `async fn name(world: World)` in the file of its service, named in that file's `on_both!`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod amended;
mod bars;
mod correct_person;
mod corrections;
mod counties;
mod erase;
mod files;
mod leave;
mod people;
mod places;
mod programmes;
mod roster;
mod rotated;
mod transfers;
mod world;

/// Runs each test on both databases.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::world::World::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::world::World::postgres().await).await;
            })+
        }
    };
}
