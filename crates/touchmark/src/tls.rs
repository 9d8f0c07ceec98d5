//! How a connection is made and a statement cancelled, with or without TLS.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, Error, NoTls, Socket};

use crate::event::Event;

type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// A client, and what drives its connection: it gives what ended that, where it was not the client.
pub(crate) type Opened = (Client, Task<Option<Error>>);
type Open = dyn Fn(Config, Notices) -> Task<Result<Opened, Error>> + Send + Sync;
type Cancel = dyn Fn(CancelToken) -> Task<Result<(), Error>> + Send + Sync;

/// Notices that the server sent since they were last taken.
pub(crate) type Notices = Arc<Mutex<Vec<Event>>>;

/// Makes connections and cancels statements. The connector's type is hidden in here, so that a
/// migrator has no type parameter.
#[derive(Clone)]
pub(crate) struct Connector {
    pub open: Arc<Open>,
    pub cancel: Arc<Cancel>,
}

impl Connector {
    pub(crate) fn plain() -> Connector {
        Connector::new(NoTls)
    }

    pub(crate) fn new<T>(tls: T) -> Connector
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let for_cancel = tls.clone();
        Connector {
            open: Arc::new(move |config, notices| {
                let tls = tls.clone();
                Box::pin(async move {
                    let (client, mut connection) = config.connect(tls).await?;
                    let drive = std::future::poll_fn(move |cx| {
                        loop {
                            match std::task::ready!(connection.poll_message(cx)) {
                                Some(Ok(message)) => keep(&notices, message),
                                Some(Err(error)) => return Poll::Ready(Some(error)),
                                None => return Poll::Ready(None),
                            }
                        }
                    });
                    Ok((client, Box::pin(drive) as Task<Option<Error>>))
                })
            }),
            cancel: Arc::new(move |token| {
                let tls = for_cancel.clone();
                Box::pin(async move { token.cancel_query(tls).await })
            }),
        }
    }
}

/// A loop that raises a notice for each row must not fill the memory.
const MOST: usize = 1000;

fn keep(notices: &Notices, message: AsyncMessage) {
    let AsyncMessage::Notice(notice) = message else {
        return;
    };
    if let Ok(mut notices) = notices.lock()
        && notices.len() < MOST
    {
        notices.push(Event::Notice {
            severity: notice.severity().into(),
            message: notice.message().into(),
        });
    }
}
