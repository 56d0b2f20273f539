// Calls a greeter by gRPC. A program of yours has messages from protoc; to say hello, one like them will do.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func main() {
	conn, err := grpc.NewClient("127.0.0.1:8080", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	answer := &wrapperspb.StringValue{}
	err = conn.Invoke(ctx, "/greeter.v1.Greeter/Hello", wrapperspb.String("Ada"), answer)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Value)
}
