// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"net"
)

// measureEcho: the net package, a goroutine per connection. Go sets NODELAY itself and takes
// the backlog from net.core.somaxconn (4096 on current kernels). Serves until it is killed.
func measureEcho(run) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	need(err == nil, "listen")
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := listener.Accept()
		if err != nil {
			continue
		}
		go echo(conn)
	}
}

func echo(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 1024)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return
		}
	}
}
