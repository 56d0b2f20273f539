// Calls a greeter by gRPC. StringValue stands in for the messages that protoc would generate.
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
	response := &wrapperspb.StringValue{}
	err = conn.Invoke(ctx, "/greeter.v1.Greeter/Hello", wrapperspb.String("Ada"), response)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Value)
}
