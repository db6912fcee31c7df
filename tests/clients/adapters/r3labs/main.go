// Go's r3labs/sse.
package main

import (
	"encoding/json"
	"os"
	"time"

	"github.com/r3labs/sse/v2"
	"gopkg.in/cenkalti/backoff.v1"
)

func main() {
	client := sse.NewClient(os.Args[1])
	client.ReconnectStrategy = backoff.NewConstantBackOff(50 * time.Millisecond)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	// It returns when a stream has ended in good order.
	for {
		_ = client.SubscribeRaw(func(event *sse.Event) {
			kind := string(event.Event)
			if kind == "" {
				kind = "message"
			}
			_ = out.Encode(map[string]string{"id": string(event.ID), "type": kind, "data": string(event.Data)})
		})
		time.Sleep(50 * time.Millisecond)
	}
}
