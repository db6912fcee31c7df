// Prints what comes on a stream, line by line: URL CERTIFICATE [LAST-EVENT-ID].
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	certificate, err := os.ReadFile(os.Args[2])
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13},
		// HTTP/1.1 alone.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	request, err := http.NewRequest("GET", os.Args[1], nil)
	check(err)
	if len(os.Args) > 3 {
		request.Header.Set("Last-Event-ID", os.Args[3])
	}
	response, err := transport.RoundTrip(request)
	check(err)
	reader := bufio.NewReader(response.Body)
	for {
		line, err := reader.ReadString('\n')
		fmt.Print(line)
		if err == io.EOF {
			return
		}
		check(err)
	}
}
