//! The key file is looked at while the process runs, as certificates are: whoever changes the installation's key needs to tell nobody.

use shipei_store::crypto::{KEY_FILE_READ_EVERY, Keys};

use crate::shutdown::Shutdown;

/// Looks at the file of these keys now and then, until shutdown; one that can't be used is said, and the keys that are known go on.
pub fn keep_fresh(keys: &Keys, shutdown: &Shutdown) {
    let (keys, ending) = (keys.clone(), shutdown.clone());
    shutdown.spawn(async move {
        let mut complained = None;
        while !ending.has_begun() {
            tokio::select! {
                () = ending.begun() => return,
                () = tokio::time::sleep(KEY_FILE_READ_EVERY) => {}
            }
            let looking = keys.clone();
            match tokio::task::spawn_blocking(move || looking.look()).await {
                Ok(Ok(true)) => {
                    complained = None;
                    tracing::info!(keys = keys.ids().join(" "), "the key file is read anew");
                }
                Ok(Ok(false)) => complained = None,
                Err(_) => {}
                // Once for each fault, not every five seconds.
                Ok(Err(error)) => {
                    let said = error.to_string();
                    if complained.as_ref() != Some(&said) {
                        tracing::error!(%error, "the key file can't be used; the keys that are known go on");
                        complained = Some(said);
                    }
                }
            }
        }
    });
}
