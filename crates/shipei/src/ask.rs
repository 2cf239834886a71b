//! How commands ask a running suite: one call, or all pages of a list.

/// One unary call, tried again as every good client does: `ask!(clients, "enrollment", PersonServiceClient.get_person, message)`.
/// Gives the answer, or an error that names the reason.
macro_rules! ask {
    ($clients:expr, $service:literal, $client:ident . $method:ident, $message:expr) => {{
        let (clients, message) = ($clients, $message);
        clients
            .call(|| {
                let request = clients.unary(message.clone());
                let mut client = $client::new(clients.channel($service))
                    .max_decoding_message_size(clients.message_bytes_max());
                async move { client.$method(request).await }
            })
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| anyhow::anyhow!("{}", shipei_client::client::explain(&status)))
    }};
}

/// All pages of a list, each given to `$each`: the message is made anew for every page.
macro_rules! each_page {
    ($clients:expr, $service:literal, $client:ident . $method:ident, $message:expr, |$page:ident| $each:expr) => {{
        let mut page_token = String::new();
        loop {
            let mut message = $message;
            message.page_size = $crate::ask::PAGE_SIZE;
            message.page_token = page_token;
            let mut $page = $crate::ask::ask!($clients, $service, $client.$method, message)?;
            page_token = std::mem::take(&mut $page.next_page_token);
            $each;
            if page_token.is_empty() {
                break;
            }
        }
    }};
}

pub(crate) use {ask, each_page};

/// Rows of one page of a list.
pub(crate) const PAGE_SIZE: i32 = 1_000;
