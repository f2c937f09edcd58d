//! The least that an HTTP server can do: ready-made bytes for each request, on threads of its own.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::load::{content_length, head_end};

/// Threads of a server's runtime: as many as the product's has on the machine that targets are for.
const THREADS: usize = 2;

/// A runtime of its own, as a process of its own would have; it ends with this value.
pub struct Apart(Option<Runtime>);

impl Apart {
    /// Starts the threads.
    pub fn start() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs something there.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0 {
            runtime.spawn(work);
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A server that answers every request with a body of so many bytes.
pub async fn start(apart: &Apart, body_bytes: usize) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await?
        .into_std()?;
    let address = listener.local_addr()?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {body_bytes}\r\n\r\n{}",
        " ".repeat(body_bytes)
    );
    apart.spawn(async move {
        let Ok(listener) = TcpListener::from_std(listener) else {
            return;
        };
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone().into_bytes();
            // A client that goes away ends its task.
            tokio::spawn(async move { serve(stream, &answer).await.ok() });
        }
    });
    Ok(address)
}

async fn serve(mut stream: TcpStream, answer: &[u8]) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::with_capacity(4_096);
    loop {
        let whole = match head_end(&request) {
            Some(head) => head + content_length(std::str::from_utf8(&request[..head])?)?,
            None => usize::MAX,
        };
        if request.len() >= whole {
            request.drain(..whole);
            stream.write_all(answer).await?;
        } else if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
}
