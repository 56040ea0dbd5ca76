// SPDX-License-Identifier: MIT

//! TCP echo, a task per connection; backlog 4096, NODELAY. Serves until it is killed.

use crate::Run;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

async fn echo(mut stream: TcpStream) {
    let mut buf = [0u8; 1024];
    while let Ok(n) = stream.read(&mut buf).await {
        if n == 0 || stream.write_all(&buf[..n]).await.is_err() {
            return;
        }
    }
}

pub fn serve(run: &Run) {
    run.runtime().block_on(async {
        let server = tokio::spawn(async {
            let socket = TcpSocket::new_v4().expect("socket");
            socket.bind("127.0.0.1:0".parse().unwrap()).expect("bind");
            let listener = socket.listen(4096).expect("listen");
            println!("port {}", listener.local_addr().expect("address").port());
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(echo(stream));
                }
            }
        });
        server.await.unwrap();
    });
}
