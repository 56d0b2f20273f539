// Serves Google's fake of Pub/Sub at one address, and at another one over HTTP what was published on
// it, until it is told to stop.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"cloud.google.com/go/pubsub/v2/pstest"
)

type published struct {
	Topic string `json:"topic"`
	ID    string `json:"id"`
}

func main() {
	server := pstest.NewServerWithAddress(os.Args[1])
	go func() {
		err := http.ListenAndServe(os.Args[2], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			all := []published{}
			for _, message := range server.Messages() {
				all = append(all, published{message.Topic, message.Attributes["micro-id"]})
			}
			_ = json.NewEncoder(w).Encode(all)
		}))
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}()
	fmt.Println(server.Addr)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	server.Close()
}
