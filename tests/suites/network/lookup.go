// Looks names up by Go's own resolver and tries what it finds. Arguments: a port, names.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
)

func main() {
	resolver := &net.Resolver{PreferGo: true}
	for _, name := range os.Args[2:] {
		four, six, answered := 0, 0, 0
		found, _ := resolver.LookupIPAddr(context.Background(), name)
		for _, one := range found {
			if one.IP.To4() != nil {
				four++
			} else {
				six++
			}
			s, err := net.Dial("tcp", net.JoinHostPort(one.String(), os.Args[1]))
			if err != nil {
				continue
			}
			fmt.Fprint(s, "GET /lookup HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if n, _ := s.Read(make([]byte, 16)); n > 0 {
				answered++
			}
			s.Close()
		}
		fmt.Printf("%s: %d %d, %d answered\n", name, four, six, answered)
	}
}
